//! Keys of `providerConfig` as users write them.

use serde_json::{Map, Value};

use crate::config::to_camel;

/// A schema whose members have the names that users write.
pub(super) fn spelled(schema: &Value) -> Value {
    let name = |name: &Value| {
        name.as_str()
            .map_or_else(|| name.clone(), |name| to_camel(name).into())
    };
    match schema {
        Value::Array(schemas) => schemas.iter().map(spelled).collect(),
        Value::Object(words) => {
            let words = words.iter().map(|(word, value)| {
                let value = match (&**word, value) {
                    ("properties", Value::Object(members)) => {
                        let members = members.iter();
                        let members = members.map(|(key, member)| (to_camel(key), spelled(member)));
                        Value::Object(members.collect())
                    }
                    ("required", Value::Array(names)) => names.iter().map(name).collect(),
                    // These hold values, not schemas.
                    ("default" | "const" | "enum" | "examples", value) => value.clone(),
                    (_, value) => spelled(value),
                };
                (word.clone(), value)
            });
            Value::Object(words.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_of_a_schema_are_spelled_at_every_level() {
        let schema = json!({
            "required": ["base_url"],
            "properties": { "base_url": { "type": "string", "default": { "a_b": 1 } } },
            "oneOf": [{ "properties": { "app_key": {} }, "required": ["app_key"] }],
        });
        let wanted = json!({
            "required": ["baseUrl"],
            "properties": { "baseUrl": { "type": "string", "default": { "a_b": 1 } } },
            "oneOf": [{ "properties": { "appKey": {} }, "required": ["appKey"] }],
        });
        assert_eq!(spelled(&schema), wanted);
    }
}
