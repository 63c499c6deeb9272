//! One spelling for what the format can say in two.

use super::parameters::MADE_STREAMS;
use super::{Members, into_map, into_members};
use crate::document::{Entry, Kind, Node, Problem, did_you_mean};
use crate::source::manifest::fields::{kind_name, problem};

/// Rewrites every `HttpRequester`: `url_base` becomes `url`, and the typed `request_body` becomes
/// `request_body_json` or `request_body_data`. `path` stays: it is joined after evaluation.
pub(super) fn spellings(node: Node) -> Result<Node, Problem> {
    let Node { kind, at } = node;
    let kind = match kind {
        Kind::List(items) => {
            Kind::List(items.into_iter().map(spellings).collect::<Result<_, _>>()?)
        }
        // Nothing in a schema is a requester.
        Kind::Map(entries) if is_schema(&entries) => Kind::Map(entries),
        Kind::Map(entries) => {
            let mut members = into_members(entries);
            for (key, (_, value)) in &mut members {
                // What fills a template of streams knows the spelling of its author.
                if key == MADE_STREAMS {
                    continue;
                }
                let node = std::mem::replace(value, Node::synthetic(Kind::Null));
                *value = spellings(node)?;
            }
            let is_requester = members
                .get("type")
                .is_some_and(|(_, kind)| kind.as_str() == Some("HttpRequester"));
            if is_requester {
                url(&mut members);
                body(&mut members)?;
            }
            into_map(members)
        }
        scalar => scalar,
    };
    Ok(Node { kind, at })
}

fn is_schema(entries: &[Entry]) -> bool {
    let kind = entries.iter().find(|entry| entry.key == "type");
    kind.is_some_and(|entry| match &entry.value.kind {
        Kind::String(kind) => kind == "object",
        Kind::List(_) => true,
        _ => false,
    })
}

/// Where both are given and `url_base` is not empty, it is the one that counts.
fn url(members: &mut Members) {
    if let Some((key_at, base)) = members.shift_remove("url_base")
        && (base.as_str().is_some_and(|text| !text.is_empty()) || !members.contains_key("url"))
    {
        members.insert("url".to_owned(), (key_at, base));
    }
}

const BODY_TYPES: [&str; 4] = [
    "RequestBodyJsonObject",
    "RequestBodyGraphQL",
    "RequestBodyUrlEncodedForm",
    "RequestBodyPlainText",
];

fn body(members: &mut Members) -> Result<(), Problem> {
    let Some((key_at, body)) = members.shift_remove("request_body") else {
        return Ok(());
    };
    if body.kind == Kind::Null {
        return Ok(());
    }
    let Some(kind) = body.get("type") else {
        return Err(problem(
            key_at,
            "request_body has no type",
            format!("add one of {}", BODY_TYPES.join(", ")),
        ));
    };
    let name = kind.as_str().unwrap_or_default();
    let field = match name {
        "RequestBodyJsonObject" | "RequestBodyGraphQL" => "request_body_json",
        "RequestBodyUrlEncodedForm" | "RequestBodyPlainText" => "request_body_data",
        _ => {
            let fix = match did_you_mean(name, BODY_TYPES) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", BODY_TYPES.join(", ")),
            };
            let shown = kind.as_str().unwrap_or(kind_name(kind));
            return Err(problem(
                kind.at,
                format!("request_body cannot be of type {shown}"),
                fix,
            ));
        }
    };
    let Some(value) = body.get("value") else {
        return Err(problem(
            key_at,
            "request_body has no value",
            "add the field value",
        ));
    };
    members.insert(field.to_owned(), (key_at, value.clone()));
    Ok(())
}
