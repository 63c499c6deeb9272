//! Manifests with something wrong in them: whatever stands where, they load or say why, and what
//! loads can be built.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::catalog::{BUILT_IN, Manifest};
use super::{ManifestSource, Mode};
use crate::client::{Client, ClientConfig};
use crate::clock::Clock;
use crate::connector::ChangeDetection;
use crate::document::{Kind, Node, parse_yaml};
use crate::json::{Map, Value};
use crate::source::Source as _;

/// Components that the built-in manifests do not have.
const RARE: &str = "
type: DeclarativeSource
check: {type: CheckDynamicStream, stream_count: 1}
spec:
  type: Spec
  connection_specification: {type: object}
  config_normalization_rules:
    type: ConfigNormalizationRules
    config_migrations:
    - type: ConfigMigration
      transformations:
      - {type: ConfigRemapField, field_path: [a], map: {x: y}}
      - {type: ConfigAddFields, fields: [{path: [list], value: \"{{ ['a', 'b'] }}\"}]}
      - {type: ConfigRemoveFields, field_pointers: [[b, '*']]}
    validations:
    - type: DpathValidator
      field_path: [list]
      validation_strategy: {type: ValidateAdheresToSchema, base_schema: {type: array}}
definitions:
  stream:
    type: DeclarativeStream
    name: things
    primary_key: [[id]]
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: 'https://api.example.com', path: /things}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
      partition_router:
        type: GroupingPartitionRouter
        group_size: 2
        underlying_partition_router: {type: ListPartitionRouter, values: [a, b], cursor_field: k}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: at
      datetime_format: '%Y-%m-%dT%H:%M:%SZ'
      start_datetime: '2024-01-01T00:00:00Z'
      step: P1M
      cursor_granularity: PT1S
      clamping: {target: MONTH}
    transformations:
    - {type: AddFields, fields: [{path: [b, '0'], value: \"{{ record.id }}\"}]}
streams:
- type: ConditionalStreams
  condition: '{{ config.a }}'
  streams: [{$ref: '#/definitions/stream'}]
dynamic_streams:
- type: DynamicDeclarativeStream
  stream_template: {$ref: '#/definitions/stream', $parameters: {path: /x}}
  components_resolver:
    type: ConfigComponentsResolver
    stream_config: {type: StreamConfig, configs_pointer: [list], default_values: [{id: c}]}
    components_mapping:
    - {type: ComponentMappingDefinition, field_path: [name], value: \"{{ components_values.id }}\"}
    - type: ComponentMappingDefinition
      field_path: [retriever, '*', http_method]
      value: POST
      create_or_update: true
";

static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::new(ClientConfig::default()).unwrap());

/// What is put where something else stood.
const TEXTS: [&str; 14] = [
    "",
    "{{ config }}",
    "{{ record['x'] | int }}",
    "{% for x in range(9) %}",
    "#/definitions",
    "#/streams/0",
    "P1D",
    "P99999999Y",
    "%Y-%m-%d",
    "%s",
    "*",
    "**",
    "DeclarativeStream",
    "\u{0}\u{fffd}",
];

fn nodes(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::List(items) => items.iter().map(nodes).sum(),
        Kind::Map(entries) => entries.iter().map(|entry| nodes(&entry.value)).sum(),
        _ => 0,
    }
}

/// The node of this number, counted in the order of the document.
fn nth(node: &mut Node, mut number: usize) -> Option<&mut Node> {
    if number == 0 {
        return Some(node);
    }
    number -= 1;
    let children: Vec<&mut Node> = match &mut node.kind {
        Kind::List(items) => items.iter_mut().collect(),
        Kind::Map(entries) => entries.iter_mut().map(|entry| &mut entry.value).collect(),
        _ => return None,
    };
    for child in children {
        let size = nodes(child);
        if number < size {
            return nth(child, number);
        }
        number -= size;
    }
    None
}

fn mutate(document: &mut Node, at: usize, with: usize) {
    let size = nodes(document);
    let other = nth(document, with % size).cloned();
    let Some(place) = nth(document, at % size) else {
        return;
    };
    place.kind = match with % 20 {
        0 => Kind::Null,
        1 => Kind::Bool(true),
        2 => Kind::Int(-1),
        3 => Kind::Float(1e300),
        4 => Kind::List(Vec::new()),
        5 => Kind::Map(Vec::new()),
        6..16 => Kind::String(TEXTS[with % TEXTS.len()].to_owned()),
        _ => other.map_or(Kind::Null, |other| other.kind),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_manifest_with_mistakes_loads_or_says_why(
        which in 0..=BUILT_IN.len(),
        changes in prop::collection::vec((any::<usize>(), any::<usize>()), 1..4),
    ) {
        let text = BUILT_IN.get(which).map_or(RARE, |(_, text)| text);
        let mut document = parse_yaml("m.yaml", text).unwrap();
        for (at, with) in changes {
            mutate(&mut document, at, with);
        }
        match Manifest::of_node("m.yaml", &document, "m") {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(manifest) => {
                let manifest = Arc::new(manifest);
                for mode in [Mode::Worker, Mode::Reference] {
                    let source = ManifestSource::of_config(
                        manifest.clone(),
                        Value::Object(Map::new()),
                        ChangeDetection::default(),
                        CLIENT.clone(),
                        Clock::System,
                        mode,
                    );
                    for spec in source.streams() {
                        prop_assert!(spec.unavailable.as_deref() != Some(""));
                    }
                }
            }
        }
    }
}
