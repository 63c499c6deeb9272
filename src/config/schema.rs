//! JSON Schemas (draft 2020-12) for editors and consumers: of `connectors.json`, made from the table
//! of fields and the connector types, and of a signal.

use serde_json::{Map, Value, json};

use super::fields::{self, Default as FieldDefault, FIELDS, Field, GROUPS, Item, Rule};
use super::{MANIFEST, keys};
use crate::source::manifest::catalog::Catalog;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text with a substitution in it, which may stand wherever a number or a choice is expected.
const SUBSTITUTION: &str = r"\$\{.+\}";

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
    let kinds: Vec<&str> = catalog
        .kinds()
        .map(|m| &*m.kind)
        .chain([MANIFEST])
        .collect();
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
        let mut then = json!({ "properties": { "providerConfig": provider(&manifest.spec) } });
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

/// A connector type's specification as the worker reads it: keys in both spellings, lists also as
/// text, `${…}` wherever a value may stand.
fn provider(spec: &Value) -> Value {
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

/// The schema of a signal: the fields of a stream entry with `data` parsed, which is a CloudEvent in
/// structured form.
pub fn signal() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Signal",
        "description": "One change of one record of a provider, as a CloudEvents 1.0 event. In the \
            output stream every member is a field of the entry, and data is JSON text.",
        "type": "object",
        "required": [
            "specversion", "id", "source", "type", "subject", "version", "time",
            "datacontenttype", "connector", "stream", "via", "epoch", "sequence", "data"
        ],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": {
                "description": "Unique per occurrence: {connector}/{stream}/{subject}@{version}.\
                    {sequence}, with -deleted before the sequence of a deletion.",
                "type": "string",
                "minLength": 1
            },
            "source": {
                "description": "/connectors/{connector}/streams/{stream}",
                "type": "string",
                "pattern": "^/connectors/[^/]+/streams/.+$"
            },
            "type": {
                "description": "{provider}.{stream}.{created|updated|deleted}",
                "type": "string",
                "pattern": "^.+\\..+\\.(created|updated|deleted)$"
            },
            "subject": {
                "description": "Key of the record: a scalar as text, a composite one as JSON.",
                "type": "string"
            },
            "version": {
                "description": "Hash of what the record means; of a deletion the last one known.",
                "type": "string",
                "pattern": "^[0-9a-f]{32}$"
            },
            "time": {
                "description": "The record's own update time, else when it was seen.",
                "type": "string",
                "format": "date-time"
            },
            "datacontenttype": { "const": "application/json" },
            "connector": { "description": "Name of the connector.", "type": "string" },
            "stream": { "description": "Kind of the record.", "type": "string" },
            "tenant": { "description": "tenantId of the connector, if it has one.", "type": "string" },
            "via": { "description": "How the record came.", "enum": ["poll", "webhook"] },
            "epoch": {
                "description": "Fencing number of the lease that published it; only grows.",
                "type": ["integer", "string"],
                "pattern": "^[0-9]+$",
                "minimum": 0
            },
            "sequence": {
                "description": "Number of the commit that published it, twelve digits.",
                "type": "string",
                "pattern": "^[0-9]{12,}$"
            },
            "traceparent": { "description": "W3C trace context, if any.", "type": "string" },
            "data": {
                "description": "The record; empty for a deletion.",
                "type": ["object", "string"]
            }
        }
    })
}
