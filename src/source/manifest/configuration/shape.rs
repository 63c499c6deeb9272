//! Which values of a configuration are secret, which name the credential, and which shape what is
//! read.

use crate::client::identify;
use crate::connector::ConnectorConfig;
use crate::json::{Ignored, Map, Value, canonical_hash};
use crate::source::manifest::catalog::Manifest;

/// The values of all fields that the spec marks with `airbyte_secret`.
pub(in crate::source::manifest) fn secrets(
    config: &Value,
    spec: &serde_json::Value,
) -> Vec<String> {
    let mut found = Vec::new();
    visit(config, spec, &mut |value| found.push(text_of(value)));
    found
}

impl Manifest {
    /// Names the credential that a connector uses, without saying anything about it: two connectors
    /// with the same name count as one towards the provider.
    pub fn credential_of(&self, connector: &ConnectorConfig) -> String {
        let config = connector.provider.to_value();
        let mut values = secrets(&config, &self.spec);
        let own = self.metadata.auth.fields();
        let given = |path: &str| path.split('.').try_fold(&config, |at, part| at.get(part));
        values.extend(own.filter_map(given).map(text_of));
        // Whatever fields they stand in, and however often.
        values.sort_unstable();
        values.dedup();
        let parts: Vec<&str> = values.iter().map(String::as_str).collect();
        identify(&parts)
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Identifies what a stream reads: two configurations with the same hash may share a cursor.
/// Credentials do not count, so that a rotated token keeps it.
pub(in crate::source::manifest) fn shape_hash(
    config: &Value,
    spec: &serde_json::Value,
    stream: &Value,
    version: Option<&str>,
) -> String {
    let mut map = Map::new();
    map.insert("config".to_owned(), without_secrets(config, spec));
    map.insert("stream".to_owned(), stream.clone());
    map.insert("version".to_owned(), version.unwrap_or_default().into());
    let json = Value::from(map).to_json();
    // What was just written parses.
    canonical_hash(&json, &Ignored::default())
        .map_or_else(|_| String::new(), |hash| hash.to_string())
}

fn without_secrets(config: &Value, spec: &serde_json::Value) -> Value {
    match config {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !schemas(spec, key).iter().any(|schema| is_secret(schema)))
            .map(|(key, value)| {
                let value = schemas(spec, key)
                    .iter()
                    .fold(value.clone(), |value, schema| {
                        without_secrets(&value, schema)
                    });
                (key.clone(), value)
            })
            .collect::<Map>()
            .into(),
        Value::Array(items) => {
            let schema = spec.get("items").unwrap_or(&serde_json::Value::Null);
            Value::Array(
                items
                    .iter()
                    .map(|item| without_secrets(item, schema))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

fn visit(config: &Value, spec: &serde_json::Value, secret: &mut dyn FnMut(&Value)) {
    match config {
        Value::Object(map) => {
            for (key, value) in map {
                for schema in schemas(spec, key) {
                    if is_secret(schema) {
                        secret(value);
                    } else {
                        visit(value, schema, secret);
                    }
                }
            }
        }
        Value::Array(items) => {
            let schema = spec.get("items").unwrap_or(&serde_json::Value::Null);
            for item in items {
                if is_secret(schema) {
                    secret(item);
                } else {
                    visit(item, schema, secret);
                }
            }
        }
        _ => {}
    }
}

fn is_secret(schema: &serde_json::Value) -> bool {
    schema.get("airbyte_secret") == Some(&serde_json::Value::Bool(true))
}

/// The schemas of member `key`: its own, and those of every alternative.
fn schemas<'s>(spec: &'s serde_json::Value, key: &str) -> Vec<&'s serde_json::Value> {
    let mut found: Vec<_> = spec
        .get("properties")
        .and_then(|properties| properties.get(key))
        .into_iter()
        .collect();
    for combination in ["oneOf", "anyOf", "allOf"] {
        let alternatives = spec.get(combination).and_then(serde_json::Value::as_array);
        for alternative in alternatives.into_iter().flatten() {
            found.extend(schemas(alternative, key));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn config(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn secrets_are_found_wherever_the_spec_hides_them() {
        let spec = serde_json::json!({
            "properties": {
                "token": { "airbyte_secret": true },
                "auth": { "oneOf": [
                    { "properties": { "key": { "airbyte_secret": true } } },
                    { "properties": { "name": {} } },
                ] },
                "list": { "items": { "airbyte_secret": true } },
            }
        });
        let given =
            config(r#"{"token":"t1","auth":{"key":"k1","name":"n"},"list":["l1"],"jql":"x"}"#);
        assert_eq!(secrets(&given, &spec), ["t1", "k1", "l1"]);
        let hash = |text| shape_hash(&config(text), &spec, &Value::Null, Some("1.0.0"));
        let first = hash(r#"{"token":"a","jql":"x","auth":{"key":"1","name":"n"}}"#);
        assert_eq!(
            first,
            hash(r#"{"jql":"x","auth":{"name":"n","key":"2"},"token":"b"}"#)
        );
        assert_ne!(
            first,
            hash(r#"{"jql":"y","auth":{"name":"n","key":"2"},"token":"b"}"#)
        );
    }
}
