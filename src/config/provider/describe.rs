//! Broken rules of a JSON Schema in words that hold no value.

use jsonschema::JsonType;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::super::report::kind_of;
use crate::document::{Kind, Node};

/// The first sentence of a description.
pub(super) fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let sentence = line.split_inclusive(". ").next().unwrap_or(line).trim();
    sentence.trim_end_matches('.').to_owned()
}

/// What is wrong with `node`, and the fix where there is one. `schema` holds the broken rule.
pub(super) fn describe(
    kind: &ValidationErrorKind,
    node: &Node,
    schema: Option<&Value>,
) -> (String, Option<String>) {
    let example = || {
        let examples = schema?.get("examples")?;
        let first = examples.as_array()?.first()?;
        Some(format!("for example {first}"))
    };
    match kind {
        ValidationErrorKind::Type { kind } => type_mismatch(kind, node),
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            (format!("must be one of {}", options.join(", ")), None)
        }
        ValidationErrorKind::Constant { expected_value } => {
            (format!("must be {expected_value}"), None)
        }
        ValidationErrorKind::Pattern { pattern } => {
            let form = schema
                .and_then(|schema| schema.get("pattern_descriptor")?.as_str())
                .unwrap_or(pattern);
            (format!("does not have the form {form}"), example())
        }
        ValidationErrorKind::Format { format } if format == "uri" => {
            let fix = example().or_else(|| Some("write it as https://HOST".to_owned()));
            ("is no address of the web".to_owned(), fix)
        }
        ValidationErrorKind::MinLength { limit: 1 } => ("is empty".to_owned(), example()),
        ValidationErrorKind::MinLength { limit } => {
            (format!("is shorter than {limit} characters"), example())
        }
        ValidationErrorKind::MaxLength { limit } => {
            (format!("is longer than {limit} characters"), None)
        }
        ValidationErrorKind::MinItems { limit: 1 } => ("is an empty list".to_owned(), example()),
        ValidationErrorKind::MinItems { limit } => {
            (format!("has fewer than {limit} elements"), None)
        }
        ValidationErrorKind::MaxItems { limit } => {
            (format!("has more than {limit} elements"), None)
        }
        ValidationErrorKind::MinProperties { limit } => {
            (format!("has fewer than {limit} keys"), None)
        }
        ValidationErrorKind::MaxProperties { limit } => {
            (format!("has more than {limit} keys"), None)
        }
        ValidationErrorKind::Minimum { limit } => (format!("is below {limit}"), None),
        ValidationErrorKind::Maximum { limit } => (format!("is above {limit}"), None),
        ValidationErrorKind::ExclusiveMinimum { limit } => (format!("is not above {limit}"), None),
        ValidationErrorKind::ExclusiveMaximum { limit } => (format!("is not below {limit}"), None),
        ValidationErrorKind::MultipleOf { multiple_of } => {
            (format!("is no multiple of {multiple_of}"), None)
        }
        ValidationErrorKind::UniqueItems => ("holds an element twice".to_owned(), None),
        other => (
            format!(
                "breaks the rule \"{}\" of its specification",
                other.keyword()
            ),
            None,
        ),
    }
}

fn type_mismatch(kind: &TypeKind, node: &Node) -> (String, Option<String>) {
    let types: Vec<JsonType> = match kind {
        TypeKind::Single(only) => vec![*only],
        TypeKind::Multiple(set) => set.iter().collect(),
    };
    let words: Vec<&str> = types
        .iter()
        .filter(|t| **t != JsonType::Null || types.len() == 1)
        .map(|t| match t {
            JsonType::Array => "a list",
            JsonType::Boolean => "true or false",
            JsonType::Integer => "a whole number",
            JsonType::Null => "null",
            JsonType::Number => "a number",
            JsonType::Object => "an object",
            JsonType::String => "text",
        })
        .collect();
    let given = match node.kind {
        Kind::Float(_) if types.contains(&JsonType::Integer) => "a fraction",
        _ => kind_of(node),
    };
    let fix = match node.kind {
        Kind::Null => Some("leave the key out".to_owned()),
        Kind::Int(_) | Kind::Float(_) | Kind::BigNumber(_) if types.contains(&JsonType::String) => {
            Some("put it in double quotes".to_owned())
        }
        _ => None,
    };
    (format!("must be {}, not {given}", words.join(" or ")), fix)
}
