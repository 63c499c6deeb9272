//! The specification of a connector type as part of the schema of `connectors.json`.

use serde_json::{Map, Value, json};

use super::SUBSTITUTION;
use crate::config::keys;

/// Keywords of a connector type's specification that mean the same in this draft.
const KEPT: &[&str] = &[
    "title",
    "description",
    "type",
    "enum",
    "const",
    "default",
    "examples",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// A connector type's specification as the worker reads it: keys in both spellings, lists also as
/// text, `${…}` wherever a value may stand.
pub(super) fn provider(spec: &Value) -> Value {
    // References would point into another document.
    if spec.to_string().contains("\"$ref\"") {
        return json!({ "type": "object" });
    }
    widened(spec)
}

fn widened(spec: &Value) -> Value {
    let Some(spec) = spec.as_object() else {
        return json!({});
    };
    let mut schema: Map<String, Value> = spec
        .iter()
        .filter(|(key, _)| KEPT.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if spec.get("properties").is_none()
        && let Some(required) = spec.get("required").and_then(Value::as_array)
    {
        let keys = required.iter().filter_map(Value::as_str);
        schema.insert("allOf".to_owned(), keys.map(needs).collect());
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = spec.get(keyword).and_then(Value::as_array) {
            schema.insert(keyword.to_owned(), parts.iter().map(widened).collect());
        }
    }
    if let Some(items) = spec.get("items") {
        schema.insert("items".to_owned(), widened(items));
    }
    if let Some(members) = spec.get("properties").and_then(Value::as_object) {
        members_in_both_spellings(spec, members, &mut schema);
        return Value::Object(schema);
    }
    if spec.get("type").is_some_and(|t| *t == "object") {
        return Value::Object(schema);
    }
    let mut outer = Map::new();
    for keyword in ["title", "description", "default", "examples"] {
        if let Some(value) = schema.remove(keyword) {
            outer.insert(keyword.to_owned(), value);
        }
    }
    let is_list = spec.get("type").is_some_and(|t| *t == "array");
    let is_free_text = schema.get("type").is_some_and(|t| *t == "string") && schema.len() == 1;
    if is_free_text {
        outer.extend(schema);
        return Value::Object(outer);
    }
    let text = if is_list {
        json!({ "type": "string" })
    } else {
        json!({ "type": "string", "pattern": SUBSTITUTION })
    };
    outer.insert("anyOf".to_owned(), json!([schema, text]));
    Value::Object(outer)
}

/// That a key is there, in either spelling.
fn needs(key: &str) -> Value {
    let camel = keys::to_camel(key);
    if camel == key {
        json!({ "required": [key] })
    } else {
        json!({ "anyOf": [{ "required": [camel] }, { "required": [key] }] })
    }
}

fn members_in_both_spellings(
    spec: &Map<String, Value>,
    members: &Map<String, Value>,
    schema: &mut Map<String, Value>,
) {
    let mut properties = Map::new();
    let mut needed: Vec<Value> = Vec::new();
    let is_required = |key: &str| {
        spec.get("required")
            .and_then(Value::as_array)
            .is_some_and(|required| required.iter().any(|r| r == key))
    };
    for (key, member) in members {
        let camel = keys::to_camel(key);
        let member = widened(member);
        if is_required(key) {
            needed.push(needs(key));
        }
        if camel != *key {
            properties.insert(camel, member.clone());
        }
        properties.insert(key.clone(), member);
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    let additional = spec
        .get("additionalProperties")
        .cloned()
        .unwrap_or(Value::Bool(false));
    // Alternatives name further members: a plain "no others" here would refuse them.
    let keyword = if schema.contains_key("oneOf") || schema.contains_key("anyOf") {
        "unevaluatedProperties"
    } else {
        "additionalProperties"
    };
    schema.insert(keyword.to_owned(), additional);
    if !needed.is_empty() {
        let all = schema.entry("allOf").or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            all.extend(needed);
        }
    }
}
