//! What resolution makes of documents, and where it sees problems.

use proptest::prelude::*;

use super::{normalise, resolve};
use crate::document::{Node, parse_yaml};

fn read(text: &str) -> Node {
    parse_yaml("m.yaml", text).unwrap()
}

fn problem(text: &str) -> String {
    resolve("m.yaml", &read(text)).unwrap_err().to_string()
}

#[test]
fn problems_name_the_place_and_the_fix() {
    let chain = (0..300).fold("a0: 1\n".to_owned(), |text, n| {
        format!("{text}a{}: '#/a{n}'\n", n + 1)
    });
    let bomb = (0..40).fold("a0: [1, 1]\n".to_owned(), |text, n| {
        format!("{text}a{}: ['#/a{n}', '#/a{n}']\n", n + 1)
    });
    let parameters = (0..12).fold("type: T\n$parameters:\n".to_owned(), |text, n| {
        format!("{text}  p{n}: {{type: X}}\n")
    });
    let cases = [
        (
            "a: {x: '#/b'}\nb: '#/a'",
            "m.yaml:1:8: the reference leads back to itself: #/b → #/a → #/b",
        ),
        (
            "a: {$ref: '#/definitions/x'}\ndefinitions: {y1: 1}",
            "m.yaml:1:11: nothing stands at #/definitions/x (#/definitions/ has y1)",
        ),
        (
            "a: '#/definitions/steam'\ndefinitions: {stream: 1}",
            "m.yaml:1:4: nothing stands at #/definitions/steam (did you mean #/definitions/stream?)",
        ),
        (
            "a: '#/b/7'\nb: [1]",
            "m.yaml:1:4: nothing stands at #/b/7 (#/b/ is a list of 1)",
        ),
        (
            "a: '#/b/c'\nb: 1",
            "m.yaml:1:4: nothing stands at #/b/c (#/b/ is neither a map nor a list)",
        ),
        ("[a]", "m.yaml:1:1: a manifest is a map of fields"),
        (
            "type: T\n$parameters: [a]",
            "m.yaml:2:1: $parameters is a list",
        ),
        (
            "a: {type: HttpRequester, request_body: {type: RequestBodyJson}}",
            "m.yaml:1:47: request_body cannot be of type RequestBodyJson (did you mean RequestBodyJsonObject?)",
        ),
        (&chain, "m.yaml:"),
        (&bomb, "m.yaml:"),
        (&parameters, "m.yaml:"),
    ];
    for (text, expected) in cases {
        let shown = problem(text);
        assert!(shown.starts_with(expected), "{shown}");
    }
}

#[test]
fn both_spellings_of_a_requester_become_one() {
    let cases = [
        (
            "{type: HttpRequester, url_base: u, path: p}",
            r#"{"type":"HttpRequester","path":"p","url":"u"}"#,
        ),
        (
            "{type: HttpRequester, url: u, url_base: ''}",
            r#"{"type":"HttpRequester","url":"u"}"#,
        ),
        (
            "{type: HttpRequester, request_body: {type: RequestBodyJsonObject, value: {a: 1}}}",
            r#"{"type":"HttpRequester","request_body_json":{"a":1}}"#,
        ),
        (
            "{type: HttpRequester, request_body: {type: RequestBodyPlainText, value: x}}",
            r#"{"type":"HttpRequester","request_body_data":"x"}"#,
        ),
        (
            "{type: Other, url_base: u}",
            r#"{"type":"Other","url_base":"u"}"#,
        ),
    ];
    for (text, expected) in cases {
        let node = normalise::spellings(read(text)).unwrap();
        assert_eq!(node.to_value().to_string(), expected, "{text}");
    }
}

#[test]
fn a_value_keeps_the_place_it_came_from() {
    let node = resolve(
        "m.yaml",
        &read("a: {$ref: '#/b', y: 2}\nb:\n  x: 1\n  y: 1"),
    )
    .unwrap();
    let a = node.get("a").unwrap();
    let place = |key: &str| a.get(key).map(|node| (node.at.line, node.at.column));
    assert_eq!(place("x"), Some((3, 6)));
    assert_eq!(place("y"), Some((1, 21)));
}

/// Documents full of references, parameters and types, right and wrong.
fn documents() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "''",
        "x",
        "'#/a'",
        "'#/b/c'",
        "'#/c/0'",
        "'#/'",
        "HttpRequester",
        "object",
        "~",
    ])
    .prop_map(str::to_owned);
    let key = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "$ref",
        "type",
        "$parameters",
        "request_body",
        "url_base",
        "value",
    ]);
    let tree = leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec((key.clone(), inner.clone()), 0..5).prop_map(|entries| {
                let members: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }),
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    });
    prop::collection::vec(tree, 3)
        .prop_map(|trees| format!("a: {}\nb: {}\nc: {}\n", trees[0], trees[1], trees[2]))
}

proptest! {
    #[test]
    fn any_document_resolves_or_is_a_problem(text in documents()) {
        let document = read(&text);
        if let Err(problem) = resolve("m.yaml", &document) {
            prop_assert!(problem.at.is_some() && problem.fix.is_some(), "{problem}");
        }
    }
}
