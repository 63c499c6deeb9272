//! A document as the format's reference passes it on: on one line, its numbers spelled as they
//! come out of a reader that knows 64-bit integers and floats only.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use super::SyntaxError;
use super::scan::Scanner;

/// Checks that `bytes` are one JSON document without a byte order mark, and spells it so that it
/// stands on one line and every number means what the reference reads: integers beyond 64 bits
/// become floats and floats take their shortest form. What is not finite, be it too large or
/// spelled `NaN` or `Infinity`, becomes a number that no float can hold; [`printed`] makes it null.
///
/// Borrows what needs no change, which is nearly every document.
pub fn respell(bytes: &[u8]) -> Result<Cow<'_, [u8]>, SyntaxError> {
    match strict(bytes) {
        Err(error) => match as_python_reads(bytes) {
            Some(text) => strict(&text).map(|text| Cow::Owned(text.into_owned())),
            None => Err(error),
        },
        respelled => respelled,
    }
}

/// Larger than any float, so that it stays as it is spelled: infinity.
const INFINITY: &str = "1e999";
/// The same for what is no number at all.
pub const NOT_A_NUMBER: &str = "2e999";

/// A record as the reference prints it: what is not finite is null there.
pub fn printed(record: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if memmem::find(&record, b"e999").is_none() {
        return record;
    }
    let is_infinite = |text: &[u8]| matches!(text, b"1e999" | b"-1e999" | b"2e999");
    let mut edits = Vec::new();
    let mut scanner = Scanner {
        bytes: &record,
        at: 0,
    };
    let result = scanner.skip_value_with(&mut |range| {
        if is_infinite(&record[range.clone()]) {
            edits.push((range, "null".to_owned()));
        }
    });
    match result {
        Ok(()) => Cow::Owned(edited(&record, edits)),
        Err(_) => record,
    }
}

/// `NaN` and `Infinity`, which Python's reader knows, outside texts; `None` if there are none.
fn as_python_reads(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut at, mut in_string, mut found) = (0, false, false);
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let word = [("NaN", NOT_A_NUMBER), ("Infinity", INFINITY)]
            .into_iter()
            .find(|(word, _)| !in_string && rest.starts_with(word.as_bytes()));
        if let Some((word, number)) = word {
            out.extend_from_slice(number.as_bytes());
            at += word.len();
            found = true;
            continue;
        }
        let escapes = in_string && byte == b'\\';
        in_string ^= byte == b'"';
        let taken = rest.len().min(if escapes { 2 } else { 1 });
        out.extend_from_slice(&rest[..taken]);
        at += taken;
    }
    found.then_some(out)
}

fn strict(bytes: &[u8]) -> Result<Cow<'_, [u8]>, SyntaxError> {
    let mut scanner = Scanner::document(bytes)?;
    if scanner.at > 0 {
        return Err(SyntaxError {
            offset: 0,
            what: "byte order mark",
        });
    }
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    scanner.skip_value_with(&mut |range| {
        if let Some(new) = number(&bytes[range.clone()]) {
            edits.push((range, new));
        }
    })?;
    scanner.end()?;
    let spans_lines = memchr::memchr2(b'\n', b'\r', bytes).is_some();
    if edits.is_empty() && !spans_lines {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = edited(bytes, edits);
    if spans_lines {
        // Between tokens only: within a string a line break is an error.
        for byte in &mut out {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    Ok(Cow::Owned(out))
}

fn edited(bytes: &[u8], edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (range, new) in edits {
        out.extend_from_slice(&bytes[done..range.start]);
        out.extend_from_slice(new.as_bytes());
        done = range.end;
    }
    out.extend_from_slice(&bytes[done..]);
    out
}

/// The new spelling of a number, if it needs one.
fn number(text: &[u8]) -> Option<String> {
    if text.ends_with(b"e999") {
        // Spelled here already.
        return None;
    }
    let is_float = text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if !is_float {
        // Up to 18 digits and a sign fit whatever they are.
        if text.len() <= 18 && text != b"-0" {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        if text == "-0" {
            return Some("0".to_owned());
        }
        if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
            return None;
        }
        return text.parse().ok().map(float);
    }
    let is_plain = !text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let ends_short = text.last() != Some(&b'0') || text.ends_with(b".0");
    if is_plain && ends_short && text.len() <= 15 && !text.starts_with(b"0.0000") {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let new = text.parse().ok().map(float)?;
    (new != text).then_some(new)
}

/// The shortest form that reads back, with a sign in a positive exponent.
fn float(number: f64) -> String {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}{INFINITY}");
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_the_reference_spells_them() {
        for (text, expected) in [
            ("123456789012345678901", "1.2345678901234568e+20"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9.223372036854776e+18"),
            ("-1e400", "-1e999"),
            ("[NaN,-Infinity,\"NaN\"]", "[2e999,-1e999,\"NaN\"]"),
            ("1E5", "100000.0"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("0.1e1", "1.0"),
            ("1e16", "1e+16"),
            ("1.10", "1.1"),
            ("[1e-7]", "[1e-7]"),
            ("12345678901234567890.5", "1.2345678901234567e+19"),
            ("-1e-400", "-0.0"),
            ("0.25", "0.25"),
            ("{\"a\":\n [1,\r\n 2.50]}", "{\"a\":  [1,   2.5]}"),
        ] {
            let found = respell(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&found), expected, "{text}");
        }
        let record = printed(Cow::Borrowed(br#"{"a":2e999,"b":"1e999"}"#));
        assert_eq!(record, &br#"{"a":null,"b":"1e999"}"#[..]);
        for text in ["Nan", "\u{feff}1", "{", "", "1 2"] {
            assert!(respell(text.as_bytes()).is_err(), "{text}");
        }
    }
}
