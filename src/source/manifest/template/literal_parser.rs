//! Reads the text of Python literals.

use std::cmp::Ordering;

use num_bigint::BigInt;

use super::literal::Literal;

/// Collections nested deeper than this stay text.
const MAX_DEPTH: u32 = 90;

/// The literal that the whole text is; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Literal> {
    // Most texts are no literals, and one look tells.
    let first = text.trim_start().bytes().next()?;
    let may_be = matches!(
        first,
        b'0'..=b'9' | b'\'' | b'"' | b'(' | b'[' | b'{' | b'+' | b'-' | b'.'
    ) || matches!(
        first,
        b'N' | b'T' | b'F' | b'r' | b'R' | b'u' | b'U' | b'b' | b'B' | b's' | b'#'
    );
    if !may_be || text.contains('\0') {
        return None;
    }
    let mut parser = Parser {
        rest: text.trim_start_matches([' ', '\t']),
        depth: 0,
    };
    parser.skip_lines();
    // On a line of its own, a value may not be indented.
    let before = &text[..text.len() - parser.rest.len()];
    if before.contains(['\n', '\r']) && !before.ends_with(['\n', '\r']) {
        return None;
    }
    // Nor may blanks begin a last line that has nothing else.
    if let Some((_, last)) = text.rsplit_once(['\n', '\r'])
        && !last.is_empty()
        && last.trim_matches([' ', '\t']).is_empty()
    {
        return None;
    }
    let value = parser.tuple_or_value(Parser::at_end)?;
    parser.skip_lines();
    parser.rest.is_empty().then_some(value)
}

pub(super) struct Parser<'t> {
    pub(super) rest: &'t str,
    /// Brackets that are open; inside them, newlines are blanks.
    depth: u32,
}

impl Parser<'_> {
    /// Skips blanks and comments, and newlines inside brackets.
    pub(super) fn skip(&mut self) {
        loop {
            let newlines = self.depth > 0;
            self.rest = self.rest.trim_start_matches(|c| {
                matches!(c, ' ' | '\t' | '\x0c') || (newlines && matches!(c, '\n' | '\r'))
            });
            match self.rest.strip_prefix('#') {
                Some(comment) => {
                    let end = comment.find(['\n', '\r']).unwrap_or(comment.len());
                    self.rest = &comment[end..];
                    if !newlines {
                        return;
                    }
                }
                None => return,
            }
        }
    }

    /// Skips lines that hold nothing but blanks and comments.
    fn skip_lines(&mut self) {
        self.skip();
        while let Some(rest) = self.rest.strip_prefix(['\n', '\r']) {
            self.rest = rest;
            self.skip();
        }
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn at_end(&mut self) -> bool {
        self.skip();
        self.rest.is_empty() || self.rest.starts_with(['\n', '\r'])
    }

    /// One value, or a tuple of several, up to where `ends` says so.
    fn tuple_or_value(&mut self, ends: fn(&mut Self) -> bool) -> Option<Literal> {
        let first = self.value()?;
        self.skip();
        if !self.take(",") {
            return Some(first);
        }
        let mut items = vec![first];
        while !ends(self) {
            items.push(self.value()?);
            self.skip();
            if !self.take(",") {
                break;
            }
        }
        Some(Literal::Tuple(items))
    }

    fn value(&mut self) -> Option<Literal> {
        self.skip();
        let first = self.rest.chars().next()?;
        match first {
            '+' | '-' => {
                self.rest = &self.rest[1..];
                self.skip();
                let value = self.value_after_sign()?;
                Some(if first == '-' { negated(value) } else { value })
            }
            '(' | '[' | '{' => self.brackets(first),
            '0'..='9' => self.number(),
            '.' if self.take("...") => Some(Literal::Ellipsis),
            '.' => self.number(),
            _ => self.text().or_else(|| self.name()),
        }
    }

    /// What may follow a sign: a number, in parentheses or not.
    fn value_after_sign(&mut self) -> Option<Literal> {
        if self.rest.starts_with(['+', '-']) {
            return None;
        }
        let value = self.value()?;
        let is_number = matches!(value, Literal::Int(_) | Literal::Big(_) | Literal::Float(_));
        is_number.then_some(value)
    }

    fn name(&mut self) -> Option<Literal> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match name {
            "None" => Some(Literal::None),
            "True" => Some(Literal::Bool(true)),
            "False" => Some(Literal::Bool(false)),
            "set" => {
                self.skip();
                let empty = self.take("(") && {
                    self.rest = self.rest.trim_start();
                    self.take(")")
                };
                empty.then(|| Literal::Set(Vec::new()))
            }
            _ => None,
        }
    }

    fn brackets(&mut self, open: char) -> Option<Literal> {
        self.rest = &self.rest[1..];
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.skip();
        let value = match open {
            '(' if self.rest.starts_with(')') => Literal::Tuple(Vec::new()),
            '(' => self.tuple_or_value(|parser| {
                parser.skip();
                parser.rest.starts_with(')')
            })?,
            '[' => Literal::List(self.items(']')?),
            _ => self.dict_or_set()?,
        };
        self.skip();
        let closed = self.take(match open {
            '(' => ")",
            '[' => "]",
            _ => "}",
        });
        self.depth -= 1;
        closed.then_some(value)
    }

    fn items(&mut self, close: char) -> Option<Vec<Literal>> {
        let mut items = Vec::new();
        loop {
            self.skip();
            if self.rest.starts_with(close) {
                return Some(items);
            }
            items.push(self.value()?);
            self.skip();
            if !self.take(",") {
                return Some(items);
            }
        }
    }

    fn dict_or_set(&mut self) -> Option<Literal> {
        if self.rest.starts_with('}') {
            return Some(Literal::Dict(Vec::new()));
        }
        let key = self.value()?;
        self.skip();
        if !self.take(":") {
            let mut items = vec![key];
            if self.take(",") {
                items.extend(self.items('}')?);
            }
            return unique(items).map(Literal::Set);
        }
        let mut entries = Vec::new();
        let mut entry = (key, self.value()?);
        loop {
            insert(&mut entries, entry)?;
            self.skip();
            let more = self.take(",");
            self.skip();
            if !more || self.rest.starts_with('}') {
                return Some(Literal::Dict(entries));
            }
            let key = self.value()?;
            self.skip();
            if !self.take(":") {
                return None;
            }
            entry = (key, self.value()?);
        }
    }
}

fn negated(value: Literal) -> Literal {
    let big = |value: BigInt| i64::try_from(&value).map_or(Literal::Big(value), Literal::Int);
    match value {
        Literal::Int(value) => big(-BigInt::from(value)),
        Literal::Big(value) => big(-value),
        Literal::Float(value) => Literal::Float(-value),
        other => other,
    }
}

/// Whether two keys are the same to Python, where `1`, `1.0` and `True` are.
fn same(left: &Literal, right: &Literal) -> bool {
    let number = |value: &Literal| match value {
        Literal::Bool(value) => Some(f64::from(u8::from(*value))),
        #[expect(
            clippy::cast_precision_loss,
            reason = "only large keys could be confused"
        )]
        Literal::Int(value) => Some(*value as f64),
        Literal::Float(value) => Some(*value),
        _ => None,
    };
    match (left, right) {
        (Literal::Int(left), Literal::Int(right)) => left == right,
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right) == Some(Ordering::Equal),
            _ => left == right,
        },
    }
}

fn is_hashable(key: &Literal) -> bool {
    match key {
        Literal::List(_) | Literal::Set(_) | Literal::Dict(_) => false,
        Literal::Tuple(items) => items.iter().all(is_hashable),
        _ => true,
    }
}

/// Adds an entry; a later value of an equal key wins, the first key stays.
fn insert(entries: &mut Vec<(Literal, Literal)>, (key, value): (Literal, Literal)) -> Option<()> {
    if !is_hashable(&key) {
        return None;
    }
    // Text of a page can be a dict of thousands of keys; only short ones are searched linearly.
    if entries.len() > MAX_SEARCHED {
        entries.push((key, value));
        return Some(());
    }
    match entries.iter_mut().find(|(known, _)| same(known, &key)) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
    Some(())
}

/// Entries of a dict among which equal keys are looked for.
const MAX_SEARCHED: usize = 2000;

fn unique(items: Vec<Literal>) -> Option<Vec<Literal>> {
    let mut kept: Vec<Literal> = Vec::new();
    for item in items {
        if !is_hashable(&item) {
            return None;
        }
        if kept.len() > MAX_SEARCHED || !kept.iter().any(|known| same(known, &item)) {
            kept.push(item);
        }
    }
    Some(kept)
}
