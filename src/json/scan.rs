//! One strict pass over JSON bytes without building anything.

use std::ops::Range;

use thiserror::Error;

use super::text::Quoted;
use super::version::version_of;
use super::{Ignored, Pointer};
use crate::signal::Version;

/// Levels of nesting that are read; deeper input is an error, not a stack overflow.
pub(super) const MAX_DEPTH: u32 = 127;

/// Where and why bytes are no JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} at byte {offset}")]
pub struct SyntaxError {
    /// Byte offset.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Checks that `bytes` are exactly one JSON document.
pub fn validate(bytes: &[u8]) -> Result<(), SyntaxError> {
    let mut scanner = Scanner::document(bytes)?;
    scanner.skip_value()?;
    scanner.end()
}

/// Where the elements of an array stand, and what was made of each.
pub type Elements<T> = Vec<(Range<usize>, T)>;

/// Checks the whole document and gives the byte ranges of the elements of the array at `path`
/// (a non-empty object there counts as one element; `None`: nothing there, or a scalar).
///
/// A number in `path` also selects an array element. Of a key that stands twice the last counts.
pub fn elements(bytes: &[u8], path: &[&str]) -> Result<Option<Vec<Range<usize>>>, SyntaxError> {
    let found = elements_with(bytes, path, &mut Scanner::skip_value)?;
    Ok(found.map(|found| found.into_iter().map(|(range, ())| range).collect()))
}

/// As [`elements`], with the [`canonical_hash`](super::canonical_hash) of each: one pass checks
/// and hashes.
pub fn elements_with_versions(
    bytes: &[u8],
    path: &[&str],
    ignored: &Ignored,
) -> Result<Option<Elements<Version>>, SyntaxError> {
    elements_with(bytes, path, &mut |scanner| version_of(scanner, ignored))
}

/// `each` consumes one element.
fn elements_with<'b, T>(
    bytes: &'b [u8],
    path: &[&str],
    each: &mut impl FnMut(&mut Scanner<'b>) -> Result<T, SyntaxError>,
) -> Result<Option<Elements<T>>, SyntaxError> {
    let mut scanner = Scanner::document(bytes)?;
    let mut found = None;
    scanner.elements(path, &mut found, each)?;
    scanner.end()?;
    Ok(found)
}

/// The bytes of the value at `pointer` in a valid document; stops reading once it is found.
pub fn get<'b>(bytes: &'b [u8], pointer: &Pointer) -> Option<&'b [u8]> {
    let mut scanner = Scanner { bytes, at: 0 };
    for part in pointer.parts() {
        scanner.enter(part).ok()??;
    }
    scanner.skip_space();
    let start = scanner.at;
    scanner.skip_value().ok()?;
    Some(&bytes[start..scanner.at])
}

/// A position in JSON bytes.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl<'b> Scanner<'b> {
    /// At the start of a whole document, past a byte order mark; its text is valid UTF-8.
    pub(super) fn document(bytes: &'b [u8]) -> Result<Self, SyntaxError> {
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(SyntaxError {
                offset: error.valid_up_to(),
                what: "invalid UTF-8",
            });
        }
        let at = if bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Ok(Self { bytes, at })
    }

    /// There is no value where one must be.
    pub(super) fn no_value<T>(&self) -> Result<T, SyntaxError> {
        // What a login, a proxy or a server in maintenance sends to people.
        let is_markup = self.bytes.get(self.at) == Some(&b'<');
        self.error(if is_markup {
            "it is a web page or other markup"
        } else {
            "expected a value"
        })
    }

    pub(super) fn error<T>(&self, what: &'static str) -> Result<T, SyntaxError> {
        let what = if self.at >= self.bytes.len() {
            "unexpected end of JSON"
        } else {
            what
        };
        Err(SyntaxError {
            offset: self.at.min(self.bytes.len()),
            what,
        })
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            self.error("text after the JSON document")
        }
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.bytes.get(self.at).copied()
    }

    /// Consumes `byte` if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// A member's name and colon.
    pub(super) fn key(&mut self) -> Result<Quoted<'b>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return self.error("expected a string key");
        }
        let key = self.string()?;
        if self.eat(b':') {
            Ok(key)
        } else {
            self.error("expected a colon")
        }
    }

    /// A string whose opening quote comes next.
    pub(super) fn string(&mut self) -> Result<Quoted<'b>, SyntaxError> {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let start = self.at + 1;
        self.at = start;
        let mut has_escapes = false;
        loop {
            // Eight bytes at a time up to the first quote, backslash or control character.
            while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let word = u64::from_le_bytes(*chunk);
                let quote = word ^ (LOW * 0x22);
                let slash = word ^ (LOW * 0x5c);
                let stop = (word.wrapping_sub(LOW * 0x20) & !word
                    | quote.wrapping_sub(LOW) & !quote
                    | slash.wrapping_sub(LOW) & !slash)
                    & HIGH;
                if stop != 0 {
                    self.at += stop.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let inner = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(Quoted { inner, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(0..0x20) => return self.error("control character in a string"),
                Some(_) => self.at += 1,
                None => return self.error("unterminated string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    return self.error("\\u needs four hexadecimal digits");
                }
                self.at += 6;
            }
            _ => return self.error("unknown escape in a string"),
        }
        Ok(())
    }

    /// A number; gives its text.
    pub(super) fn number(&mut self) -> Result<&'b [u8], SyntaxError> {
        let start = self.at;
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return self.error("invalid number");
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.error("invalid number");
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return self.error("invalid number");
            }
        }
        Ok(&self.bytes[start..self.at])
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    pub(super) fn literal(&mut self, text: &'static [u8]) -> Result<(), SyntaxError> {
        if self.bytes[self.at..].starts_with(text) {
            self.at += text.len();
            Ok(())
        } else {
            self.error("unknown word")
        }
    }

    /// Any value, checked and skipped.
    pub(super) fn skip_value(&mut self) -> Result<(), SyntaxError> {
        self.skip_value_with(&mut |_| {})
    }

    /// Any value, checked and skipped; `number` is told where each number in it stands.
    pub(super) fn skip_value_with(
        &mut self,
        number: &mut impl FnMut(Range<usize>),
    ) -> Result<(), SyntaxError> {
        // One bit per open container, 1 for an object: no recursion, no allocation.
        let (mut open, mut depth) = (0_u128, 0_u32);
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    let is_object = bracket == b'{';
                    if !self.eat(if is_object { b'}' } else { b']' }) {
                        if depth == MAX_DEPTH {
                            return self.error("nested too deeply");
                        }
                        depth += 1;
                        open = open << 1 | u128::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => {
                    let start = self.at;
                    self.number()?;
                    number(start..self.at);
                }
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return self.no_value(),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = open & 1 == 1;
                if self.eat(b',') {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                if !self.eat(if in_object { b'}' } else { b']' }) {
                    return self.error("expected a comma or a closing bracket");
                }
                open >>= 1;
                depth -= 1;
            }
        }
    }

    /// Calls `each` for every member, placed at its value, which `each` must consume.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Quoted<'b>) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.at += 1;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(self, key)?;
            if !self.eat(b',') {
                break;
            }
        }
        if self.eat(b'}') {
            Ok(())
        } else {
            self.error("expected a comma or a closing brace")
        }
    }

    /// Calls `each` for every element, placed at it, which `each` must consume.
    pub(super) fn items(
        &mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.at += 1;
        if self.eat(b']') {
            return Ok(());
        }
        for index in 0.. {
            self.skip_space();
            each(self, index)?;
            if !self.eat(b',') {
                break;
            }
        }
        if self.eat(b']') {
            Ok(())
        } else {
            self.error("expected a comma or a closing bracket")
        }
    }

    fn elements<T>(
        &mut self,
        path: &[&str],
        found: &mut Option<Elements<T>>,
        each: &mut impl FnMut(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let bracket = self.peek();
        let Some((first, rest)) = path.split_first() else {
            let start = self.at;
            let mut ranges = Vec::new();
            match bracket {
                Some(b'[') => self.items(|scanner, _| {
                    let start = scanner.at;
                    let made = each(scanner)?;
                    ranges.push((start..scanner.at, made));
                    Ok(())
                })?,
                Some(b'{') => {
                    let made = each(self)?;
                    let mut inside = Scanner {
                        bytes: self.bytes,
                        at: start + 1,
                    };
                    if inside.peek() != Some(b'}') {
                        ranges.push((start..self.at, made));
                    }
                }
                _ => {
                    *found = None;
                    return self.skip_value();
                }
            }
            *found = Some(ranges);
            return Ok(());
        };
        match bracket {
            Some(b'{') => self.members(|scanner, key| {
                if key.text().as_ref() == first.as_bytes() {
                    scanner.elements(rest, found, each)
                } else {
                    scanner.skip_value()
                }
            }),
            Some(b'[') => {
                let wanted = first.parse::<usize>().ok();
                self.items(|scanner, index| {
                    if Some(index) == wanted {
                        scanner.elements(rest, found, each)
                    } else {
                        scanner.skip_value()
                    }
                })
            }
            _ => self.skip_value(),
        }
    }

    /// Moves to the value of member or element `part`; `None` when there is none.
    fn enter(&mut self, part: &str) -> Result<Option<()>, SyntaxError> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                while self.peek() == Some(b'"') {
                    let key = self.key()?;
                    if key.text().as_ref() == part.as_bytes() {
                        return Ok(Some(()));
                    }
                    self.skip_value()?;
                    self.eat(b',');
                }
                Ok(None)
            }
            Some(b'[') => {
                let Ok(wanted) = part.parse::<usize>() else {
                    return Ok(None);
                };
                self.at += 1;
                for index in 0.. {
                    if self.peek() == Some(b']') {
                        break;
                    }
                    if index == wanted {
                        return Ok(Some(()));
                    }
                    self.skip_value()?;
                    if !self.eat(b',') {
                        break;
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}
