//! `schema_normalization: Default`: casts values towards the types of the stream's schema.

use super::template::Literal;
use crate::json::{Map, Value};

/// Casts the fields that `schema` describes, nested ones too. A value that cannot be cast stays
/// as it is; so does one whose schema allows several types.
pub fn normalize(record: &mut Map, schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (key, schema) in properties {
        if let Some(value) = record.get_mut(key) {
            cast(value, schema);
        }
    }
    for (key, schema) in properties {
        if let Some(value) = record.get_mut(key) {
            inside(value, schema);
        }
    }
}

fn inside(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => normalize(map, schema),
        Value::Array(items) => {
            let Some(schema @ Value::Object(_)) = schema.get("items") else {
                return;
            };
            for item in items {
                cast(item, schema);
                inside(item, schema);
            }
        }
        _ => {}
    }
}

fn cast(value: &mut Value, schema: &Value) {
    let types = types(schema);
    let nullable = types.contains(&"null");
    if *value == Value::Null && nullable {
        return;
    }
    let mut others = types.into_iter().filter(|name| *name != "null");
    let (Some(target), None) = (others.next(), others.next()) else {
        return;
    };
    let cast = match target {
        "string" => Some(Value::String(Literal::from(&*value).to_string())),
        "number" => number(value),
        "integer" => integer(value),
        "boolean" => boolean(value),
        "array" => wrapped(value, schema),
        _ => None,
    };
    if let Some(cast) = cast {
        *value = cast;
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Python's `float(value)`.
fn number(value: &Value) -> Option<Value> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a float is what the schema asks for"
    )]
    let number = match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        Value::BigNumber(text) => text.parse().ok()?,
        Value::String(text) => {
            let text = python_digits(text)?;
            // Rust's parser also takes names that Python does not.
            let plain = text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
            plain.then(|| text.parse().ok()).flatten()?
        }
        _ => return None,
    };
    number.is_finite().then_some(Value::Float(number))
}

/// Python's `int(value)`: cuts floats, and reads texts of whole numbers only.
fn integer(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(value) => Some(Value::Int(i64::from(*value))),
        Value::Int(value) => Some(Value::Int(*value)),
        Value::Float(value) => {
            let text = format!("{:.0}", value.trunc());
            Some(whole(if text == "-0" { "0" } else { &text }))
        }
        Value::String(text) => {
            let text = python_digits(text)?;
            let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
            let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            valid.then(|| whole(text.strip_prefix('+').unwrap_or(&text)))
        }
        _ => None,
    }
}

fn whole(text: &str) -> Value {
    if let Ok(number) = text.parse() {
        return Value::Int(number);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let digits = digits.trim_start_matches('0');
    match format!("{sign}{digits}").parse() {
        Ok(number) => Value::Int(number),
        Err(_) => Value::BigNumber(format!("{sign}{digits}").into()),
    }
}

/// The text without surrounding white space and single underscores between digits; `None` if an
/// underscore stands anywhere else.
fn python_digits(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let stray = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'_' && !(is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)))
    });
    (!stray && !text.is_empty()).then(|| text.replace('_', ""))
}

/// Python's `bool(value)`, but the reference's words in texts.
fn boolean(value: &Value) -> Option<Value> {
    let Value::String(text) = value else {
        return Some(Value::Bool(super::extract::is_true(value)));
    };
    match text.to_lowercase().trim() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(Value::Bool(true)),
        "n" | "no" | "f" | "false" | "off" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// A scalar where a list of scalars is wanted becomes a list of one.
///
/// The reference compares the *letters* of the item type's name with the names of scalar types
/// when the type is given as one text, so that only a list of types has this effect.
fn wrapped(value: &Value, schema: &Value) -> Option<Value> {
    let simple = match schema.get("items").and_then(|items| items.get("type")) {
        None => true,
        Some(Value::String(name)) => name.is_empty(),
        Some(Value::Array(names)) => names.iter().all(|name| {
            matches!(
                name.as_str(),
                Some("string" | "number" | "integer" | "boolean" | "null")
            )
        }),
        Some(_) => false,
    };
    let scalar = !matches!(value, Value::Object(_) | Value::Array(_));
    (simple && scalar).then(|| Value::Array(vec![value.clone()]))
}
