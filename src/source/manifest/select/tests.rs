//! What is kept as it was sent, what is rewritten, and what is handed back.

use super::{RecordSelector, Selected};
use crate::clock::Clock;
use crate::document::parse_yaml;
use crate::json::{Ignored, Map, Value, canonical_hash};
use crate::source::manifest::template::Context;

fn select(selector: &str, transformations: &str, body: &str) -> Selected {
    let selector =
        format!("{{extractor: {{type: DpathExtractor, field_path: [items]}}, {selector}}}");
    let transformations = parse_yaml("m.yaml", transformations).unwrap();
    let node = parse_yaml("m.yaml", &selector).unwrap();
    let selector = RecordSelector::build(&node, transformations.items(), None, false).unwrap();
    let config = Value::Object(Map::new());
    let context = Context::new(Clock::System).with("config", &config);
    let ignored = Ignored::default();
    let selected = selector
        .select(&[body.to_owned().into()], &context, Some(&ignored))
        .unwrap();
    // Found while the record was cut out, and only where it is what the pipeline would find.
    for record in &selected.records {
        let version = canonical_hash(record, &ignored).unwrap();
        let expected = transformations.items().is_empty().then_some(version);
        assert_eq!(record.version(), expected);
    }
    selected
}

fn shown(selected: &Selected) -> Vec<&str> {
    let records = selected.records.iter();
    records
        .map(|record| std::str::from_utf8(record).unwrap())
        .collect()
}

const ADD: &str = "[{type: AddFields, fields: [{path: [n], value: '{{ record.id * 2 }}'}]}]";

#[test]
fn records_that_nothing_rewrites_stay_byte_for_byte() {
    let odd = r#"{ "id":1e400,"big":123456789012345678901234567890, "s":"\ud800" }"#;
    let body = format!(r#"{{"items": [ {odd} , {{}} ]}}"#);
    let selected = select("", "[]", &body);
    assert_eq!(shown(&selected), [odd, "{}"]);
    let filter = "record_filter: {type: RecordFilter, condition: \"{{ 's' in record }}\"}";
    let selected = select(filter, "[]", &body);
    assert_eq!(shown(&selected), [odd]);
    assert_eq!(selected.extracted, 2);
}

#[test]
fn what_is_no_object_is_handed_back_with_its_reason() {
    let selected = select("", "[]", r#"{"items": [1, {"id":1}, null, [], "x"]}"#);
    assert_eq!(shown(&selected), [r#"{"id":1}"#]);
    assert_eq!(selected.extracted, 5);
    let rejected: Vec<&[u8]> = selected.rejected.iter().map(|one| &one.data[..]).collect();
    assert_eq!(rejected, [&b"1"[..], b"null", b"[]", b"\"x\""]);
}

#[test]
fn one_record_that_fails_does_not_stop_the_rest() {
    let path = "[{type: AddFields, fields: [{path: [a, b], value: x}]}]";
    let selected = select("", path, r#"{"items": [{"a":1}, {"a":{}}]}"#);
    assert_eq!(shown(&selected), [r#"{"a":{"b":"x"}}"#]);
    let reason = &selected.rejected[0].reason;
    assert!(reason.contains("cannot set a.b: a is neither"), "{reason}");
}

#[test]
fn filters_see_transformed_records_where_the_manifest_says_so() {
    let filter = "record_filter: {type: RecordFilter, condition: '{{ record.n == 2 }}'}";
    let body = r#"{"items": [{"id":1}, {"id":2}]}"#;
    assert_eq!(shown(&select(filter, ADD, body)), [""; 0]);
    let first = format!("transform_before_filtering: true, {filter}");
    assert_eq!(shown(&select(&first, ADD, body)), [r#"{"id":1,"n":2}"#]);
}
