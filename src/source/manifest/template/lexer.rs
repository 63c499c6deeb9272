//! Template text to tokens, by the rules of Jinja's lexer.

use num_bigint::BigInt;

use super::CompileError;
use super::ast::Const;

/// A token and the byte where it starts.
#[derive(Debug, Clone)]
pub(super) struct Spanned {
    pub token: Token,
    pub offset: usize,
}

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// Text outside of tags.
    Text(String),
    /// `{{`
    PrintStart,
    /// `}}`
    PrintEnd,
    /// `{%`
    BlockStart,
    /// `%}`
    BlockEnd,
    /// A name or keyword.
    Name(String),
    /// A number or text.
    Const(Const),
    /// An operator or bracket.
    Op(&'static str),
}

/// Longest first: the first that fits is taken.
const OPERATORS: [&str; 25] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",",
];

/// Splits a template into tokens. The text has its newlines normalised already.
pub(super) fn tokenize(text: &str) -> Result<Vec<Spanned>, CompileError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Spanned>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, offset: usize) {
        self.tokens.push(Spanned { token, offset });
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError {
            offset: self.at,
            what: what.into(),
        })
    }

    fn run(&mut self) -> Result<(), CompileError> {
        while self.at < self.text.len() {
            let rest = self.rest();
            let tag = rest
                .match_indices('{')
                .map(|(at, _)| at)
                .find(|at| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
            let Some(tag) = tag else {
                self.push(Token::Text(rest.to_owned()), self.at);
                break;
            };
            let kind = rest.as_bytes()[tag + 1];
            let sign = rest
                .as_bytes()
                .get(tag + 2)
                .filter(|sign| matches!(sign, b'-' | b'+'));
            let mut data = &rest[..tag];
            if sign == Some(&b'-') {
                data = data.trim_end();
            }
            if !data.is_empty() {
                self.push(Token::Text(data.to_owned()), self.at);
            }
            let start = self.at + tag;
            self.at = start + 2 + usize::from(sign.is_some());
            match kind {
                b'#' => self.comment()?,
                b'%' if self.raw_start() => self.raw()?,
                b'%' => {
                    self.push(Token::BlockStart, start);
                    self.code("%}", Token::BlockEnd)?;
                }
                _ => {
                    self.push(Token::PrintStart, start);
                    self.code("}}", Token::PrintEnd)?;
                }
            }
        }
        Ok(())
    }

    /// Skips blanks if the tag that ends here was closed with a `-`.
    fn strip(&mut self, stripping: bool) {
        if stripping {
            self.at = self.text.len() - self.rest().trim_start().len();
        }
    }

    fn comment(&mut self) -> Result<(), CompileError> {
        let Some(end) = self.rest().find("#}") else {
            return self.error("missing end of comment");
        };
        let stripping = self.rest()[..end].ends_with('-');
        self.at += end + 2;
        self.strip(stripping);
        Ok(())
    }

    /// Whether a `{% raw %}` starts here; if so, it is skipped.
    fn raw_start(&mut self) -> bool {
        let Some(after) = self.rest().trim_start().strip_prefix("raw") else {
            return false;
        };
        let after = after.trim_start();
        let stripping = after.starts_with('-');
        let Some(after) = after.trim_start_matches(['-', '+']).strip_prefix("%}") else {
            return false;
        };
        self.at = self.text.len() - after.len();
        self.strip(stripping);
        true
    }

    fn raw(&mut self) -> Result<(), CompileError> {
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let tag = &rest[at + 2..];
            let inner = tag.trim_start_matches(['-', '+']).trim_start();
            let Some(after) = inner.strip_prefix("endraw") else {
                continue;
            };
            let after = after.trim_start();
            let stripping = after.starts_with('-');
            let Some(after) = after.trim_start_matches(['-', '+']).strip_prefix("%}") else {
                continue;
            };
            let data = if tag.starts_with('-') {
                rest[..at].trim_end()
            } else {
                &rest[..at]
            };
            self.push(Token::Text(data.to_owned()), self.at);
            self.at = self.text.len() - after.len();
            self.strip(stripping);
            return Ok(());
        }
        self.error("missing end of raw block")
    }

    /// Reads the tokens of a tag up to `end`, which counts only outside of brackets.
    fn code(&mut self, end: &str, end_token: Token) -> Result<(), CompileError> {
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            let rest = self.rest();
            let start = self.at;
            if rest.is_empty() {
                return self.error(format!("missing `{end}`"));
            }
            if open.is_empty() {
                let (sign, tail) = match rest.as_bytes()[0] {
                    b'-' => (true, &rest[1..]),
                    b'+' if end == "%}" => (false, &rest[1..]),
                    _ => (false, rest),
                };
                if let Some(after) = tail.strip_prefix(end) {
                    self.at = self.text.len() - after.len();
                    self.strip(sign);
                    self.push(end_token, start);
                    return Ok(());
                }
            }
            let token = self.token(&mut open)?;
            self.push(token, start);
        }
    }

    fn token(&mut self, open: &mut Vec<&'static str>) -> Result<Token, CompileError> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            self.at += end;
            return Ok(Token::Name(rest[..end].to_owned()));
        }
        let Some(op) = OPERATORS.into_iter().find(|op| rest.starts_with(op)) else {
            return self.error(format!("unexpected character `{first}`"));
        };
        let closes = |bracket| match bracket {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        match op {
            "(" | "[" | "{" => open.push(op),
            ")" | "]" | "}" if open.pop().map(closes) != Some(op) => {
                return self.error(format!("unexpected `{op}`"));
            }
            _ => {}
        }
        self.at += op.len();
        Ok(Token::Op(op))
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let rest = self.rest();
        let follows_dot = self.text[..self.at].ends_with('.');
        if !follows_dot && let Some(length) = float_length(rest) {
            self.at += length;
            let value = rest[..length]
                .replace('_', "")
                .parse::<f64>()
                .unwrap_or(f64::INFINITY);
            return Ok(Token::Const(Const::Float(value)));
        }
        let (digits, radix, length) = integer(rest);
        let digits: String = digits.chars().filter(|c| *c != '_').collect();
        if digits.len() > super::MAX_DIGITS {
            return self.error("number has too many digits");
        }
        self.at += length;
        if let Ok(value) = i64::from_str_radix(&digits, radix) {
            return Ok(Token::Const(Const::Int(value)));
        }
        match BigInt::parse_bytes(digits.as_bytes(), radix) {
            Some(value) => Ok(Token::Const(Const::Big(value))),
            None => self.error("malformed number"),
        }
    }

    fn string(&mut self, quote: char) -> Result<Token, CompileError> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                let Some(text) = super::escape::unescape(&body[..at]) else {
                    return self.error("malformed escape in text");
                };
                self.at += at + 2;
                return Ok(Token::Const(Const::Str(text.into())));
            }
        }
        self.error("missing end of text")
    }
}

/// Digits with single underscores between them.
fn digits_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digit = bytes[at].is_ascii_digit();
        let between = bytes[at] == b'_'
            && at > 0
            && bytes[at - 1] != b'_'
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !digit && !between {
            break;
        }
        at += 1;
    }
    at
}

/// Length of a float: digits, then a fraction, an exponent, or both.
fn float_length(text: &str) -> Option<usize> {
    let mut at = digits_length(text);
    let mut is_float = false;
    if text[at..].starts_with('.') {
        let fraction = digits_length(&text[at + 1..]);
        if fraction > 0 {
            at += 1 + fraction;
            is_float = true;
        }
    }
    if text[at..].starts_with(['e', 'E']) {
        let sign = usize::from(text[at + 1..].starts_with(['+', '-']));
        let exponent = digits_length(&text[at + 1 + sign..]);
        if exponent > 0 {
            at += 1 + sign + exponent;
            is_float = true;
        }
    }
    is_float.then_some(at)
}

/// Digits, radix and length of an integer. `007` is `00` and then `7`, as in Jinja.
fn integer(text: &str) -> (&str, u32, usize) {
    let bytes = text.as_bytes();
    for (letter, radix) in [(b'x', 16), (b'o', 8), (b'b', 2)] {
        if bytes[0] == b'0'
            && bytes
                .get(1)
                .is_some_and(|b| b.to_ascii_lowercase() == letter)
        {
            let end = text[2..]
                .find(|c: char| !c.is_digit(radix) && c != '_')
                .map_or(text.len(), |end| end + 2);
            if text[2..end].contains(|c: char| c.is_digit(radix)) {
                return (&text[2..end], radix, end);
            }
        }
    }
    let mut length = digits_length(text);
    if bytes[0] == b'0' {
        length = text[..length]
            .find(|c: char| c != '0' && c != '_')
            .unwrap_or(length);
    }
    (&text[..length], 10, length)
}
