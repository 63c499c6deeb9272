//! The ways to authenticate of a type, in keys of `providerConfig`.

use serde_json::{Value, json};

use crate::config::to_camel;
use crate::source::manifest::catalog::Manifest;

/// One way.
struct Way {
    /// What the manifest calls it, where it names its ways.
    name: Option<String>,
    /// Keys that it needs.
    keys: Vec<String>,
    /// Keys that belong to it and may be left out.
    optional: Vec<String>,
}

/// Those that the manifest names; else the secrets that its specification asks for.
fn all(manifest: &Manifest) -> Vec<Way> {
    let spelled = |fields: &[String]| -> Vec<String> {
        let spelled = fields.iter().map(|field| {
            let parts = field.split('.').map(to_camel);
            parts.collect::<Vec<_>>().join(".")
        });
        spelled.collect()
    };
    let named = manifest.metadata.auth.ways();
    let named: Vec<_> = named
        .map(|(name, needed, optional)| Way {
            name: Some(name.to_owned()),
            keys: spelled(needed),
            optional: spelled(optional),
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let mut secrets = Vec::new();
    collect(&manifest.spec, "", true, &mut secrets);
    if secrets.is_empty() {
        return Vec::new();
    }
    let (needed, optional): (Vec<_>, Vec<_>) = secrets.into_iter().partition(|(_, needed)| *needed);
    let paths = |secrets: Vec<(String, bool)>| secrets.into_iter().map(|(path, _)| path).collect();
    vec![Way {
        name: None,
        keys: paths(needed),
        optional: paths(optional),
    }]
}

/// Paths of the secrets of a schema, each once, and whether one is always needed.
fn collect(schema: &Value, path: &str, is_needed: bool, found: &mut Vec<(String, bool)>) {
    let members = schema["properties"].as_object().into_iter().flatten();
    for (name, member) in members {
        let is_needed = is_needed && is_required(schema, name);
        let path = match path {
            "" => to_camel(name),
            path => format!("{path}.{}", to_camel(name)),
        };
        if is_secret(member) && !found.iter().any(|(known, _)| *known == path) {
            found.push((path.clone(), is_needed));
        }
        collect(member, &path, is_needed, found);
    }
    for word in ["oneOf", "anyOf"] {
        for choice in schema[word].as_array().into_iter().flatten() {
            collect(choice, path, false, found);
        }
    }
}

/// Whether a configuration without this key is refused.
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|names| names.iter().any(|key| key == name))
}

/// Whether the value is kept out of logs.
pub(super) fn is_secret(schema: &Value) -> bool {
    schema["airbyte_secret"] == true
}

/// Each way as a table shows it.
pub(super) fn ways(manifest: &Manifest) -> Vec<String> {
    let ways = all(manifest);
    if ways.is_empty() {
        return vec!["no credentials".to_owned()];
    }
    ways.into_iter().map(|way| way.shown()).collect()
}

/// Each way as JSON.
pub(super) fn document(manifest: &Manifest) -> Value {
    let ways = all(manifest).into_iter();
    ways.map(|way| json!({ "name": way.name, "keys": way.keys, "optional": way.optional }))
        .collect()
}

impl Way {
    fn shown(&self) -> String {
        let optional = if self.optional.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.optional.join(", "))
        };
        let keys = self.keys.join(" + ");
        match (&*keys, &*optional) {
            ("", "") => format!("{} (no key)", self.name.as_deref().unwrap_or_default()),
            _ => format!("{keys} {optional}").trim().to_owned(),
        }
    }
}
