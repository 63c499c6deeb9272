//! What YAML texts become, and what is refused where.

use proptest::prelude::*;

use super::parse_yaml;
use crate::document::{Kind, Node, Problem};

fn json(text: &str) -> String {
    match parse_yaml("m.yaml", text) {
        Ok(node) => node.to_value().to_string(),
        Err(problem) => problem.to_string(),
    }
}

fn problem(text: &str) -> Problem {
    parse_yaml("m.yaml", text).unwrap_err()
}

#[test]
fn plain_scalars_are_typed_by_the_rules_of_1_1() {
    let cases = [
        ("yes", "true"),
        ("Off", "false"),
        ("yEs", r#""yEs""#),
        ("y", r#""y""#),
        ("~", "null"),
        ("", "null"),
        ("Null", "null"),
        ("5", "5"),
        ("-5", "-5"),
        ("+5", "5"),
        ("1_000", "1000"),
        ("012", "10"),
        ("08", r#""08""#),
        ("0o17", r#""0o17""#),
        ("0x_1F", "31"),
        ("-0x1f", "-31"),
        ("0b101", "5"),
        ("0b", r#""0b""#),
        ("0x", r#""0x""#),
        ("0", "0"),
        ("00", "0"),
        ("-0", "0"),
        ("1:30", "90"),
        ("12:30:45", "45045"),
        ("1:60", r#""1:60""#),
        ("01:30", r#""01:30""#),
        ("1:30.5", "90.5"),
        ("99999999999999999999", "99999999999999999999"),
        ("0xffffffffffffffff", "18446744073709551615"),
        ("1.5", "1.5"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("-.5", r#""-.5""#),
        ("1_0.5", "10.5"),
        ("1e3", r#""1e3""#),
        ("1.5e3", r#""1.5e3""#),
        ("1.5e+3", "1500.0"),
        ("1.0e+400", r#""1.0e+400""#),
        (".inf", r#"".inf""#),
        (".nan", r#"".nan""#),
        (".", r#"".""#),
        ("1.2.3", r#""1.2.3""#),
        ("2024-01-01", r#""2024-01-01""#),
        ("2024-01-01T00:00:00Z", r#""2024-01-01T00:00:00Z""#),
        ("'5'", r#""5""#),
        ("\"yes\"", r#""yes""#),
        ("|-\n  5\n", r#""5""#),
        ("|\n  5", r#""5""#),
        ("|\n  5\n", r#""5\n""#),
        ("!!str 5", r#""5""#),
        ("! 5", r#""5""#),
        ("!!int '5'", "5"),
        ("!!float 5", "5.0"),
        ("!!bool 'YES'", "true"),
    ];
    for (text, expected) in cases {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    let cases = [
        ("a: &x {k: 1}\nb: *x", r#"{"a":{"k":1},"b":{"k":1}}"#),
        (
            "a: &x {k: 1, l: 2}\nb: {l: 3, <<: *x, m: 4}",
            r#"{"a":{"k":1,"l":2},"b":{"k":1,"l":3,"m":4}}"#,
        ),
        (
            "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc:\n  <<: [*x, *y]",
            r#"{"a":{"k":1},"b":{"k":2,"l":2},"c":{"k":1,"l":2}}"#,
        ),
        ("a: &x k\n*x : 1", r#"{"a":"k","k":1}"#),
        ("'<<': {k: 1}", r#"{"<<":{"k":1}}"#),
        ("a: 1\nb: 2\na: 3", r#"{"a":3,"b":2}"#),
        ("404: x\nyes: y", r#"{"404":"x","yes":"y"}"#),
    ];
    for (text, expected) in cases {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn problems_name_the_place_and_the_fix() {
    let bomb = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(99));
    let cases = [
        ("a:\n\t- b", "m.yaml:2:2", "indent with spaces"),
        ("a: \"b", "m.yaml:", "close the quotation mark"),
        ("a: b: c", "m.yaml:1:5", "quotation marks"),
        ("a: *b", "m.yaml:1:4", "define the anchor"),
        ("a: &a [*a]", "m.yaml:1:8", "only after its value ends"),
        ("a: [1, 2", "m.yaml:", "close the bracket"),
        ("a: 1\n---\nb: 2", "m.yaml:2:1", "one document per file"),
        (
            "a: !python/object:os.system x",
            "m.yaml:1:4",
            "remove the tag",
        ),
        ("a: !!int x", "m.yaml:1:4", "remove the tag"),
        ("a: !!set {x}", "m.yaml:1:4", "remove the tag"),
        ("[a]: 1", "m.yaml:1:1", "plain text"),
        ("a: {{ config['x'] }}", "m.yaml:1:", "quotation marks"),
        ("a: 1\n<<: 2", "m.yaml:2:5", "alias of a map"),
        ("a: \u{7}", "m.yaml:1:4", "escape"),
        (&"[".repeat(5000), "m.yaml:1:", "flatten"),
        (&"- ".repeat(5000), "m.yaml:1:257", "flatten"),
        (&bomb, "m.yaml:", "fewer aliases"),
        (&long, "m.yaml:2:", "fewer aliases"),
    ];
    for (text, place, fix) in cases {
        let shown = problem(text).to_string();
        let start: String = text.chars().take(60).collect();
        assert!(shown.starts_with(place), "{start}: {shown}");
        assert!(shown.contains(fix), "{start}: {shown}");
    }
}

#[test]
fn values_and_keys_know_where_they_stand() {
    let node = parse_yaml("m.yaml", "\u{feff}a:\n  - é: 'x'\n    k: {z: [1, 22]}\n").unwrap();
    let places: Vec<(u32, u32)> = walk(&node).map(|at| (at.line, at.column)).collect();
    // root, a, list, map, é, 'x', k, map, z, list, 1, 22
    let expected = [
        (1, 1),
        (1, 1),
        (2, 3),
        (2, 5),
        (2, 5),
        (2, 8),
        (3, 5),
        (3, 8),
        (3, 9),
        (3, 12),
        (3, 13),
        (3, 16),
    ];
    assert_eq!(places, expected);
}

fn walk(node: &Node) -> Box<dyn Iterator<Item = crate::document::Position> + '_> {
    let below: Box<dyn Iterator<Item = _>> = match &node.kind {
        Kind::List(items) => Box::new(items.iter().flat_map(walk)),
        Kind::Map(entries) => Box::new(
            entries
                .iter()
                .flat_map(|entry| std::iter::once(entry.key_at).chain(walk(&entry.value))),
        ),
        _ => Box::new(std::iter::empty()),
    };
    Box::new(std::iter::once(node.at).chain(below))
}

proptest! {
    #[test]
    fn any_text_is_a_tree_or_a_problem(text in "[ -~\n\t]{0,60}") {
        let _ = parse_yaml("m.yaml", &text);
    }

    #[test]
    fn any_arrangement_of_yaml_tokens_is_a_tree_or_a_problem(
        tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "a", ": ", "- ", "\n", "  ", "&x ", "*x", "<<: ", "{", "}", "[", "]", ", ", "? ",
                "\"", "'", "|", ">", "!!int ", "! ", "---", "...", "#", "%", "\t", "1:30", "é", "\u{feff}",
            ]),
            0..40,
        )
    ) {
        let _ = parse_yaml("m.yaml", &tokens.concat());
    }
}
