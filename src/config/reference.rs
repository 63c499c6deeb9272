//! The page `docs/configuration.md`, made from the table of fields.

use std::fmt::Write as _;

use super::fields::{Default as FieldDefault, FIELDS, Field, GROUPS, Item, Rule};

const HEAD: &str = include_str!("reference_head.md");
const TAIL: &str = include_str!("reference_tail.md");

/// The page as Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    table(&mut page, None);
    for (group, doc) in GROUPS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n### `{group}`\n\n{doc}\n\n");
        table(&mut page, Some(group));
    }
    page.push('\n');
    page.push_str(TAIL);
    page
}

fn table(page: &mut String, group: Option<&str>) {
    page.push_str("| field | type | default | bounds | unit | in `defaults` | variable |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    let fields = || FIELDS.iter().filter(|field| field.split().0 == group);
    for field in fields() {
        let shared = if field.shared { "yes" } else { "no" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {shared} | {} |",
            field.split().1,
            kind(field),
            default(field),
            bounds(field),
            field.unit.unwrap_or(""),
            variable(field),
        );
    }
    page.push('\n');
    for field in fields() {
        let _ = writeln!(page, "- `{}`: {}", field.split().1, field.doc);
    }
}

fn kind(field: &Field) -> &'static str {
    match field.rule {
        Rule::Name | Rule::Kind | Rule::Word(_) | Rule::Path => "text",
        Rule::Flag => "boolean",
        Rule::Integer { .. } => "whole number",
        Rule::Number { .. } => "number",
        Rule::List(_) => "list of texts",
        Rule::Signature => "text, object or list",
        Rule::Provider => "object",
    }
}

fn default(field: &Field) -> String {
    match field.default {
        FieldDefault::Required => "**required**".to_owned(),
        FieldDefault::Flag(flag) => format!("`{flag}`"),
        FieldDefault::Integer(number) => format!("`{number}`"),
        FieldDefault::Number(number) => format!("`{number}`"),
        FieldDefault::Text(text) => format!("`{text}`"),
        FieldDefault::Described(words) => words.to_owned(),
    }
}

fn bounds(field: &Field) -> String {
    match field.rule {
        Rule::Integer { min, max } => format!("{min} to {max}"),
        Rule::Number { min, max } => format!("{min} to {max}"),
        Rule::Name => format!(
            "`[A-Za-z0-9][A-Za-z0-9._-]*`, at most {} characters",
            super::fields::MAX_NAME
        ),
        Rule::Word(max) => format!("1 to {max} characters, no spaces"),
        Rule::List(Item::Pointer) => "JSON pointers".to_owned(),
        Rule::List(Item::Network) => "IP addresses and networks".to_owned(),
        Rule::List(Item::Stream) => "streams of the type".to_owned(),
        Rule::Kind
        | Rule::Flag
        | Rule::Path
        | Rule::List(Item::Secret)
        | Rule::Signature
        | Rule::Provider => String::new(),
    }
}

fn variable(field: &Field) -> String {
    match field.rule {
        Rule::Name => "`ENABLED_CONNECTORS`".to_owned(),
        Rule::Provider => "`CONNECTOR_<NAME>_<KEY>`".to_owned(),
        _ => format!("`CONNECTOR_<NAME>_{}`", field.variable()),
    }
}
