//! Streams that depend on the configuration.

use super::{Given, Values, streams};
use crate::clock::Clock;
use crate::json::{Value, parse};
use crate::source::manifest::catalog::Manifest;
use crate::source::manifest::mode::Mode;
use crate::source::manifest::template::Context;

const STREAM: &str = "
    type: DeclarativeStream
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: 'https://api.example.com', path: /x}
      record_selector:
        type: RecordSelector
        extractor: {type: DpathExtractor, field_path: []}
";

/// Name, path and reason of each stream.
fn made(manifest: &str, config: &str, mode: Mode) -> Vec<String> {
    let text = format!("type: DeclarativeSource\ndefinitions:\n  s:{STREAM}{manifest}");
    let manifest = Manifest::read("m.yaml", &text, "m").unwrap();
    let config = parse(config.as_bytes()).unwrap();
    let parameters = crate::json::Map::new();
    let context = Context::new(Clock::System)
        .with("config", &config)
        .with("parameters", &parameters);
    let given = Given {
        context: &context,
        config: &config,
        mode,
        values: &Values::new(),
    };
    let path = |node: &crate::document::Node| {
        let requester = node.get("retriever")?.get("requester")?;
        requester.get("path")?.as_str().map(str::to_owned)
    };
    streams(&manifest, &given)
        .into_iter()
        .map(|stream| {
            let path = path(&stream.node).unwrap_or_default();
            let why = stream.unavailable.unwrap_or_default();
            format!("{} {path} {why}", stream.name).trim().to_owned()
        })
        .collect()
}

const CONDITIONAL: &str = "
streams:
- type: ConditionalStreams
  condition: \"{{ config['all'] }}\"
  streams:
  - $ref: '#/definitions/s'
    name: rare
- $ref: '#/definitions/s'
  name: usual
";

#[test]
fn a_stream_is_there_where_its_condition_holds() {
    let yes = r#"{"all":true}"#;
    assert_eq!(
        made(CONDITIONAL, yes, Mode::Worker),
        ["rare /x", "usual /x"]
    );
    assert_eq!(made(CONDITIONAL, "{}", Mode::Reference), ["usual /x"]);
    assert_eq!(
        made(CONDITIONAL, "{}", Mode::Worker),
        [
            "rare /x its condition does not hold for this configuration (line 14)",
            "usual /x"
        ]
    );
}

const CONFIGURED: &str = "
dynamic_streams:
- type: DynamicDeclarativeStream
  name: tables
  stream_template:
    $ref: '#/definitions/s'
    $parameters: {name: '', path: /x}
  components_resolver:
    type: ConfigComponentsResolver
    stream_config:
      type: StreamConfig
      configs_pointer: [tables]
      default_values: [{id: d, label: Default}]
    components_mapping:
    - type: ComponentMappingDefinition
      field_path: [name]
      value: \"{{ components_values['label'] }}\"
    - type: ComponentMappingDefinition
      field_path: [retriever, requester, path]
      value: \"/t/{{ components_values['id'] }}\"
      condition: \"{{ components_values['id'] != 'b' }}\"
    - type: ComponentMappingDefinition
      field_path: [retriever, requester, request_parameters]
      value: \"{limit: 5}\"
      create_or_update: true
";

#[test]
fn a_list_of_the_configuration_makes_streams() {
    let config = r#"{"tables":[{"id":"a","label":"A"},{"id":"b","label":"B"}]}"#;
    assert_eq!(
        made(CONFIGURED, config, Mode::Worker),
        ["A /t/a", "B /x", "Default /t/d"]
    );
    let twice = r#"{"tables":[{"id":"a","label":"A"},{"id":"c","label":"A"}]}"#;
    let problems = made(CONFIGURED, twice, Mode::Worker);
    assert!(
        problems[0].starts_with("tables  the template tables makes two streams that are called A"),
        "{problems:?}"
    );
}

#[test]
fn what_a_worker_cannot_ask_for_is_named() {
    let manifest = CONFIGURED
        .replace("ConfigComponentsResolver", "HttpComponentsResolver")
        .replace("stream_config", "retriever");
    let made = made(&manifest, "{}", Mode::Worker);
    assert_eq!(made.len(), 1);
    assert!(made[0].contains("needs HttpComponentsResolver"), "{made:?}");
    assert!(made[0].contains("(line "), "{made:?}");
}

#[test]
fn entries_of_the_manifest_make_streams() {
    let manifest = "
dynamic_streams:
- type: DynamicDeclarativeStream
  use_parent_parameters: false
  stream_template:
    $ref: '#/definitions/s'
    name: ''
    $parameters: {id: none}
  components_resolver:
    type: ParametrizedComponentsResolver
    stream_parameters:
      type: StreamParametersDefinition
      list_of_parameters_for_stream: [{id: one}, {id: two}]
    components_mapping:
    - type: ComponentMappingDefinition
      field_path: [name]
      value: \"{{ components_values.id }}\"
    - type: ComponentMappingDefinition
      field_path: [retriever, requester, $parameters, path]
      value: \"/{{ components_values.id }}\"
      create_or_update: true
";
    // The path that is there counts more than a parameter.
    assert_eq!(made(manifest, "{}", Mode::Worker), ["one /x", "two /x"]);
    let open = manifest.replace("$ref: '#/definitions/s'", "$ref: '#/definitions/open'");
    let text = format!("\n  open:{}{open}", STREAM.replace(", path: /x", ""));
    assert_eq!(made(&text, "{}", Mode::Worker), ["one /one", "two /two"]);
}

#[test]
fn rules_change_a_configuration_before_it_is_used() {
    let text = format!(
        "type: DeclarativeSource\ndefinitions:\n  s:{STREAM}{}",
        "
streams:
- $ref: '#/definitions/s'
  name: things
spec:
  type: Spec
  connection_specification: {}
  config_normalization_rules:
    type: ConfigNormalizationRules
    config_migrations:
    - type: ConfigMigration
      transformations:
      - type: ConfigAddFields
        condition: \"{{ config.get('key') }}\"
        fields:
        - path: [auth, token]
          value: \"{{ config['key'] }}\"
      - type: ConfigRemoveFields
        field_pointers: [[key]]
    transformations:
    - type: ConfigRemapField
      field_path: [region]
      map: {EU: eu.example.com}
    validations:
    - type: DpathValidator
      field_path: [ids, '*']
      validation_strategy:
        type: ValidateAdheresToSchema
        base_schema: {type: integer}
"
    );
    let manifest = Manifest::read("m.yaml", &text, "m").unwrap();
    let rules = manifest.rules().unwrap();
    let config = |text: &str| match parse(text.as_bytes()).unwrap() {
        Value::Object(map) => map,
        other => panic!("{other}"),
    };
    let old = config(r#"{"key":"secret","region":"EU","ids":[1,2]}"#);
    let migrated = manifest.migrated(old.clone(), Clock::System).unwrap();
    assert_eq!(
        Value::Object(migrated.clone()).to_string(),
        r#"{"region":"EU","ids":[1,2],"auth":{"token":"secret"}}"#
    );
    assert_eq!(
        manifest.migrated(migrated.clone(), Clock::System).unwrap(),
        migrated
    );
    let applied = rules.apply(old, Clock::System).unwrap();
    assert_eq!(
        Value::Object(applied).to_string(),
        r#"{"region":"eu.example.com","ids":[1,2],"auth":{"token":"secret"}}"#
    );
    let wrong = rules.apply(config(r#"{"ids":[true,"1"]}"#), Clock::System);
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("ids.*"), "{wrong}");
}
