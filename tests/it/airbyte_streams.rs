//! `connector-worker airbyte …` where configuration and provider say which streams there are.

use serde_json::json;

use crate::airbyte::{FILES, Site, of_type, records, statuses};

/// Tables are what the provider and the configuration say; their columns, too.
const MADE: &str = r#"
type: DeclarativeSource
version: 6.0.0
check: {type: CheckDynamicStream, stream_count: 2}
definitions:
  requester: &requester {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: projects}
  selector: &selector {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [items]}}
dynamic_streams:
- type: DynamicDeclarativeStream
  name: asked
  stream_template:
    type: DeclarativeStream
    name: ""
    retriever:
      type: SimpleRetriever
      requester: {<<: *requester, path: ""}
      record_selector: *selector
    schema_loader:
      type: DynamicSchemaLoader
      retriever: {type: SimpleRetriever, requester: {<<: *requester, path: columns}, record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}}
      schema_type_identifier:
        schema_pointer: [items]
        key_pointer: [id]
        type_pointer: [updated]
        types_mapping:
        - {type: TypesMap, current_type: 2026-02-0columns, target_type: {type: ComplexFieldType, field_type: array, items: integer}}
  components_resolver:
    type: HttpComponentsResolver
    retriever: {type: SimpleRetriever, requester: *requester, record_selector: *selector}
    components_mapping:
    - {type: ComponentMappingDefinition, field_path: [name], value: "project {{ components_values['id'] }}"}
    - {type: ComponentMappingDefinition, field_path: [retriever, requester, path], value: "tasks/{{ components_values['id'] }}"}
- type: DynamicDeclarativeStream
  stream_template:
    type: DeclarativeStream
    name: ""
    retriever: {type: SimpleRetriever, requester: *requester, record_selector: *selector}
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {}}}
  components_resolver:
    type: ConfigComponentsResolver
    stream_config: {type: StreamConfig, configs_pointer: [tables]}
    components_mapping:
    - {type: ComponentMappingDefinition, field_path: [name], value: "{{ components_values['source_config_0'][1] }}"}
spec:
  type: Spec
  connection_specification: {type: object, properties: {}}
  config_normalization_rules:
    type: ConfigNormalizationRules
    config_migrations:
    - type: ConfigMigration
      transformations:
      - {type: ConfigAddFields, fields: [{type: AddedFieldDefinition, path: [tables, "0"], value: "{{ config['table'] }}"}], condition: "{{ config.get('table') }}"}
      - {type: ConfigRemoveFields, field_pointers: [[table]]}
"#;

#[tokio::test]
async fn streams_are_made_before_they_are_listed_and_read() {
    let site = Site::new().await;
    site.write("manifest.yaml", MADE);
    let config = std::fs::read_to_string(site.directory.path().join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["table"] = json!("extra");
    site.write("config.json", &config.to_string());

    let (code, messages) = site.run(&[&["discover"], &FILES[..]].concat()).await;
    assert_eq!(code, Some(0), "{messages:?}");
    let changed = &of_type(&messages, "CONTROL")[0]["control"]["connectorConfig"]["config"];
    assert_eq!(changed["tables"], json!(["extra"]));
    assert!(changed.get("table").is_none());
    let catalog = &of_type(&messages, "CATALOG")[0]["catalog"]["streams"];
    let names: Vec<&str> = catalog
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["project 1", "project 2", "extra"]);
    assert_eq!(
        catalog[1]["json_schema"]["properties"],
        json!({"tcolumns": {"type": ["null", "array"], "items": {"type": ["null", "integer"]}}})
    );

    let (code, messages) = site.run(&[&["check"], &FILES[..]].concat()).await;
    assert_eq!(code, Some(0));
    let status = &of_type(&messages, "CONNECTION_STATUS")[0]["connectionStatus"];
    assert_eq!(status["status"], "SUCCEEDED", "{status}");

    let (code, messages) = site.read(&["project 2", "extra"], None).await;
    assert_eq!(code, Some(0));
    let ids: Vec<_> = records(&messages).iter().map(|data| &data["id"]).collect();
    assert_eq!(ids, [&json!("t2"), &json!(1), &json!(2)]);
    assert!(statuses(&messages).contains(&"project 2 COMPLETE".to_owned()));
}
