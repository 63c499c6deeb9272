//! Numbers and texts of Python literals.

use num_bigint::BigInt;

use super::MAX_DIGITS;
use super::escape::unescape;
use super::literal::Literal;
use super::literal_parser::Parser;

impl<'t> Parser<'t> {
    /// An integer or float.
    pub(super) fn number(&mut self) -> Option<Literal> {
        let text = self.rest;
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            let Some(head) = text
                .get(..2)
                .filter(|head| head.eq_ignore_ascii_case(prefix))
            else {
                continue;
            };
            let digits = &text[head.len()..];
            let end = digits.find(|c: char| !c.is_digit(radix) && c != '_');
            let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
            self.rest = rest;
            // An underscore may stand between prefix and digits.
            return self.integer(digits.strip_prefix('_').unwrap_or(digits), radix);
        }
        let whole = digits_length(text);
        let mut end = whole;
        let mut is_float = false;
        if text[end..].starts_with('.') {
            is_float = true;
            end += 1;
            end += digits_length(&text[end..]);
        }
        if end - usize::from(is_float) == 0 {
            return None;
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let power = digits_length(&text[end + 1 + sign..]);
            if power > 0 {
                is_float = true;
                end += 1 + sign + power;
            }
        }
        self.rest = &text[end..];
        if !is_float {
            let digits = &text[..whole];
            let leading_zero =
                digits.starts_with('0') && digits.contains(|c| ('1'..='9').contains(&c));
            return if leading_zero {
                None
            } else {
                self.integer(digits, 10)
            };
        }
        if self.joins_a_name() {
            return None;
        }
        text[..end]
            .replace('_', "")
            .parse()
            .ok()
            .map(Literal::Float)
    }

    /// A letter right after a number makes it something else: `1j`, `1st`.
    fn joins_a_name(&self) -> bool {
        self.rest
            .starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn integer(&self, digits: &str, radix: u32) -> Option<Literal> {
        let grouped = digits.split('_').all(|group| !group.is_empty());
        if !grouped || self.joins_a_name() || digits.len() > MAX_DIGITS {
            return None;
        }
        let digits = digits.replace('_', "");
        match i64::from_str_radix(&digits, radix) {
            Ok(value) => Some(Literal::Int(value)),
            Err(_) => BigInt::parse_bytes(digits.as_bytes(), radix).map(Literal::Big),
        }
    }

    /// One or more texts in a row, which are one; all bytes or none.
    pub(super) fn text(&mut self) -> Option<Literal> {
        let mut joined: Option<Literal> = None;
        loop {
            let Some((prefix, quote)) = self.opening() else {
                return joined;
            };
            let piece = self.quoted(prefix, quote)?;
            joined = Some(match (joined, piece) {
                (None, piece) => piece,
                (Some(Literal::Str(text)), Literal::Str(more)) => Literal::Str(text + &more),
                (Some(Literal::Bytes(bytes)), Literal::Bytes(more)) => {
                    Literal::Bytes([bytes, more].concat())
                }
                _ => return None,
            });
            self.skip();
        }
    }

    /// Prefix and quotes of a text that starts here.
    fn opening(&self) -> Option<(&'t str, &'static str)> {
        let at = self
            .rest
            .bytes()
            .take(3)
            .position(|byte| matches!(byte, b'\'' | b'"'))?;
        let (prefix, body) = self.rest.split_at(at);
        let known = matches!(
            &*prefix.to_ascii_lowercase(),
            "" | "r" | "u" | "b" | "br" | "rb"
        );
        let quotes = ["'''", "\"\"\"", "'", "\""];
        let quote = quotes.into_iter().find(|quote| body.starts_with(quote))?;
        known.then_some((prefix, quote))
    }

    fn quoted(&mut self, prefix: &str, quote: &str) -> Option<Literal> {
        let body = &self.rest[prefix.len() + quote.len()..];
        let mut end = None;
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            if escaped {
                escaped = false;
            } else if body[at..].starts_with(quote) {
                end = Some(at);
                break;
            } else if c == '\\' {
                escaped = true;
            } else if quote.len() == 1 && matches!(c, '\n' | '\r') {
                return None;
            }
        }
        let text = &body[..end?];
        self.rest = &body[end? + quote.len()..];
        let prefix = prefix.to_ascii_lowercase();
        let text = if prefix.contains('r') {
            text.to_owned()
        } else {
            unescape(text)?
        };
        if !prefix.contains('b') {
            return Some(Literal::Str(text));
        }
        if !body[..end?].is_ascii() {
            return None;
        }
        // Escapes name bytes here, so every character is one.
        let bytes: Option<Vec<u8>> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).ok())
            .collect();
        bytes.map(Literal::Bytes)
    }
}

fn digits_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let between = bytes[at] == b'_'
            && at > 0
            && bytes[at - 1] != b'_'
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !bytes[at].is_ascii_digit() && !between {
            break;
        }
        at += 1;
    }
    at
}
