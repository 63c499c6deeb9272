//! Combinations and their bounds.

use super::{Grouping, Partition, PartitionError, PartitionRouter, product};
use crate::document::parse_yaml;
use crate::json::{Map, Value};

fn partitions(key: &str, count: i64) -> Vec<Partition> {
    (0..count)
        .map(|value| Partition {
            keys: Map::from_iter([(key.to_owned(), Value::Int(value))]),
            extra_fields: Map::new(),
            mark: None,
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
    let node = parse_yaml("m.yaml", "{type: CustomPartitionRouter}").unwrap();
    let problem = PartitionRouter::build_all(&node).unwrap_err().to_string();
    assert!(
        problem.contains("CustomPartitionRouter is not a supported partition router"),
        "{problem}"
    );
}

#[test]
fn groups_gather_the_values_of_their_partitions() {
    let node = parse_yaml("m.yaml", "{type: GroupingPartitionRouter, group_size: 2}").unwrap();
    let mut groups = Grouping::build(&node).unwrap().groups();
    let mut shown = Vec::new();
    for mut partition in [partitions("a", 3), partitions("a", 1)].concat() {
        partition.extra_fields.insert("name".to_owned(), "x".into());
        shown.extend(groups.push(partition).unwrap());
    }
    shown.extend(groups.finish());
    let shown: Vec<String> = shown
        .into_iter()
        .map(|group| {
            format!(
                "{} {}",
                Value::Object(group.keys),
                Value::Object(group.extra_fields)
            )
        })
        .collect();
    // The second 0 counts no more.
    assert_eq!(
        shown,
        [
            r#"{"a":[0,1]} {"name":["x","x"]}"#,
            r#"{"a":[2]} {"name":["x"]}"#
        ]
    );
    let two = product(vec![partitions("a", 1), partitions("b", 1)]).unwrap();
    for partition in two {
        assert_eq!(groups.push(partition), Err(PartitionError::NotOneKey));
    }
    let node = parse_yaml("m.yaml", "{type: GroupingPartitionRouter, group_size: 0}").unwrap();
    assert!(Grouping::build(&node).is_err());
}
