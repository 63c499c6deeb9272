//! Against `serde_json` as the reference, and on the cases that a tree loses.

use proptest::prelude::*;

use super::*;

fn version(text: &str) -> String {
    canonical_hash(text.as_bytes(), &Ignored::default())
        .unwrap()
        .to_string()
}

fn elements_of<'t>(text: &'t str, path: &[&str]) -> Option<Vec<&'t str>> {
    let ranges = elements(text.as_bytes(), path).unwrap()?;
    Some(ranges.into_iter().map(|range| &text[range]).collect())
}

#[test]
fn spelling_does_not_change_a_version() {
    for (one, other) in [
        (r#"{"a":1,"b":2}"#, r#" { "b" : 2, "a" : 1 } "#),
        ("1", "1.0"),
        ("1", "10e-1"),
        ("100", "1E2"),
        ("-0", "0"),
        ("0.00", "0e7"),
        ("12345678901234567890123", "1.2345678901234567890123e22"),
        (r#""A\/é""#, r#""\u0041/\u00e9""#),
        (r#""\ud83d\ude00""#, "\"😀\""),
    ] {
        assert_eq!(version(one), version(other), "{one} {other}");
    }
}

#[test]
fn content_changes_a_version() {
    let texts = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "10",
        "0.1",
        "1e400",
        "1e401",
        "\"\"",
        "\"0\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[1,2]",
        "[2,1]",
        "[1,[2]]",
        "[[1],2]",
        r#"{"a":1}"#,
        r#"{"a":"1"}"#,
        r#"{"b":1}"#,
        r#"{"a":{"b":1}}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":null}"#,
        r#""\ud800""#,
        r#""\ud801""#,
        r#""\u0000""#,
        "12345678901234567890",
        "12345678901234567891",
    ];
    let versions: std::collections::BTreeSet<_> = texts.iter().map(|text| version(text)).collect();
    assert_eq!(versions.len(), texts.len());
}

#[test]
fn ignored_fields_do_not_count() {
    let ignored = Ignored::new(&["/seen".parse().unwrap(), "/a/b~1c".parse().unwrap()]);
    let hash = |text: &str| canonical_hash(text.as_bytes(), &ignored).unwrap();
    assert_eq!(
        hash(r#"{"k":1,"seen":5,"a":{"b/c":1,"d":2}}"#),
        hash(r#"{"k":1,"a":{"d":2}}"#)
    );
    assert_ne!(
        hash(r#"{"k":1,"a":{"d":2}}"#),
        hash(r#"{"k":1,"a":{"d":3}}"#)
    );
}

#[test]
fn an_instant_counts_as_the_instant() {
    let pointers = ["/f/updated".parse().unwrap()];
    let hash = |text: &str| fields_hash(text.as_bytes(), &pointers).unwrap();
    let jira = hash(r#"{"f":{"updated":"2022-07-16T06:31:38.612+0800"}}"#);
    assert_eq!(
        jira,
        hash(r#"{"x":1,"f":{"updated":"2022-07-15T14:31:38.612-0800"}}"#)
    );
    assert_eq!(
        jira,
        hash(r#"{"f":{"updated":"2022-07-15T22:31:38.612Z"}}"#)
    );
    assert_ne!(
        jira,
        hash(r#"{"f":{"updated":"2022-07-15T22:31:38.613Z"}}"#)
    );
    assert_ne!(
        hash(r#"{"f":{"updated":"2022-07-15"}}"#),
        hash(r#"{"f":{"updated":"2022-07-16"}}"#)
    );
    assert_eq!(hash(r#"{"f":{"updated":null}}"#), hash("{}"));
}

#[test]
fn elements_are_found_by_path() {
    assert_eq!(
        elements_of("[1, {\"a\":2} ,[3]]", &[]),
        Some(vec!["1", "{\"a\":2}", "[3]"])
    );
    assert_eq!(
        elements_of(
            r#"{"x":1,"data":{"items":[{},{"a":"]"}]}}"#,
            &["data", "items"]
        ),
        Some(vec!["{}", r#"{"a":"]"}"#])
    );
    assert_eq!(
        elements_of(r#"[{"a":[1]},{"a":[2]}]"#, &["1", "a"]),
        Some(vec!["2"])
    );
    assert_eq!(
        elements_of(r#"{"data":{"a":1}}"#, &["data"]),
        Some(vec![r#"{"a":1}"#])
    );
    assert_eq!(elements_of(r#"{"data":{ }}"#, &["data"]), Some(vec![]));
    assert_eq!(elements_of(r#"{"data":"x"}"#, &["data"]), None);
    assert_eq!(elements_of(r#"{"data":null}"#, &["items"]), None);
    assert_eq!(elements_of(r#"{"a":[1],"a":[2]}"#, &["a"]), Some(vec!["2"]));
    assert_eq!(elements_of(r#"{"\u0061":[1]}"#, &["a"]), Some(vec!["1"]));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[1",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "[1] x",
        "]",
        "{\"a\":1]",
        "nul",
    ] {
        assert!(validate(text.as_bytes()).is_err(), "{text}");
        assert!(parse(text.as_bytes()).is_err(), "{text}");
        assert!(elements(text.as_bytes(), &["a"]).is_err(), "{text}");
        let hashed = elements_with_versions(text.as_bytes(), &["a"], &Ignored::default());
        assert!(hashed.is_err(), "{text}");
    }
    assert!(validate(b"\"\xff\"").is_err());
    assert!(validate("[".repeat(100_000).as_bytes()).is_err());
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_field_is_found_without_reading_the_rest() {
    let record = br#"{"a":{"b":[10,{"c":"x\"y"}]},"d":1,#"#;
    let at = |pointer: &str| get(record, &pointer.parse().unwrap()).map(text_of);
    assert_eq!(at("/a/b/1/c").as_deref(), Some("x\"y"));
    assert_eq!(at("/a/b/0").as_deref(), Some("10"));
    assert_eq!(at("/d").as_deref(), Some("1"));
    assert_eq!(at("/a/b/2"), None);
    assert_eq!(at("/a/x"), None);
    assert_eq!(at("/d/x"), None);
}

#[test]
fn numbers_keep_what_they_are() {
    let written =
        |text: &str| String::from_utf8(parse(text.as_bytes()).unwrap().to_json()).unwrap();
    for text in [
        "1",
        "1.0",
        "-7",
        "12345678901234567890123",
        "1e400",
        "0.1",
        "1.5e300",
    ] {
        assert_eq!(written(text), text);
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_read_as_serde_reads_it(json in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        validate(text.as_bytes()).unwrap();
        let ours = parse(text.as_bytes()).unwrap().to_json();
        prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(&ours).unwrap(), &json);
        prop_assert_eq!(version(&text), version(std::str::from_utf8(&ours).unwrap()));
        let compacted = compact(text.as_bytes());
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&compacted).unwrap(), json);
    }

    #[test]
    fn any_bytes_are_judged_as_serde_judges_them(bytes in prop::collection::vec(prop_oneof![
        Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b','), Just(b':'), Just(b'1'),
        Just(b'.'), Just(b'e'), Just(b'-'), Just(b'\\'), Just(b'u'), Just(b' '), any::<u8>(),
    ], 0..24)) {
        let serde = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok()
            && std::str::from_utf8(&bytes).is_ok();
        prop_assert_eq!(validate(&bytes).is_ok(), serde);
        prop_assert_eq!(parse(&bytes).is_ok(), serde);
    }

    #[test]
    fn the_order_of_keys_does_not_change_a_version(pairs in prop::collection::btree_map("[a-c]{1,3}", any_json(), 0..6), seed: u64) {
        let forward: Vec<_> = pairs.iter().collect();
        let mut shuffled = forward.clone();
        shuffled.rotate_left(usize::try_from(seed % (forward.len().max(1) as u64)).unwrap());
        shuffled.reverse();
        let write = |pairs: &[(&String, &serde_json::Value)]| {
            let members: Vec<_> = pairs.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap())).collect();
            format!("{{{}}}", members.join(","))
        };
        prop_assert_eq!(version(&write(&forward)), version(&write(&shuffled)));
    }
}
