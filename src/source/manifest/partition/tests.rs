//! Combinations and their bounds.

use super::{Partition, PartitionError, PartitionRouter, product};
use crate::document::parse_yaml;
use crate::json::{Map, Value};

fn partitions(key: &str, count: i64) -> Vec<Partition> {
    (0..count)
        .map(|value| Partition {
            keys: Map::from_iter([(key.to_owned(), Value::Int(value))]),
            extra_fields: Map::new(),
        })
        .collect()
}

#[test]
fn the_last_router_varies_fastest() {
    let combined = product(vec![partitions("a", 2), partitions("b", 2)]).unwrap();
    let shown: Vec<String> = combined
        .map(|partition| format!("{}", Value::Object(partition.keys)))
        .collect();
    assert_eq!(
        shown,
        [
            r#"{"b":0,"a":0}"#,
            r#"{"b":1,"a":0}"#,
            r#"{"b":0,"a":1}"#,
            r#"{"b":1,"a":1}"#
        ]
    );
}

#[test]
fn a_router_without_partitions_leaves_none() {
    let combined = product(vec![partitions("a", 2), Vec::new()]).unwrap();
    assert_eq!(combined.count(), 0);
}

#[test]
fn combinations_are_bounded() {
    let many = vec![partitions("a", 1001), partitions("b", 1000)];
    assert!(matches!(product(many), Err(PartitionError::TooMany { .. })));
}

#[test]
fn unsupported_routers_are_named() {
    let node = parse_yaml("m.yaml", "{type: GroupingPartitionRouter}").unwrap();
    let problem = PartitionRouter::build_all(&node).unwrap_err().to_string();
    assert!(
        problem.contains("GroupingPartitionRouter is not a supported partition router"),
        "{problem}"
    );
}
