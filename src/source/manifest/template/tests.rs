//! Templates against the reference's answers, and hostile ones against the bounds.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::{
    Binding, Context, EvalError, Literal, Nested, Parameter, SliceView, Template, ValueType,
};
use crate::clock::Clock;
use crate::json::{Map, Value};

const NOW: &str = "2025-06-17T10:30:45.123456Z";

fn clock() -> Clock {
    Clock::Frozen(NOW.parse::<Timestamp>().unwrap())
}

fn json(text: &str) -> Value {
    crate::json::parse(text.as_bytes()).unwrap()
}

/// What a template in single-field place gives with this config.
fn value(template: &str, config: &str) -> Result<Literal, EvalError> {
    let config = json(config);
    let template = Template::compile(template).unwrap_or_else(|e| panic!("{template}: {e}"));
    template.value(&Context::new(clock()).with("config", &config))
}

fn python(template: &str) -> String {
    let config = r#"{"s":"abc","n":7,"f":2.5,"t":true,"no":false,"z":null,"l":[1,"a",null],"m":{"k":1,"items":5},"d":"2024-01-01","_id":"u","big":123456789012345678901234567890}"#;
    match value(template, config) {
        Ok(Literal::Str(text)) => text,
        Ok(literal) => format!("={literal}"),
        Err(EvalError::Undefined { .. }) => "undefined".to_owned(),
        Err(EvalError::UnknownVariable { name }) => format!("unknown {name}"),
        Err(EvalError::Failed { .. }) => "failed".to_owned(),
    }
}

#[test]
fn templates_compute_what_the_reference_computes() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors/interpolation.json");
    let vectors = json(&std::fs::read_to_string(path).unwrap());
    let items = vectors.get("items").and_then(Value::as_array).unwrap();
    let (definitions, cases) = items.split_first().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let vector = Vector { case, definitions };
        let found = vector.run();
        // Python keeps the two halves of a character that JSON escaped as two; we join them.
        let wanted = match text(case, "id") {
            "interpolation-213" => Some(Value::from("Grüße 🚀")),
            _ => vector.wanted(),
        };
        if found != wanted {
            let id = text(case, "id");
            let template = text(case, "template");
            wrong.push(format!("{id} {template:?}: {found:?}, not {wanted:?}"));
        }
    }
    assert_eq!(cases.len(), 652);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// One case of the vectors.
struct Vector<'v> {
    case: &'v Value,
    definitions: &'v Value,
}

impl<'v> Vector<'v> {
    /// The result on record, `None` for an error.
    fn wanted(&self) -> Option<Value> {
        self.case.get("result").unwrap().get("value").cloned()
    }

    /// A value of the context; `$CONFIG` stands for the shared one.
    fn given(&self, name: &str) -> Option<&'v Value> {
        let value = self.case.get("context").unwrap().get(name)?;
        match value.as_str() {
            Some(shared) => self.definitions.get(&shared[1..]),
            None => Some(value),
        }
    }

    fn run(&self) -> Option<Value> {
        let template = Template::compile(text(self.case, "template")).ok()?;
        let empty = Map::new();
        let part = |name: &str| {
            let slice = self.given("stream_slice");
            slice
                .and_then(|slice| slice.get(name))
                .and_then(Value::as_object)
                .unwrap_or(&empty)
        };
        let slice = SliceView {
            partition: part("partition"),
            cursor: part("cursor_slice"),
            extra_fields: part("extra_fields"),
        };
        let parameters = Value::Object(Map::new());
        let mut context = Context::new(clock())
            .with("config", self.given("config"))
            .with(
                "parameters",
                self.given("parameters").unwrap_or(&parameters),
            );
        for name in ["record", "next_page_token"] {
            if let Some(value) = self.given(name) {
                context.set(name, value);
            }
        }
        if self.given("stream_slice").is_some() {
            context.set("stream_slice", slice);
        }
        self.evaluate(&template, &context)
    }

    fn evaluate(&self, template: &Template, context: &Context<'_>) -> Option<Value> {
        match text(self.case, "where") {
            "string" => template.value(context).ok().map(portable),
            "mapping_value" => {
                let value = portable(template.mapping_value(context).ok()?);
                Some(Value::Object(Map::from_iter([("k".to_owned(), value)])))
            }
            "boolean" => template.boolean(context).ok().map(Value::Bool),
            "add_fields" => {
                let value = match text(self.case, "value_type") {
                    "string" => template.value_of_type(context, ValueType::String),
                    "number" => template.value_of_type(context, ValueType::Number),
                    "integer" => template.value_of_type(context, ValueType::Integer),
                    "boolean" => template.value_of_type(context, ValueType::Boolean),
                    _ => template.value(context),
                };
                let out = portable(value.ok()?);
                let present = ("present".to_owned(), Value::Bool(true));
                Some(Value::Object(Map::from_iter([
                    present,
                    ("out".to_owned(), out),
                ])))
            }
            "path" => {
                let base = text(self.case.get("definition").unwrap(), "url_base");
                let path = template.text(context).ok()?;
                Some(Value::from(joined(base, &path)))
            }
            place => request(place, template, context),
        }
    }
}

/// The request that the reference sends with the template under the key `k`.
fn request(place: &str, template: &Template, context: &Context<'_>) -> Option<Value> {
    let mut url = "https://api.example.com/v1/items".to_owned();
    let mut headers = Map::new();
    let mut body = Value::Null;
    match place {
        "request_parameters" | "request_body_data" => {
            let parameter = template.parameter(context).ok()?;
            let values = match &parameter {
                Parameter::Absent => &[][..],
                Parameter::Text(text) => std::slice::from_ref(text),
                Parameter::List(items) => items,
            };
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for value in values {
                form.append_pair("k", value);
            }
            let form = form.finish();
            if place == "request_body_data" {
                if parameter != Parameter::Absent {
                    let form_type = "application/x-www-form-urlencoded";
                    headers.insert("Content-Type".into(), form_type.into());
                    body = Value::from(form);
                }
            } else if !form.is_empty() {
                url = format!("{url}?{form}");
            }
        }
        "request_headers" => {
            if let Some(value) = template.header(context).ok()? {
                headers.insert("k".to_owned(), Value::from(value));
            }
        }
        _ => {
            let nested = json(&format!("{{\"k\": {}}}", Json::from(template.source())));
            let tree = Nested::compile(&nested).unwrap().eval(context).ok()?;
            if tree != Value::Object(Map::new()) {
                headers.insert("Content-Type".into(), "application/json".into());
                body = Value::from(python_json(&tree));
            }
        }
    }
    let method = if place.contains("body") {
        "POST"
    } else {
        "GET"
    };
    Some(Value::Object(Map::from_iter([
        ("method".to_owned(), Value::from(method)),
        ("url".to_owned(), Value::from(url)),
        ("headers".to_owned(), Value::Object(headers)),
        ("body".to_owned(), body),
    ])))
}

fn python_json(tree: &Value) -> String {
    let mut out = String::new();
    super::print::dump_json(&super::value::Value::from_json(tree), false, &mut out).unwrap();
    out
}

/// Base and path as the reference joins them.
fn joined(base: &str, path: &str) -> String {
    if path.is_empty() {
        return if base.ends_with("example.com") {
            format!("{base}/")
        } else {
            base.to_owned()
        };
    }
    let base = if base.ends_with('/') {
        base.to_owned()
    } else {
        format!("{base}/")
    };
    let base = url::Url::parse(&base).unwrap();
    base.join(path.trim_start_matches('/')).unwrap().to_string()
}

/// A value as the vectors write it: what JSON lacks is spelled out.
fn portable(literal: Literal) -> Value {
    let special = |kind: &str, repr: String| {
        Value::Object(Map::from_iter([
            ("$python".to_owned(), Value::from(kind)),
            ("repr".to_owned(), Value::from(repr)),
        ]))
    };
    match literal {
        Literal::Tuple(_) => special("tuple", literal.to_string()),
        Literal::Set(_) => special("set", literal.to_string()),
        Literal::Float(value) if value.is_infinite() => special("float", literal.to_string()),
        Literal::Ellipsis => special("ellipsis", literal.to_string()),
        Literal::Bytes(bytes) => special("bytes", String::from_utf8_lossy(&bytes).into_owned()),
        Literal::List(items) => Value::Array(items.into_iter().map(portable).collect()),
        Literal::Dict(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.into_key(), portable(value)))
                .collect(),
        ),
        other => other.into_json(),
    }
}

#[test]
fn expressions_are_evaluated_as_in_python() {
    let mut wrong = Vec::new();
    for line in include_str!("tests/expressions.txt").lines() {
        let Some((template, wanted)) = line.split_once(" => ") else {
            continue;
        };
        let found = python(template);
        if found != wanted {
            wrong.push(format!("{template}\n   gives {found}\n  wanted {wanted}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn names_set_in_a_branch_are_seen_after_it() {
    // The reference refuses such templates altogether.
    let template = "{% if config.x %}{% set y = 1 %}{% endif %}[{{ y }}]";
    let rendered = |config: &str| value(template, config).unwrap().to_string();
    assert_eq!(rendered(r#"{"x":true}"#), "[1]");
    assert_eq!(rendered("{}"), "[]");
    let unknown = value("{{ 1 if true else nope }}", "{}");
    assert_eq!(
        unknown,
        Err(EvalError::UnknownVariable {
            name: "nope".to_owned()
        })
    );
}

#[test]
fn what_cannot_be_compiled_says_where() {
    for (template, offset) in [
        ("{{ config", 9),
        ("a {{ }}", 5),
        ("{{ 1 + }}", 7),
        ("{% if x %}a", 11),
        ("{% endif %}", 3),
        ("{% nope %}", 3),
        ("{{ x | nope }}", 7),
        ("{{ x is nope }}", 8),
        ("{{ (1 }}", 6),
        ("{{ 'a }}", 3),
        ("{{ 1 2 }}", 5),
        ("{# x", 2),
        ("{{ a ! b }}", 5),
        ("x stream_state", 2),
        ("{% for x in y %}{% endif %}", 19),
        ("{% set a.b = 1 %}", 7),
        ("{{ '\\x1' }}", 3),
    ] {
        let error = Template::compile(template)
            .err()
            .unwrap_or_else(|| panic!("{template}"));
        assert_eq!(error.offset, offset, "{template}: {error}");
    }
}

#[test]
fn reads_of_a_variable_are_known_before_it_runs() {
    let paths = |template: &str| Template::compile(template).unwrap().paths("response");
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(paths("{{ config.x }}"), Some(vec![]));
    assert_eq!(
        paths("{{ response.a.b }}{{ response['c'] }}{{ response.get('d', {}).get('e') }}"),
        Some(vec![path(&["a", "b"]), path(&["c"]), path(&["d", "e"])])
    );
    assert_eq!(
        paths("{{ response.data[0].id or not response.more }}"),
        Some(vec![path(&["data"]), path(&["more"])])
    );
    assert_eq!(paths("{{ response.items() }}"), None);
    assert_eq!(paths("{{ response[config.k] }}"), None);
    assert_eq!(paths("{{ response | length }}"), None);
    assert_eq!(paths("{% set response = 1 %}{{ response }}"), Some(vec![]));
    assert_eq!(
        paths("{{ response.a.keys() | list }}"),
        Some(vec![path(&["a"])])
    );
    let template = Template::compile(
        "{% for i in record.x %}{{ i }}{{ loop.index }}{{ y }}{% endfor %}{{ max(1, z) }}",
    )
    .unwrap();
    let names: Vec<&str> = template.variables().iter().map(String::as_str).collect();
    assert_eq!(names, ["record", "y", "z"]);
    assert_eq!(Template::compile("plain").unwrap().literal(), Some("plain"));
    assert_eq!(Template::compile("{{ 1 }}").unwrap().literal(), None);
}

#[test]
fn slices_and_headers_are_seen_as_in_the_reference() {
    let partition = json(r#"{"id":"p","parent_slice":{}}"#);
    let cursor = json(r#"{"start_time":"a"}"#);
    let extra = json(r#"{"x":"ex"}"#);
    let headers = json(r#"{"Link":"<u>"}"#);
    let slice = SliceView {
        partition: partition.as_object().unwrap(),
        cursor: cursor.as_object().unwrap(),
        extra_fields: extra.as_object().unwrap(),
    };
    let insensitive = Binding::Headers(headers.as_object().unwrap());
    let context = Context::new(clock())
        .with("stream_slice", slice)
        .with("headers", insensitive)
        .with("config", Binding::None)
        .with("last_page_size", 3);
    for (template, wanted) in [
        (
            "{{ stream_slice.id }}{{ stream_partition['start_time'] }}",
            "pa",
        ),
        (
            "{{ stream_interval.extra_fields.x }}{{ stream_slice['extra_fields']['x'] }}",
            "exex",
        ),
        (
            "{{ stream_slice }}",
            "{'id': 'p', 'parent_slice': {}, 'start_time': 'a'}",
        ),
        ("{{ stream_slice.cursor_slice }}", "{'start_time': 'a'}"),
        ("{{ stream_slice.get('nope', 1) }}", "1"),
        ("{{ headers['link'] }}{{ headers.get('LINK') }}", "<u><u>"),
        ("{{ config is none }}{{ last_page_size + 1 }}", "True4"),
    ] {
        assert_eq!(
            Template::compile(template).unwrap().text(&context).unwrap(),
            wanted
        );
    }
}

#[test]
fn hostile_templates_fail_within_bounds() {
    let nested = |open: &str, close: &str, count: usize| {
        format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count))
    };
    for template in [
        nested("(", ")", 5000),
        nested("[", "]", 5000),
        nested("not ", "", 5000),
        nested("-", "", 5000),
        nested("1 + ", "", 5000),
        nested("", " | abs", 5000),
        nested("1 if 1 else ", "", 5000),
        format!("{{{{ config{} }}}}", ".a".repeat(5000)),
        "{% if 1 %}".repeat(5000),
        format!("{{% set {}a = 1 %}}", "(".repeat(5000)),
        format!("{{{{ {} }}}}", "9".repeat(10_000)),
        format!(
            "{{% set x = [] %}}{}",
            "{% set x = [[[[x]]]] %}".repeat(5000)
        ),
    ] {
        assert!(Template::compile(&template).is_err(), "{}", &template[..30]);
    }
    for template in [
        "{{ 'a' * 10000000 }}",
        "{{ [1] * 10000000 }}",
        "{{ 9 ** 99999999 }}",
        "{{ 'a'.ljust(100000000) }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ ('a' * 1000000).replace('a', 'bbb') }}",
        "{% for a in 'x' * 1000 %}{% for b in 'x' * 1000 %}{{ a }}{% endfor %}{% endfor %}",
        "{% for a in 'x' * 1000 %}{{ 'x' * 10000 }}{% endfor %}",
        "{{ 'a' | map('map', 'map') | list }}",
        "{{ now_utc().strftime('%5000d' * 1000) }}",
    ] {
        let found = value(template, "{}");
        assert!(
            matches!(found, Err(EvalError::Failed { .. })),
            "{template}: {found:?}"
        );
    }
    // Backtracking without end ends.
    let search = "{{ ('a' * 50 ~ 'b') | regex_search('^(?:(a+)+)+\\\\1(?!x)c') }}";
    assert!(value(search, "{}").is_ok_and(|found| found == Literal::Str(String::new())));
    // Nesting that only appears at run time.
    let deep = format!(
        "{{% set x = [] %}}{}{{{{ x }}}}",
        "{% set x = [x] %}".repeat(900)
    );
    assert!(matches!(value(&deep, "{}"), Err(EvalError::Failed { .. })));
    assert_eq!(Literal::parse(&"[".repeat(100_000)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_compiles_or_says_why(text in ".{0,60}") {
        check(&text);
    }

    #[test]
    fn any_arrangement_of_tokens_is_an_answer(tokens in prop::collection::vec(token(), 0..12)) {
        check(&format!("{{{{ {} }}}}", tokens.join(" ")));
        check(&tokens.join(" "));
    }

    #[test]
    fn literals_survive_their_text(literal in literals()) {
        prop_assert_eq!(Literal::parse(&literal.to_string()), Some(literal));
    }
}

#[test]
fn bytes_are_shown_as_python_shows_them() {
    for (bytes, shown) in [
        (&b"a"[..], "b'a'"),
        (b"it's", "b\"it's\""),
        (b"\"", "b'\"'"),
        (b"'\"", "b'\\'\"'"),
        (b"\\'\n\xff\0", "b\"\\\\'\\n\\xff\\x00\""),
    ] {
        let literal = Literal::Bytes(bytes.to_vec());
        // As an item: alone, a literal is shown without its quotes.
        let text = Literal::List(vec![literal.clone()]).to_string();
        assert_eq!(text, format!("[{shown}]"));
        assert_eq!(Literal::parse(shown), Some(literal), "{shown}");
    }
}

fn check(template: &str) {
    let config = json(r#"{"a":[1,"x",{"b":null}],"n":5,"s":"2024-01-01","f":1.5}"#);
    let context = Context::new(clock()).with("config", &config);
    if let Ok(template) = Template::compile(template) {
        let _ = template.value(&context);
        let _ = template.boolean(&context);
        let _ = template.parameter(&context);
    }
    let _ = Literal::parse(template);
}

fn token() -> impl Strategy<Value = String> {
    let words = "config . a n s f [ ] ( ) { } : , 0 1 -1 2.5 'x' '%s' '{}' + - * / // % ** ~ == < > in not and or if else is defined none | length int float string list map join first last sort sum round replace default tojson ['a'] .n .s .get('a') .split('-') .strftime('%Y') .format now_utc() today_utc() duration('P1M') max min timestamp format_datetime str_to_datetime 1e300 99999999999999999999 {% %} for endfor set = {{ }}";
    let words: Vec<&str> = words.split(' ').collect();
    prop::sample::select(words).prop_map(str::to_owned)
}

fn literals() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        Just(Literal::None),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(Literal::Int),
        prop::num::f64::NORMAL.prop_map(Literal::Float),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Literal::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let text = prop_oneof![inner, ".{0,8}".prop_map(Literal::Str)];
        prop_oneof![
            prop::collection::vec(text.clone(), 0..4).prop_map(Literal::List),
            prop::collection::vec(text.clone(), 0..4).prop_map(Literal::Tuple),
            prop::collection::btree_map("[a-z']{0,3}", text, 0..4).prop_map(|map| {
                Literal::Dict(map.into_iter().map(|(k, v)| (Literal::Str(k), v)).collect())
            }),
        ]
    })
}

#[test]
fn literals_are_read_as_in_python() {
    for (text, wanted) in [
        ("\n  5", None),
        ("\n5", Some("5")),
        ("# c\n5", Some("5")),
        ("5\n ", None),
        ("5\n \n", Some("5")),
        ("5\n # c", Some("5")),
        ("5\n6", None),
        ("[1,\n 2]", Some("[1, 2]")),
        ("{0: 1, -0.0: 2}", Some("{0: 2}")),
        ("{1: 'a', True: 'b'}", Some("{1: 'b'}")),
        ("{[]: 1}", None),
        ("- 5", Some("-5")),
        ("--5", None),
        ("-(5)", Some("-5")),
        ("-True", None),
        ("-9223372036854775808", Some("-9223372036854775808")),
        ("'a' b'b'", None),
        ("'''a\nb'''", Some("a\nb")),
        ("'a\nb'", None),
        (r"'\N{DIGIT ONE}'", None),
        (r"'\q\'\x41\101'", Some(r"\q'AA")),
        (r"b'\xff'", Some(r"b'\xff'")),
        ("b'é'", None),
        ("0x_1F", Some("31")),
        ("1_", None),
        ("1__0", None),
        ("01.5", Some("1.5")),
        ("012", None),
        ("1.e3", Some("1000.0")),
        ("1if", None),
        ("set()", Some("set()")),
        ("set", None),
        ("(1, 2", None),
        ("[1, , 2]", None),
        ("\0", None),
    ] {
        let found = Literal::parse(text).map(|literal| literal.to_string());
        assert_eq!(found.as_deref(), wanted, "{text:?}");
    }
}

#[test]
fn collections_within_a_list_are_sent_as_python_iterates_over_them() {
    let template = Template::compile("{{ [1, 'a', None, [2, 'b'], {'k': 3}, ()] }}").unwrap();
    let sent = template.parameter(&Context::new(clock())).unwrap();
    let texts = ["1", "a", "2", "b", "k"].map(str::to_owned);
    assert_eq!(sent, Parameter::List(texts.to_vec()));
}
