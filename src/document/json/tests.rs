//! Places and words of every syntax problem, and agreement with `serde_json`.

use proptest::prelude::*;

use super::*;

fn mistake(text: &str) -> String {
    parse_json("c.json", text).unwrap_err().to_string()
}

#[test]
fn every_mistake_names_its_place_and_the_fix() {
    let cases = [
        ("", "c.json:1:1: the file is empty"),
        ("{\"a\": 1,}", "c.json:1:8: trailing comma"),
        ("[1, 2,\n]", "c.json:1:6: trailing comma"),
        ("{\"a\": 1\n \"b\": 2}", "c.json:1:8: a comma is missing"),
        ("{'a': 1}", "c.json:1:2: text in single quotes"),
        ("{\"a\": 'x'}", "c.json:1:7: text in single quotes"),
        ("{ // no\n}", "c.json:1:3: JSON has no comments"),
        ("{ /* no */ }", "c.json:1:3: JSON has no comments"),
        ("# no\n{}", "c.json:1:1: JSON has no comments"),
        (
            "{\"a\": \"x\n\"}",
            "c.json:1:7: text without a closing quote",
        ),
        ("{\"a\": \"x", "c.json:1:7: text without a closing quote"),
        (
            "{a: 1}",
            "c.json:1:2: the key a has no quotes (write \"a\")",
        ),
        (
            "{\"a\" 1}",
            "c.json:1:6: a colon is missing after the key \"a\"",
        ),
        ("{\"a\"= 1}", "c.json:1:5: = after the key"),
        (
            "{\"a\": True}",
            "c.json:1:7: True is no JSON value (write true)",
        ),
        ("{\"a\": }", "c.json:1:7: a value is missing"),
        ("{\"a\": 01}", "c.json:1:7: a number starts with a zero"),
        ("{\"a\": .5}", "c.json:1:7: a number starts with a point"),
        ("{\"a\": 5.}", "c.json:1:7: a number ends with a point"),
        ("{\"a\": +5}", "c.json:1:7: a number with a plus sign"),
        ("{\"a\": 5s}", "c.json:1:7: a number with other characters"),
        ("{\"a\": 1e}", "c.json:1:7: a number with an empty exponent"),
        ("{\"a\": -}", "c.json:1:7: a minus sign without a number"),
        (
            "{\"a\": [1}",
            "c.json:1:9: the list opened in line 1, column 7",
        ),
        ("{\"a\": {", "c.json:1:8: the file ends inside the object"),
        ("{} {}", "c.json:1:4: text after the end"),
        ("{}}", "c.json:1:3: text after the end"),
        ("[1,,2]", "c.json:1:4: two commas in a row"),
        ("[,1]", "c.json:1:2: a value is missing"),
        ("[1;2]", "c.json:1:3: a semicolon"),
        ("[\"a\":1]", "c.json:1:5: a colon inside a list"),
        ("[\"\\x\"]", "c.json:1:3: JSON has no such escape"),
        ("[\"\\u12\"]", "c.json:1:3: \\u without four"),
        ("[\"\\ud800\"]", "c.json:1:3: half of a surrogate pair"),
        ("[\"\u{1}\"]", "c.json:1:3: control character U+0001"),
        ("{“a”: 1}", "c.json:1:2: typographic quotes"),
        (
            "{\"ä\": 1,\u{a0}\"b\": 2}",
            "c.json:1:9: invisible character U+00A0",
        ),
        (
            "{\"a\":1,\n\"a\":2}",
            "c.json:2:1: key \"a\" is repeated; it stands in line 1",
        ),
    ];
    for (text, start) in cases {
        let shown = mistake(text);
        assert!(shown.starts_with(start), "{text:?} gave {shown}");
    }
}

#[test]
fn columns_count_characters_and_a_bom_counts_nothing() {
    let node = parse_json("c.json", "\u{feff}{\"äöü\": [\"€\", 7]}").unwrap();
    let list = node.get("äöü").unwrap();
    assert_eq!(node.at, Position { line: 1, column: 1 });
    assert_eq!(list.at.column, 9);
    assert_eq!(list.items()[1].at.column, 15);
}

#[test]
fn carriage_returns_do_not_shift_lines() {
    let node = parse_json("c.json", "{\r\n  \"a\": 1\r\n}").unwrap();
    assert_eq!(node.entries()[0].key_at, Position { line: 2, column: 3 });
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse_json("c.json", &nested(MAX_DEPTH)).is_ok());
    assert!(mistake(&nested(MAX_DEPTH + 1)).contains("nested deeper than 128"));
    assert!(mistake(&"[".repeat(1_000_000)).contains("nested deeper"));
}

#[test]
fn numbers_keep_their_size() {
    let kinds = |text: &str| parse_json("c.json", text).unwrap().kind;
    assert_eq!(kinds("9223372036854775807"), Kind::Int(i64::MAX));
    assert_eq!(
        kinds("9223372036854775808"),
        Kind::BigNumber("9223372036854775808".into())
    );
    assert_eq!(kinds("1e400"), Kind::BigNumber("1e400".into()));
    assert_eq!(kinds("1.0"), Kind::Float(1.0));
}

#[test]
fn bytes_that_are_not_utf_8_are_placed() {
    let shown = decode("c.json", b"{\n \"a\": \"\xff\"}")
        .unwrap_err()
        .to_string();
    assert_eq!(
        shown,
        "c.json:2:8: the file is not UTF-8 here (save it as UTF-8)"
    );
    let shown = decode("c.json", b"\xff\xfe{\0").unwrap_err().to_string();
    assert_eq!(shown, "c.json:1:1: the file is UTF-16 (save it as UTF-8)");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn to_serde(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Int(value) => (*value).into(),
        Kind::Float(value) => (*value).into(),
        Kind::BigNumber(text) => serde_json::from_str(text).unwrap(),
        Kind::String(text) => text.clone().into(),
        Kind::List(items) => items.iter().map(to_serde).collect(),
        Kind::Map(entries) => serde_json::Value::Object(
            entries
                .iter()
                .map(|e| (e.key.clone(), to_serde(&e.value)))
                .collect(),
        ),
    }
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let node = parse_json("c.json", &text).unwrap();
            prop_assert_eq!(to_serde(&node), value.clone());
        }
    }

    #[test]
    fn accepts_only_what_serde_json_accepts(text in "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,24}") {
        if parse_json("c.json", &text).is_ok() {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse_json("c.json", &text);
    }
}
