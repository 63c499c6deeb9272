//! Python's `str` and `repr`, and the JSON text of its `json.dumps`.

use std::fmt::Write;

use num_bigint::BigInt;

use super::float::float_text;
use super::value::{Raise, Result, SeqKind, Value, fail};
use super::{MAX_DIGITS, MAX_TEXT};
use crate::source::manifest::datetime::{DateTime, Span, date_text};

/// Data nested deeper than this is not printed.
const MAX_DEPTH: u32 = 100;

/// Appends `str(value)`.
pub(super) fn print(value: &Value<'_>, out: &mut String) -> Result<()> {
    match value {
        Value::Undefined(_) => {}
        Value::Str(text) => out.push_str(text.as_str()),
        Value::DateTime(date) => out.push_str(&date.to_string()),
        Value::Date(date) => out.push_str(&date_text(*date)),
        Value::Span(span) => out.push_str(&span.to_string()),
        other => return repr(other, out),
    }
    bounded(out)
}

/// `str(value)`
pub(super) fn text(value: &Value<'_>) -> Result<String> {
    let mut out = String::new();
    print(value, &mut out)?;
    Ok(out)
}

/// Appends `repr(value)`.
pub(super) fn repr(value: &Value<'_>, out: &mut String) -> Result<()> {
    repr_within(value, out, MAX_DEPTH)
}

fn bounded(out: &str) -> Result<()> {
    if out.len() > MAX_TEXT {
        fail("text is too long")
    } else {
        Ok(())
    }
}

fn repr_within(value: &Value<'_>, out: &mut String, depth: u32) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return fail("data is nested too deeply");
    };
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Value::Int(value) => push(out, value),
        Value::Big(value) => out.push_str(&big_text(value)?),
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Str(text) => quote(text.as_str(), out),
        Value::DateTime(date) => out.push_str(&date_repr(date)),
        Value::Date(date) => {
            push(
                out,
                format_args!(
                    "datetime.date({}, {}, {})",
                    date.year(),
                    date.month(),
                    date.day()
                ),
            );
        }
        Value::Span(span) => out.push_str(&span_repr(span)),
        Value::Function(_) => out.push_str("<function>"),
        Value::Method(method) => push(out, format_args!("<method {}>", method.1.as_str())),
        Value::Loop(state) => {
            push(
                out,
                format_args!("<LoopContext {}/{}>", state.index0 + 1, state.items.len()),
            );
        }
        Value::Array(_) | Value::Seq(..) => {
            let (open, close) = match value {
                Value::Seq(SeqKind::Tuple, _) => ("(", ")"),
                Value::Seq(SeqKind::Keys, _) => ("dict_keys([", "])"),
                Value::Seq(SeqKind::Values, _) => ("dict_values([", "])"),
                Value::Seq(SeqKind::Items, _) => ("dict_items([", "])"),
                _ => ("[", "]"),
            };
            out.push_str(open);
            let items = value.items()?;
            separated(&items, out, |item, out| repr_within(item, out, depth))?;
            if open == "(" && items.len() == 1 {
                out.push(',');
            }
            out.push_str(close);
        }
        Value::Object(_) | Value::Headers(_) | Value::Slice(_) | Value::Dict(_) => {
            out.push('{');
            separated(
                &value.entries().unwrap_or_default(),
                out,
                |(key, value), out| {
                    repr_within(key, out, depth)?;
                    out.push_str(": ");
                    repr_within(value, out, depth)
                },
            )?;
            out.push('}');
        }
    }
    bounded(out)
}

fn separated<T>(
    items: &[T],
    out: &mut String,
    mut each: impl FnMut(&T, &mut String) -> Result<()>,
) -> Result<()> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        each(item, out)?;
    }
    Ok(())
}

fn push(out: &mut String, piece: impl std::fmt::Display) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{piece}");
}

/// Decimal text; like Python's, only up to a number of digits.
pub(super) fn big_text(value: &BigInt) -> Result<String> {
    let text = value.to_string();
    if text.len() > MAX_DIGITS {
        fail("integer has too many digits")
    } else {
        Ok(text)
    }
}

/// Appends `repr` of a text: in single quotes unless that would need an escape.
pub(super) fn quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            c if is_printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xFF => push(out, format_args!("\\x{code:02x}")),
                code @ 0..=0xFFFF => push(out, format_args!("\\u{code:04x}")),
                code => push(out, format_args!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Python's notion of printable, which Rust's debug text shares for all but a text's first
/// character.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut pair = String::from("a");
    pair.push(c);
    pair.escape_debug().nth(1) == Some(c)
}

fn date_repr(date: &DateTime) -> String {
    let civil = date.civil;
    let mut text = format!(
        "datetime.datetime({}, {}, {}, {}, {}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute()
    );
    if civil.second() != 0 || date.microsecond() != 0 {
        push(&mut text, format_args!(", {}", civil.second()));
    }
    if date.microsecond() != 0 {
        push(&mut text, format_args!(", {}", date.microsecond()));
    }
    match date.offset {
        None => {}
        Some(0) => text.push_str(", tzinfo=datetime.timezone.utc"),
        Some(offset) => {
            let offset = span_repr(&Span::of_micros(i64::from(offset) * 1_000_000));
            push(
                &mut text,
                format_args!(", tzinfo=datetime.timezone({offset})"),
            );
        }
    }
    text + ")"
}

fn span_repr(span: &Span) -> String {
    let days = span.micros.div_euclid(86_400_000_000);
    let rest = span.micros.rem_euclid(86_400_000_000);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    if span.is_calendar() {
        let (years, months) = (span.years, span.months);
        return format!(
            "isodate.duration.Duration({days}, {seconds}, {micros}, years={years}, months={months})"
        );
    }
    let parts: Vec<String> = [
        ("days", days),
        ("seconds", seconds),
        ("microseconds", micros),
    ]
    .into_iter()
    .filter(|(_, count)| *count != 0)
    .map(|(name, count)| format!("{name}={count}"))
    .collect();
    let parts = if parts.is_empty() {
        "0".to_owned()
    } else {
        parts.join(", ")
    };
    format!("datetime.timedelta({parts})")
}

/// Python's `json.dumps`: ASCII, `, ` and `: ` between items, keys sorted on demand.
pub(super) fn dump_json(value: &Value<'_>, sorted: bool, out: &mut String) -> Result<()> {
    dump_within(value, sorted, out, MAX_DEPTH)
}

fn dump_within(value: &Value<'_>, sorted: bool, out: &mut String, depth: u32) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return fail("data is nested too deeply");
    };
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => push(out, value),
        Value::Int(value) => push(out, value),
        Value::Big(value) => out.push_str(&big_text(value)?),
        Value::Float(value) if value.is_nan() => out.push_str("NaN"),
        Value::Float(value) if value.is_infinite() => {
            out.push_str(if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        }
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Str(text) => json_text(text.as_str(), out),
        Value::Array(_) | Value::Seq(SeqKind::List | SeqKind::Tuple, _) => {
            out.push('[');
            separated(&value.items()?, out, |item, out| {
                dump_within(item, sorted, out, depth)
            })?;
            out.push(']');
        }
        Value::Object(_) | Value::Dict(_) => {
            let mut entries = Vec::new();
            for (key, value) in value.entries().unwrap_or_default() {
                entries.push((json_key(&key)?, value));
            }
            if sorted {
                entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            }
            out.push('{');
            separated(&entries, out, |(key, value), out| {
                json_text(key, out);
                out.push_str(": ");
                dump_within(value, sorted, out, depth)
            })?;
            out.push('}');
        }
        _ => return Err(Raise::Type),
    }
    bounded(out)
}

fn json_key(key: &Value<'_>) -> Result<String> {
    match key {
        Value::Str(text) => Ok(text.as_str().to_owned()),
        Value::None => Ok("null".to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(_) | Value::Big(_) | Value::Float(_) => text(key),
        _ => Err(Raise::Type),
    }
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    push(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}
