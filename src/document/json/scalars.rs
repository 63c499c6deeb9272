//! Numbers and texts of JSON.

use super::{Mistake, Reader};
use crate::document::{Kind, Position};

impl Reader<'_> {
    pub(super) fn number(&mut self) -> Result<Kind, Mistake> {
        let at = self.at;
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let start = usize::from(bytes[0] == b'-');
        let whole = digits(start);
        let mut end = start + whole;
        if whole == 0 {
            return Err(Mistake::new(at, "a minus sign without a number"));
        }
        if whole > 1 && bytes[start] == b'0' {
            return Err(Mistake::new(at, "a number starts with a zero")
                .fix("remove the zero, or put text in double quotes"));
        }
        let mut is_integer = true;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return Err(Mistake::new(at, "a number ends with a point")
                    .fix("write a digit after the point, as in 1.0"));
            }
            end += 1 + fraction;
            is_integer = false;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent == 0 {
                return Err(Mistake::new(at, "a number with an empty exponent"));
            }
            end += 1 + sign + exponent;
            is_integer = false;
        }
        if let Some(next) = self.rest[end..].chars().next()
            && (next.is_alphanumeric() || matches!(next, '_' | '.'))
        {
            return Err(Mistake::new(at, "a number with other characters in it")
                .fix("write digits alone, or put text in double quotes"));
        }
        let text = &self.rest[..end];
        self.rest = &self.rest[end..];
        // Digits, signs and points: bytes are characters.
        self.at.column += u32::try_from(end).unwrap_or(u32::MAX);
        Ok(number_kind(text, is_integer))
    }

    pub(super) fn string(&mut self) -> Result<String, Mistake> {
        let open = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(at)?),
                Some('\n' | '\r') => {
                    return Err(
                        Mistake::new(open, "text without a closing quote in this line")
                            .fix("close it with \", and write a line break as \\n"),
                    );
                }
                Some(c) if c < '\u{20}' => {
                    return Err(Mistake::new(
                        at,
                        format!("control character U+{:04X} in text", u32::from(c)),
                    )
                    .fix(if c == '\t' {
                        "write \\t".to_owned()
                    } else {
                        format!("write \\u{:04x}", u32::from(c))
                    }));
                }
                Some(c) => text.push(c),
                None => {
                    return Err(
                        Mistake::new(open, "text without a closing quote").fix("close it with \"")
                    );
                }
            }
        }
    }

    fn escape(&mut self, at: Position) -> Result<char, Mistake> {
        Ok(match self.bump() {
            Some('"') => '"',
            Some('\\') => '\\',
            Some('/') => '/',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode_escape(at),
            _ => {
                return Err(Mistake::new(at, "JSON has no such escape")
                    .fix("a backslash itself is written \\\\"));
            }
        })
    }

    fn unicode_escape(&mut self, at: Position) -> Result<char, Mistake> {
        let lone = || {
            Mistake::new(at, "half of a surrogate pair")
                .fix("write the character itself, or both \\u escapes")
        };
        let first = self.four_hex(at)?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if first > 0xdbff || !self.rest.starts_with("\\u") {
            return Err(lone());
        }
        self.bump();
        self.bump();
        let second = self.four_hex(at)?;
        if !(0xdc00..=0xdfff).contains(&second) {
            return Err(lone());
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    fn four_hex(&mut self, at: Position) -> Result<u32, Mistake> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|c| c.to_digit(16)).ok_or_else(|| {
                Mistake::new(at, "\\u without four hexadecimal digits").fix("as in \\u00e4")
            })?;
            self.bump();
            code = code * 16 + digit;
        }
        Ok(code)
    }
}

/// The narrowest kind that holds the number as written.
fn number_kind(text: &str, is_integer: bool) -> Kind {
    if is_integer && let Ok(value) = text.parse() {
        return Kind::Int(value);
    }
    if !is_integer
        && let Ok(value) = text.parse::<f64>()
        && value.is_finite()
    {
        return Kind::Float(value);
    }
    Kind::BigNumber(text.into())
}
