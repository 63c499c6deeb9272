//! Which values of a provider's configuration must never be seen in a log.

use serde_json::Value;

use super::leaves::Leaves;
use crate::document::{Kind, Node};
use crate::telemetry::KeptOut;

/// Keeps out of logs what was substituted, what `spec` calls secret, and in environment mode also what
/// `spec` does not describe.
///
/// Whoever substitutes a value may well have done so because it is secret, whatever the manifest's
/// author thought of the field. `provider` must still have its positions.
pub(super) fn keep_out(provider: &Node, spec: &Value, leaves: &Leaves) -> KeptOut {
    secrets(provider, spec, leaves).into_iter().collect()
}

fn secrets<'n>(provider: &'n Node, spec: &Value, leaves: &Leaves) -> Vec<&'n str> {
    let mut found = Vec::new();
    collect(provider, &alternatives(spec), leaves, &mut found);
    found
}

fn collect<'n>(node: &'n Node, schemas: &[&Value], leaves: &Leaves, found: &mut Vec<&'n str>) {
    match &node.kind {
        Kind::String(text) => {
            let is_secret = |schema: &&Value| schema.get("airbyte_secret") == Some(&true.into());
            let is_undescribed = schemas.is_empty() && leaves.is_foreign(node.at);
            let is_foreign = is_undescribed || leaves.is_substituted(node.at);
            // What is not substituted here holds `${…}`, which names a secret and is none.
            let is_known = !leaves.is_opaque(node.at);
            if is_known && (is_foreign || schemas.iter().any(is_secret)) {
                found.push(text);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                let members: Vec<_> = schemas
                    .iter()
                    .filter_map(|schema| schema.get("properties")?.get(&entry.key))
                    .flat_map(alternatives)
                    .collect();
                collect(&entry.value, &members, leaves, found);
            }
        }
        Kind::List(items) => {
            let members: Vec<_> = schemas
                .iter()
                .filter_map(|schema| schema.get("items"))
                .flat_map(alternatives)
                .collect();
            // A list that is called secret holds secrets.
            let schemas: Vec<_> = schemas.iter().copied().chain(members).collect();
            for item in items {
                collect(item, &schemas, leaves, found);
            }
        }
        _ => {}
    }
}

/// A schema and those it offers a choice of.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let choices = ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|word| schema.get(word)?.as_array())
        .flatten();
    std::iter::once(schema)
        .chain(choices.flat_map(alternatives))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::parse_json;

    #[test]
    fn what_the_spec_calls_secret_is_found_at_every_depth() {
        let spec = json!({
            "properties": {
                "token": { "type": "string", "airbyte_secret": true },
                "keys": { "type": "array", "airbyte_secret": true },
                "credentials": { "oneOf": [
                    { "properties": { "user": {}, "password": { "airbyte_secret": true } } },
                    { "properties": { "hooks": { "items": { "airbyte_secret": true } } } }
                ] }
            }
        });
        let provider = parse_json(
            "connectors.json",
            r#"{ "token": "one", "user": "no", "keys": ["two"],
                 "credentials": { "user": "no", "password": "three", "hooks": ["four"] } }"#,
        )
        .unwrap();
        assert_eq!(
            secrets(&provider, &spec, &Leaves::default()),
            ["one", "two", "three", "four"]
        );
    }
}
