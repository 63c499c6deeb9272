//! Bytes → [`Value`].

use super::scan::{MAX_DEPTH, Scanner};
use super::text::Quoted;
use super::{Map, SyntaxError, Value, text_of};

/// Parses one JSON document; nesting beyond 127 levels is an error.
pub fn parse(bytes: &[u8]) -> Result<Value, SyntaxError> {
    let mut scanner = Scanner::document(bytes)?;
    let value = parse_value(&mut scanner, 0)?;
    scanner.end()?;
    Ok(value)
}

fn parse_value(scanner: &mut Scanner<'_>, depth: u32) -> Result<Value, SyntaxError> {
    if depth > MAX_DEPTH {
        return scanner.error("nested too deeply");
    }
    match scanner.peek() {
        Some(b'{') => {
            let mut map = Map::new();
            scanner.members(|scanner, key| {
                let value = parse_value(scanner, depth + 1)?;
                map.insert(string(key), value);
                Ok(())
            })?;
            Ok(Value::Object(map))
        }
        Some(b'[') => {
            let mut items = Vec::new();
            scanner.items(|scanner, _| {
                items.push(parse_value(scanner, depth + 1)?);
                Ok(())
            })?;
            Ok(Value::Array(items))
        }
        Some(b'"') => Ok(Value::String(string(scanner.string()?))),
        Some(b'-' | b'0'..=b'9') => Ok(number(scanner.number()?)),
        Some(b't') => scanner.literal(b"true").map(|()| Value::Bool(true)),
        Some(b'f') => scanner.literal(b"false").map(|()| Value::Bool(false)),
        Some(b'n') => scanner.literal(b"null").map(|()| Value::Null),
        _ => scanner.no_value(),
    }
}

fn string(quoted: Quoted<'_>) -> String {
    match quoted.text() {
        std::borrow::Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        std::borrow::Cow::Owned(bytes) => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn number(text: &[u8]) -> Value {
    let text = text_of(text);
    let kept = || Value::BigNumber(text.as_ref().into());
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => kept(),
        }
    } else {
        text.parse::<i64>().map_or_else(|_| kept(), Value::Int)
    }
}
