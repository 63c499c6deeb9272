//! Files that are made from the code are current; the shipped configuration is right.
//!
//! After a change of fields or manifests: `UPDATE_GENERATED=1 cargo test --test it generated`.

use std::path::Path;
use std::sync::Arc;

use connector_worker::config::{LoadOptions, load, reference, schema};
use connector_worker::source::manifest::catalog::Catalog;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::load(None).unwrap())
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn is_current(file: &str, wanted: &str) {
    let path = root().join(file);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found == wanted {
        return;
    }
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let line = found
        .lines()
        .zip(wanted.lines())
        .take_while(|(a, b)| a == b)
        .count()
        + 1;
    panic!(
        "{file} is not what the code makes, from line {line}: \
         UPDATE_GENERATED=1 cargo test --test it generated"
    );
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    let schema = pretty(&schema::configuration(&catalog()));
    is_current("config/schema/connectors.schema.json", &schema);
}

#[test]
fn the_schema_of_a_signal_is_current() {
    is_current(
        "config/schema/signal.schema.json",
        &pretty(&schema::signal()),
    );
}

#[test]
fn the_schema_of_a_manifest_is_current() {
    is_current(
        "config/schema/manifest.schema.json",
        &pretty(&schema::manifest()),
    );
}

/// A YAML file as JSON.
fn yaml(file: &str, text: &str) -> serde_json::Value {
    let node = connector_worker::document::parse_yaml(file, text).unwrap();
    serde_json::from_slice(&node.to_value().to_json()).unwrap()
}

#[test]
fn the_schema_of_a_manifest_accepts_good_ones_and_refuses_slips() {
    let schema = schema::manifest();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems = |document: &serde_json::Value| -> Vec<String> {
        let errors = validator.iter_errors(document);
        errors.map(|error| error.to_string()).collect()
    };
    for manifest in catalog().kinds() {
        let file = &*manifest.file;
        let path = root().join("config/connectors").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(problems(&yaml(file, &text)), Vec::<String>::new(), "{file}");
    }
    let text = std::fs::read_to_string(root().join("config/connectors/jira.yaml")).unwrap();
    for (old, new) in [
        ("type: SimpleRetriever", "type: SimpelRetriever"),
        ("record_selector:", "record_selectr:"),
        ("poll_interval_seconds: ", "poll_interval_seconds: x"),
        ("field_path:", "field_paht:"),
        ("display_name:", "dispay_name:"),
    ] {
        assert!(text.contains(old), "{old}");
        let wrong = yaml("jira.yaml", &text.replace(old, new));
        assert!(!validator.is_valid(&wrong), "{new}");
    }
}

#[test]
fn the_configuration_page_is_current() {
    is_current("docs/configuration.md", &reference::page());
}

/// The JSON blocks of the page that hold connectors.
fn examples(page: &str) -> Vec<serde_json::Value> {
    page.split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| serde_json::from_str(block).unwrap())
        .collect()
}

#[test]
fn schema_and_worker_agree_on_the_examples() {
    let schema = schema::configuration(&catalog());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let shipped = std::fs::read_to_string(root().join("connectors.json")).unwrap();
    let mut documents = examples(&reference::page());
    assert_eq!(documents.len(), 2);
    documents.push(serde_json::from_str(&shipped).unwrap());
    for document in documents {
        let problems: Vec<String> = validator
            .iter_errors(&document)
            .map(|e| e.to_string())
            .collect();
        assert!(problems.is_empty(), "{problems:?} in {document:#}");
    }
}

#[test]
fn the_schema_refuses_what_the_worker_refuses() {
    let schema = schema::configuration(&catalog());
    let validator = jsonschema::validator_for(&schema).unwrap();
    let entry = |more: &str| {
        let text = format!(
            "{{ \"connectors\": [ {{ \"name\": \"a\", \"type\": \"JIRA\", \"providerConfig\": \
             {{ \"base_url\": \"https://x\", \"apiToken\": \"t\" }}, {more} }} ] }}"
        );
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert!(validator.is_valid(&entry("\"pollIntervalMs\": \"${MS}\"")));
    for wrong in [
        "\"pollIntervalMs\": 50",
        "\"pollIntervalMs\": \"60000\"",
        "\"pollInterval\": 60000",
        "\"enabled\": \"true\"",
        "\"streams\": [\"isues\"]",
        "\"manifest\": \"x.yaml\"",
        "\"retryConfig\": { \"jitterRatio\": 2 }",
        "\"providerConfig\": { \"baseUrl\": \"https://x\" }",
        "\"providerConfig\": { \"baseUlr\": \"https://x\", \"apiToken\": \"t\" }",
    ] {
        assert!(!validator.is_valid(&entry(wrong)), "{wrong}");
    }
}

#[test]
fn the_shipped_configuration_needs_nothing_from_outside() {
    let options = LoadOptions {
        file: Some(root().join("connectors.json")),
        catalog: catalog(),
        ..LoadOptions::default()
    };
    let loaded = load(&options).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        loaded.all_names,
        ["weather-noaa", "jira-prod", "github-acme"]
    );
    let runs: Vec<bool> = loaded.connectors.iter().map(|c| c.enabled).collect();
    assert_eq!(runs, [true, false, false]);
}
