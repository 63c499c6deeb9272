//! JSON Schemas (draft 2020-12) for editors and consumers: of `connectors.json`, made from the table
//! of fields and the connector types, of a manifest, and of a signal.

mod manifest;
mod provider;
mod signal;

use serde_json::{Map, Value, json};

pub use manifest::manifest;
pub use signal::signal;

use super::MANIFEST;
use super::fields::{self, Default as FieldDefault, FIELDS, Field, GROUPS, Item, Rule};
use crate::source::manifest::catalog::Catalog;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text with a substitution in it, which may stand wherever a number or a choice is expected.
const SUBSTITUTION: &str = r"\$\{.+\}";

/// The schema of `connectors.json`, with the `providerConfig` of every type in `catalog`.
pub fn configuration(catalog: &Catalog) -> Value {
    json!({
        "$schema": DIALECT,
        "title": "connectors.json",
        "description": "Which connectors the connector-worker runs.",
        "type": "object",
        "required": ["connectors"],
        "additionalProperties": false,
        "properties": {
            "$schema": {
                "description": "Address of this schema, for editors.",
                "type": "string"
            },
            "defaults": {
                "description": "Values for every connector that does not set them itself.",
                "type": "object",
                "additionalProperties": false,
                "properties": properties(|field| field.shared)
            },
            "connectors": {
                "description": "The connectors.",
                "type": "array",
                "items": connector(catalog)
            }
        }
    })
}

fn connector(catalog: &Catalog) -> Value {
    let mut members = properties(|_| true);
    let kinds: Vec<&str> = catalog.names().chain([MANIFEST]).collect();
    if let Some(Value::Object(kind)) = members.get_mut("type") {
        // Types in CONNECTOR_MANIFESTS_DIR are offered to editors only where they are known.
        kind.insert(
            "anyOf".to_owned(),
            json!([{ "enum": kinds }, { "type": "string" }]),
        );
    }
    let is_kind =
        |kind: &str| json!({ "properties": { "type": { "const": kind } }, "required": ["type"] });
    let mut rules = vec![json!({
        "if": is_kind(MANIFEST),
        "then": { "required": ["manifest"] },
        "else": { "properties": { "manifest": false } }
    })];
    for manifest in catalog.kinds() {
        let mut then =
            json!({ "properties": { "providerConfig": provider::provider(&manifest.spec) } });
        if manifest
            .spec
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|r| !r.is_empty())
        {
            then["required"] = json!(["providerConfig"]);
        }
        let streams: Vec<&str> = manifest.streams.iter().map(|(name, _)| &**name).collect();
        then["properties"]["streams"] = json!({
            "items": { "anyOf": [{ "enum": streams }, { "pattern": SUBSTITUTION }] }
        });
        rules.push(json!({ "if": is_kind(&manifest.kind), "then": then }));
    }
    json!({
        "type": "object",
        "required": ["name", "type"],
        "additionalProperties": false,
        "properties": members,
        "allOf": rules
    })
}

fn properties(wanted: impl Fn(&Field) -> bool) -> Map<String, Value> {
    let mut members = Map::new();
    for field in FIELDS.iter().filter(|field| wanted(field)) {
        let (group, name) = field.split();
        let Some(group) = group else {
            members.insert(name.to_owned(), of_field(field));
            continue;
        };
        let doc = GROUPS
            .iter()
            .find(|(known, _)| *known == group)
            .map(|(_, doc)| *doc);
        let object = members.entry(group).or_insert_with(|| {
            json!({
                "description": doc,
                "type": "object",
                "additionalProperties": false,
                "properties": {}
            })
        });
        object["properties"][name] = of_field(field);
    }
    members
}

fn of_field(field: &Field) -> Value {
    let mut schema = match field.rule {
        Rule::Name => json!({
            "type": "string",
            "pattern": format!("({})|({SUBSTITUTION})", fields::NAME_PATTERN),
            "maxLength": fields::MAX_NAME
        }),
        Rule::Kind | Rule::Path => json!({ "type": "string", "minLength": 1 }),
        Rule::Word(max) => json!({ "type": "string", "pattern": "^\\S+$", "maxLength": max }),
        Rule::Flag => json!({ "type": ["boolean", "string"], "pattern": SUBSTITUTION }),
        Rule::Integer { min, max } => json!({
            "type": ["integer", "string"],
            "minimum": min,
            "maximum": max,
            "pattern": SUBSTITUTION
        }),
        Rule::Number { min, max } => json!({
            "type": ["number", "string"],
            "minimum": min,
            "maximum": max,
            "pattern": SUBSTITUTION
        }),
        Rule::List(Item::Secret) => json!({ "type": "array", "items": { "type": "string" } }),
        Rule::List(item) => {
            let mut items = json!({ "type": "string", "minLength": 1 });
            if item == Item::Pointer {
                items["pattern"] = json!(format!("^/|{SUBSTITUTION}"));
            }
            json!({ "type": ["array", "string"], "items": items })
        }
        Rule::Signature => json!({ "type": ["string", "object", "array"] }),
        Rule::Provider => json!({ "type": "object" }),
    };
    schema["description"] = json!(field.doc);
    match field.default {
        FieldDefault::Flag(flag) => schema["default"] = json!(flag),
        FieldDefault::Integer(number) => schema["default"] = json!(number),
        FieldDefault::Number(number) => schema["default"] = json!(number),
        FieldDefault::Text(text) => schema["default"] = json!(text),
        FieldDefault::Required => {}
        FieldDefault::Described(words) => {
            schema["description"] = json!(format!("{} Default: {words}.", field.doc));
        }
    }
    schema
}
