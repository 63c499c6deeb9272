//! Strict JSON with the position of every value.
//!
//! For files that people write: it refuses what JSON does not have and says what to write instead.
//! Records of providers are read by [`crate::json`], which keeps no positions.

mod scalars;

use std::collections::HashMap;
use std::fmt;

use super::{Entry, Kind, Node, Position, Problem};

/// Nesting beyond this is refused, so that a hostile file cannot exhaust the stack.
const MAX_DEPTH: usize = 128;

/// Parses one JSON document. The error names the place of the first syntax problem; a repeated key
/// is one.
pub fn parse_json(file: &str, text: &str) -> Result<Node, Problem> {
    let (node, repeated) = parse_json_keeping_repeats(file, text)?;
    match repeated.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(node),
    }
}

/// Like [`parse_json`], but a repeated key does not end the reading: its first value stands, and
/// every repetition is among the problems.
pub fn parse_json_keeping_repeats(file: &str, text: &str) -> Result<(Node, Vec<Problem>), Problem> {
    let mut reader = Reader::new(text);
    let result = reader.document();
    let to_problem = |mistake: Mistake| Problem {
        file: file.into(),
        at: Some(mistake.at),
        message: mistake.message,
        fix: mistake.fix,
    };
    match result {
        Ok(node) => Ok((node, reader.repeated.into_iter().map(to_problem).collect())),
        Err(mistake) => Err(to_problem(mistake)),
    }
}

/// The text of a file that shall hold UTF-8.
pub fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    let problem = |at, message: &str, fix: &str| Problem {
        file: file.into(),
        at: Some(at),
        message: message.to_owned(),
        fix: Some(fix.to_owned()),
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let start = Position { line: 1, column: 1 };
        return Err(problem(start, "the file is UTF-16", "save it as UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        // Valid up to there, so nothing is replaced.
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let mut reader = Reader::new(&valid);
        while reader.bump().is_some() {}
        problem(reader.at, "the file is not UTF-8 here", "save it as UTF-8")
    })
}

/// A syntax problem without its file.
struct Mistake {
    at: Position,
    message: String,
    fix: Option<String>,
}

impl Mistake {
    fn new(at: Position, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            fix: None,
        }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// What encloses the value being read; decides which mistakes are likely.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    List,
    Map,
}

impl Within {
    fn close(self) -> char {
        match self {
            Self::List => ']',
            Self::Map => '}',
        }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Map => "object",
        })
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: Position,
    depth: usize,
    repeated: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: Position { line: 1, column: 1 },
            depth: 0,
            repeated: Vec::new(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        if next == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(next)
    }

    fn skip_blank(&mut self) -> Result<(), Mistake> {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.bump();
                }
                '/' if self.rest.starts_with("//") || self.rest.starts_with("/*") => {
                    return Err(self.comment());
                }
                '#' => return Err(self.comment()),
                '\u{a0}' | '\u{feff}' | '\u{200b}' | '\u{2028}' | '\u{2029}' => {
                    return Err(Mistake::new(
                        self.at,
                        format!("invisible character U+{:04X}", u32::from(next)),
                    )
                    .fix("replace it with an ordinary space"));
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn comment(&self) -> Mistake {
        Mistake::new(self.at, "JSON has no comments").fix("remove the comment")
    }

    fn document(&mut self) -> Result<Node, Mistake> {
        self.skip_blank()?;
        if self.rest.is_empty() {
            return Err(Mistake::new(self.at, "the file is empty")
                .fix("the smallest configuration is {\"connectors\": []}"));
        }
        let node = self.value(None)?;
        self.skip_blank()?;
        if self.rest.is_empty() {
            return Ok(node);
        }
        let mistake = Mistake::new(self.at, "text after the end of the document");
        Err(match self.peek() {
            Some('}' | ']') => mistake.fix("a closing bracket too many"),
            Some(',') => mistake.fix("remove the comma, or put the values in one list"),
            _ => mistake.fix("one file holds one JSON value"),
        })
    }

    fn value(&mut self, within: Option<Within>) -> Result<Node, Mistake> {
        let at = self.at;
        let kind = match self.peek() {
            Some('{') => self.nested(Self::map)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Kind::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(_) => self.word(within)?,
            None => {
                return Err(Mistake::new(at, "the file ends where a value is expected")
                    .fix("it may be cut off"));
            }
        };
        Ok(Node { kind, at })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Kind, Mistake>) -> Result<Kind, Mistake> {
        if self.depth == MAX_DEPTH {
            return Err(Mistake::new(
                self.at,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.depth += 1;
        let kind = read(self);
        self.depth -= 1;
        kind
    }

    fn list(&mut self) -> Result<Kind, Mistake> {
        let open = self.at;
        self.bump();
        let mut items = Vec::new();
        self.skip_blank()?;
        if self.peek() == Some(']') {
            self.bump();
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(Some(Within::List))?);
            if self.after_member(Within::List, open)? {
                return Ok(Kind::List(items));
            }
        }
    }

    fn map(&mut self) -> Result<Kind, Mistake> {
        let open = self.at;
        self.bump();
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        self.skip_blank()?;
        if self.peek() == Some('}') {
            self.bump();
            return Ok(Kind::Map(entries));
        }
        loop {
            let key_at = self.at;
            let key = self.key(open)?;
            self.colon(&key)?;
            let value = self.value(Some(Within::Map))?;
            match lines.get(&key) {
                Some(first) => self.repeated.push(
                    Mistake::new(
                        key_at,
                        format!("key {key:?} is repeated; it stands in line {first} already"),
                    )
                    .fix("remove one of them"),
                ),
                None => {
                    lines.insert(key.clone(), key_at.line);
                    entries.push(Entry { key, key_at, value });
                }
            }
            if self.after_member(Within::Map, open)? {
                return Ok(Kind::Map(entries));
            }
        }
    }

    fn key(&mut self, open: Position) -> Result<String, Mistake> {
        match self.peek() {
            Some('"') => self.string(),
            Some('\'') => Err(self.single_quotes()),
            Some('“' | '”' | '„') => Err(self.curly_quotes()),
            Some(c) if c.is_alphanumeric() || c == '_' || c == '$' => {
                let word = self.peek_word();
                Err(
                    Mistake::new(self.at, format!("the key {word} has no quotes"))
                        .fix(format!("write \"{word}\"")),
                )
            }
            Some(',') => {
                Err(Mistake::new(self.at, "a comma where a key is expected")
                    .fix("remove the comma"))
            }
            Some(_) => Err(Mistake::new(
                self.at,
                "a key in double quotes is expected here",
            )),
            None => Err(self.unclosed(Within::Map, open)),
        }
    }

    fn colon(&mut self, key: &str) -> Result<(), Mistake> {
        self.skip_blank()?;
        match self.peek() {
            Some(':') => {
                self.bump();
                self.skip_blank()
            }
            Some('=') => Err(Mistake::new(self.at, format!("= after the key {key:?}"))
                .fix("write a colon instead")),
            _ => Err(Mistake::new(
                self.at,
                format!("a colon is missing after the key {key:?}"),
            )),
        }
    }

    /// Reads what follows a member: true at the end of the list or map.
    fn after_member(&mut self, within: Within, open: Position) -> Result<bool, Mistake> {
        // A missing comma is reported where it belongs: behind the value before.
        let behind = self.at;
        self.skip_blank()?;
        match self.peek() {
            Some(close) if close == within.close() => {
                self.bump();
                Ok(true)
            }
            Some(',') => {
                let comma = self.at;
                self.bump();
                self.skip_blank()?;
                match self.peek() {
                    Some('}' | ']') => Err(Mistake::new(comma, "trailing comma")
                        .fix("remove the comma after the last value")),
                    Some(',') => {
                        Err(Mistake::new(self.at, "two commas in a row").fix("remove one of them"))
                    }
                    None => Err(self.unclosed(within, open)),
                    Some(_) => Ok(false),
                }
            }
            Some('}' | ']') => Err(Mistake::new(
                self.at,
                format!(
                    "the {within} opened in line {}, column {} is not closed",
                    open.line, open.column
                ),
            )
            .fix(format!("a {} is expected here", within.close()))),
            Some(';') => {
                Err(Mistake::new(self.at, "a semicolon between values")
                    .fix("write a comma instead"))
            }
            Some(':') if within == Within::List => {
                Err(Mistake::new(self.at, "a colon inside a list")
                    .fix("keys and values belong in an object: { \"key\": \"value\" }"))
            }
            Some(_) => {
                Err(Mistake::new(behind, "a comma is missing after this value").fix("add a comma"))
            }
            None => Err(self.unclosed(within, open)),
        }
    }

    fn unclosed(&self, within: Within, open: Position) -> Mistake {
        Mistake::new(
            self.at,
            format!(
                "the file ends inside the {within} opened in line {}, column {}",
                open.line, open.column
            ),
        )
        .fix(format!("add the missing {}", within.close()))
    }

    fn single_quotes(&self) -> Mistake {
        Mistake::new(self.at, "text in single quotes").fix("write double quotes")
    }

    fn curly_quotes(&self) -> Mistake {
        Mistake::new(self.at, "typographic quotes").fix("write straight double quotes: \"")
    }

    fn peek_word(&self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '-')))
            .unwrap_or(self.rest.len());
        &self.rest[..end]
    }

    /// A value that starts with neither bracket, quote nor digit: a literal, or a mistake.
    ///
    /// An unknown word is not repeated in the message: it may be a secret without its quotes.
    fn word(&mut self, within: Option<Within>) -> Result<Kind, Mistake> {
        let word = self.peek_word();
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => return Err(self.no_value(word, within)),
        };
        for _ in 0..word.len() {
            self.bump();
        }
        Ok(kind)
    }

    fn no_value(&self, word: &str, within: Option<Within>) -> Mistake {
        let instead = |text: &str| {
            Mistake::new(self.at, format!("{word} is no JSON value")).fix(format!("write {text}"))
        };
        match word {
            "True" | "TRUE" | "yes" | "Yes" | "on" => return instead("true"),
            "False" | "FALSE" | "no" | "No" | "off" => return instead("false"),
            "None" | "nil" | "NULL" | "Null" | "undefined" => return instead("null"),
            "NaN" | "Infinity" | "inf" => return instead("a number"),
            _ => {}
        }
        let missing = Mistake::new(self.at, "a value is missing here");
        match self.peek() {
            Some('\'') => self.single_quotes(),
            Some('`') => Mistake::new(self.at, "text in backticks").fix("write double quotes"),
            Some('“' | '”' | '„') => self.curly_quotes(),
            Some('+') => Mistake::new(self.at, "a number with a plus sign").fix("remove the sign"),
            Some('.') => Mistake::new(self.at, "a number starts with a point")
                .fix("write a digit before the point, as in 0.5"),
            Some(',') if within == Some(Within::List) => missing.fix("remove the comma"),
            Some(',' | '}' | ']' | ':') => missing,
            Some('$') => {
                Mistake::new(self.at, "a substitution without quotes").fix("write \"${…}\"")
            }
            _ if within.is_none() => Mistake::new(self.at, "the file is no JSON")
                .fix("it starts with a { and has its keys in double quotes"),
            _ => Mistake::new(self.at, "this is no JSON value").fix("text stands in double quotes"),
        }
    }
}

#[cfg(test)]
mod tests;
