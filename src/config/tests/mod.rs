//! Configurations that are wrong, and what the user reads about them; and those that are right.

mod accepted;
mod environment;
mod refused;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::document::{Kind, Node};
use crate::source::manifest::catalog::Manifest;
use crate::source::manifest::metadata::Metadata;

/// Planted in the environment; must never be read in a message.
const CANARY: &str = "canary-5f3a";

fn manifest(kind: &str, streams: &[&str], spec: serde_json::Value) -> Manifest {
    Manifest {
        kind: kind.into(),
        id: kind.to_lowercase().into(),
        version: None,
        display_name: kind.to_owned(),
        spec,
        streams: streams.iter().map(|name| ((*name).into(), None)).collect(),
        makes_streams: false,
        poll_interval: Some(Duration::from_secs(30)),
        metadata: Metadata::default(),
        document: Node::synthetic(Kind::Null),
        file: "test.yaml".into(),
    }
}

/// Types with the shapes of specification that manifests use.
fn catalog() -> Arc<Catalog> {
    let jira = json!({
        "type": "object",
        "required": ["base_url", "api_token"],
        "properties": {
            "base_url": {
                "type": "string", "title": "Address of the site", "pattern": "^https?://",
                "examples": ["https://acme.atlassian.net"]
            },
            "email": { "type": "string" },
            "api_token": { "type": "string", "title": "API token", "airbyte_secret": true },
            "jql": { "type": "string", "minLength": 1 },
            "projects": { "type": "array", "items": { "type": "string" } },
            "board_ids": { "type": "array", "items": { "type": "integer" } },
            "page_size": { "type": "integer", "minimum": 1, "maximum": 100, "default": 50 },
            "verify": { "type": "boolean", "default": true },
            "order": { "type": "string", "enum": ["asc", "desc"] },
            "api_key": { "type": "string" },
            "limits": {
                "type": "object",
                "properties": { "per_second": { "type": "number" } }
            }
        }
    });
    let teams = json!({
        "type": "object",
        "required": ["credentials"],
        "properties": {
            "credentials": {
                "type": "object",
                "oneOf": [
                    {
                        "title": "Token",
                        "required": ["auth_type", "token"],
                        "properties": {
                            "auth_type": { "const": "token" },
                            "token": { "type": "string", "airbyte_secret": true }
                        }
                    },
                    {
                        "title": "OAuth",
                        "required": ["auth_type", "client_id", "client_secret"],
                        "properties": {
                            "auth_type": { "const": "oauth" },
                            "client_id": { "type": "string" },
                            "client_secret": { "type": "string", "airbyte_secret": true }
                        }
                    }
                ]
            }
        }
    });
    let noaa = json!({
        "type": "object",
        "properties": {
            "base_url": { "type": "string", "default": "https://api.weather.gov" },
            "area": { "type": "array", "items": { "type": "string" } },
            "severity": { "type": "array", "items": { "type": "string" } }
        }
    });
    let github = json!({
        "type": "object",
        "anyOf": [{ "required": ["repositories"] }, { "required": ["organization"] }],
        "properties": {
            "base_url": { "type": "string", "format": "uri", "default": "https://api.github.com" },
            "repositories": { "type": "array", "items": { "type": "string" } },
            "organization": { "type": "string" }
        }
    });
    let free = json!({
        "type": "object",
        "properties": { "base_url": { "type": "string" } },
        "additionalProperties": true
    });
    let mut teams = manifest("TEAMS", &["messages", "calls"], teams);
    teams.streams[1].1 = Some("it needs a CustomRetriever".to_owned());
    Arc::new(Catalog::from_manifests([
        manifest("JIRA", &["issues", "projects"], jira),
        teams,
        manifest("NOAA_WEATHER", &["alerts"], noaa),
        manifest("GITHUB", &["issues"], github),
        manifest("FREE", &["things"], free),
    ]))
}

/// A JIRA connector with these lines in its entry; the first of them is line 5.
fn jira(lines: &str) -> String {
    format!(
        "{{\n  \"connectors\": [\n    {{\n      \"name\": \"jira-prod\", \"type\": \"JIRA\",\n      \
         {lines},\n      \"providerConfig\": {{ \"baseUrl\": \"https://x\", \"apiToken\": \"t\" }}\
         \n    }}\n  ]\n}}"
    )
}

/// A connector of a type with this `providerConfig`, which is line 5.
fn with_provider(kind: &str, config: &str) -> String {
    format!(
        "{{\n  \"connectors\": [\n    {{\n      \"name\": \"a\", \"type\": \"{kind}\",\n      \
         \"providerConfig\": {config}\n    }}\n  ]\n}}"
    )
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Loads `text` as `connectors.json` in a directory of its own.
fn load_text(
    text: impl AsRef<[u8]>,
    variables: &[(&str, &str)],
    names: &[&str],
) -> Result<Loaded, Vec<Problem>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("connectors.json");
    std::fs::write(&file, text.as_ref()).unwrap();
    let variables = [variables, &[("CANARY", CANARY)]].concat();
    load(&LoadOptions {
        file: Some(file),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        environment: environment(&variables),
        catalog: catalog(),
        ..LoadOptions::default()
    })
}

/// The provider part as JSON.
fn provider(config: &ConnectorConfig) -> serde_json::Value {
    fn json(node: &Node) -> serde_json::Value {
        match &node.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(flag) => (*flag).into(),
            Kind::Int(number) => (*number).into(),
            Kind::Float(number) => (*number).into(),
            Kind::BigNumber(text) => format!("big {text}").into(),
            Kind::String(text) => text.clone().into(),
            Kind::List(items) => items.iter().map(json).collect(),
            Kind::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), json(&e.value)))
                    .collect(),
            ),
        }
    }
    json(&config.provider)
}

/// Compares with `snapshots/NAME.snap`.
fn assert_page(name: &str, page: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, page));
}

/// What `validate` would print, with the directory taken out.
fn shown(result: Result<Loaded, Vec<Problem>>) -> String {
    let (problems, is_warning) = match result {
        Ok(loaded) => (loaded.warnings, true),
        Err(problems) => (problems, false),
    };
    let mut text = String::new();
    for problem in problems {
        let line = problem.to_string();
        let start = line.find("connectors.json").unwrap_or(0);
        let mark = if is_warning { "warning: " } else { "" };
        writeln!(text, "  {mark}{}", &line[start..]).unwrap();
    }
    if text.is_empty() {
        text.push_str("  accepted\n");
    }
    assert!(!text.contains(CANARY), "a value is shown: {text}");
    text
}
