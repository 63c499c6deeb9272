//! The schema of a manifest, for editors: made from the table of the format that lint uses, too.

use serde_json::{Map, Value, json};

use crate::client::TimeFormat;
use crate::source::manifest::format::{self, Component, Field, Kind};
use crate::source::manifest::metadata::{CONNECTOR_KEYS, HEALTH_KEYS, SIGNAL_KEYS, STREAM_KEYS};
use crate::source::manifest::rate_limits::{MOST, QUOTA_KEYS, RATE_KEYS, WAIT_KEYS};

/// The dialect that editors of YAML know best.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of a manifest, `metadata.connector` included.
pub fn manifest() -> Value {
    let mut definitions = Map::new();
    for component in format::components() {
        definitions.insert(component.name.to_owned(), definition(component));
    }
    definitions.insert("reference".to_owned(), reference());
    definitions.insert("connector".to_owned(), connector());
    definitions.insert("template".to_owned(), template());
    json!({
        "$schema": DIALECT,
        "title": "Manifest of a connector",
        "description": "A provider described as data, in Airbyte's low-code format.",
        "$ref": "#/definitions/DeclarativeSource",
        "definitions": definitions
    })
}

fn definition(component: &Component) -> Value {
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": component.name }));
    properties.insert(
        "$ref".to_owned(),
        json!({ "type": "string", "pattern": "^#/", "description": "Takes over the fields of another part of the manifest." }),
    );
    properties.insert(
        "$parameters".to_owned(),
        json!({ "type": "object", "description": "Values for the components inside." }),
    );
    for field in component.fields {
        properties.insert(field.name.to_owned(), of_field(component, field));
    }
    let required: Vec<&str> = component
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "description": component.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": component.open
    });
    if !component.open {
        schema["patternProperties"] = json!({ "^(x-|__|\\$schema$|description$)": true });
    }
    if !required.is_empty() {
        // What a reference brings along cannot be seen here.
        schema["if"] =
            json!({ "anyOf": [{ "required": ["$ref"] }, { "required": ["$parameters"] }] });
        schema["else"] = json!({ "required": required });
    }
    schema
}

fn of_field(component: &Component, field: &Field) -> Value {
    if (component.name, field.name) == ("DeclarativeSource", "metadata") {
        return json!({
            "description": field.doc,
            "type": "object",
            "properties": { "connector": { "$ref": "#/definitions/connector" } }
        });
    }
    let mut schema = of_kind(field.kind);
    schema["description"] = json!(field.doc);
    if let Some(default) = field.default_value() {
        schema["default"] = default;
    }
    schema
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Component(types) => one_of(types, Vec::new()),
        Kind::Components(types) => list_of(types),
        Kind::ComponentOrList(types) => one_of(types, vec![list_of(types)]),
        Kind::ComponentMap(types) => {
            json!({ "type": "object", "additionalProperties": one_of(types, Vec::new()) })
        }
        Kind::ComponentOrTemplate(types, _) => one_of(types, vec![to_template()]),
        Kind::TextsOrComponent(types) => one_of(types, vec![texts()]),
        Kind::ChoiceOrComponent(choices, types) => one_of(types, vec![json!({ "enum": choices })]),
        Kind::Variant(variants) => {
            let aliases: Vec<&str> = variants
                .iter()
                .flat_map(|(alias, full)| [*alias, *full])
                .collect();
            json!({ "type": "object", "properties": { "type": { "enum": aliases } } })
        }
        Kind::Template(_) => to_template(),
        Kind::Count(_) => json!({ "type": ["integer", "string"] }),
        Kind::Amount(_) => json!({ "type": ["number", "string"] }),
        Kind::Text => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Flag => {
            json!({ "anyOf": [{ "type": "boolean" }, { "$ref": "#/definitions/reference" }] })
        }
        Kind::Integer => {
            json!({ "type": ["integer", "string"], "pattern": "^\\s*-?[0-9]+\\s*$|^#/" })
        }
        Kind::Number => json!({ "type": ["number", "string"] }),
        Kind::Choice(choices) => {
            json!({ "anyOf": [{ "enum": choices }, { "$ref": "#/definitions/reference" }] })
        }
        Kind::Texts | Kind::Path(_) | Kind::TemplateOrTexts(_) => texts(),
        Kind::Integers => {
            json!({ "type": ["array", "string"], "items": { "type": ["integer", "string"] } })
        }
        Kind::Paths(_) => json!({ "type": ["array", "string"], "items": texts() }),
        Kind::Templates(_, _) => json!({ "type": ["object", "string"] }),
        Kind::DateFormat | Kind::Duration(_) | Kind::Regex => json!({ "type": "string" }),
        Kind::DateFormats => json!({ "type": ["array", "string"], "items": { "type": "string" } }),
        Kind::Schema => json!({ "type": ["object", "string"] }),
        Kind::Key => json!({ "type": ["string", "array"] }),
        Kind::Json(_) | Kind::Any => json!({}),
    }
}

/// One of these components, told apart by their type, or a reference.
fn one_of(types: &[&str], others: Vec<Value>) -> Value {
    let mut all: Vec<Value> = types
        .iter()
        .map(|name| json!({ "$ref": format!("#/definitions/{name}") }))
        .collect();
    all.push(json!({ "$ref": "#/definitions/reference" }));
    all.extend(others);
    json!({ "anyOf": all })
}

fn list_of(types: &[&str]) -> Value {
    json!({ "type": ["array", "string"], "items": one_of(types, Vec::new()), "pattern": "^#/" })
}

fn texts() -> Value {
    json!({ "type": ["array", "string"], "items": { "type": ["string", "number", "boolean"] } })
}

fn to_template() -> Value {
    json!({ "$ref": "#/definitions/template" })
}

fn template() -> Value {
    json!({
        "description": "Text in which {{ … }} is evaluated.",
        "type": ["string", "number", "boolean", "null"]
    })
}

fn reference() -> Value {
    json!({
        "description": "Another part of the manifest.",
        "type": "string",
        "pattern": "^#/"
    })
}

/// `metadata.connector`
fn connector() -> Value {
    let signal = object(&SIGNAL_KEYS, |key| match key {
        "subject" | "within" | "version" | "ignore" => json!({
            "type": ["string", "array"], "pattern": "^/", "items": { "type": "string", "pattern": "^/" }
        }),
        "time" | "freshness" => json!({ "type": "string", "pattern": "^/" }),
        "ordered" | "deletions" => json!({ "type": "boolean" }),
        _ => json!({}),
    });
    let stream = object(&STREAM_KEYS, |key| match key {
        "part_key" => json!({ "type": "array", "items": { "type": "string" } }),
        "oldest_first" => json!({ "type": "boolean" }),
        _ => json!({ "type": "object" }),
    });
    let health_check = object(&HEALTH_KEYS, |key| match key {
        "path" => json!({ "type": "string" }),
        "credentials" => json!({ "type": "object", "required": ["path"] }),
        _ => json!({}),
    });
    let positive = || json!({ "type": "number", "exclusiveMinimum": 0 });
    let time = || json!({ "enum": TimeFormat::NAMES.map(|(name, _)| name) });
    let quota = object(&QUOTA_KEYS, |key| match key {
        "window_seconds" => positive(),
        "reset_format" => time(),
        _ => json!({ "type": "string", "minLength": 1 }),
    });
    let wait = object(&WAIT_KEYS, |key| match key {
        "format" => time(),
        _ => json!({ "type": "string", "minLength": 1 }),
    });
    let several =
        |of: &Value| json!({ "type": "array", "minItems": 1, "maxItems": MOST, "items": of });
    let rate_limits = object(&RATE_KEYS, |key| match key {
        "requests_per_second" | "burst" => positive(),
        "concurrent_requests" => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        "strategy" => json!({ "const": "token_bucket" }),
        "scope" => json!({ "enum": ["credential", "endpoint"] }),
        "quotas" => several(&quota),
        "retry_after" => several(&wait),
        _ => json!({}),
    });
    let mut schema = object(&CONNECTOR_KEYS, |key| match key {
        "rate_limits" => rate_limits.clone(),
        "id" => json!({ "type": "string", "pattern": "^[a-z0-9_-]+$" }),
        "version" => json!({ "type": "string" }),
        "display_name" | "documentation_url" => json!({ "type": "string" }),
        "poll_interval_seconds" => json!({ "type": "number", "exclusiveMinimum": 0 }),
        "signals" => json!({ "type": "object", "additionalProperties": signal }),
        "streams" => json!({ "type": "object", "additionalProperties": stream }),
        "health_check" => health_check.clone(),
        _ => json!({}),
    });
    schema["description"] = json!("What the manifest says to this worker beyond Airbyte's format.");
    schema
}

fn object(keys: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), of(key)))
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}
