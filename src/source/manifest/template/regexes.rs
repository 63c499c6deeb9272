//! Python's regular expressions in filters.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fancy_regex::{Captures, Regex, RegexBuilder};

use super::MAX_TEXT;
use super::value::{Result, fail};

/// Backtracking steps of one search.
const MAX_BACKTRACKS: usize = 100_000;

/// Compiled expressions kept per thread. Manifests have a handful; a template that makes ever new
/// ones starts over.
const MAX_CACHED: usize = 64;

thread_local! {
    static CACHE: RefCell<HashMap<String, Rc<Regex>>> = RefCell::new(HashMap::new());
}

fn compile(pattern: &str) -> Result<Rc<Regex>> {
    if let Some(regex) = CACHE.with_borrow(|cache| cache.get(pattern).cloned()) {
        return Ok(regex);
    }
    let built = RegexBuilder::new(pattern)
        .backtrack_limit(MAX_BACKTRACKS)
        .delegate_size_limit(1 << 20)
        .build();
    let Ok(regex) = built else {
        return fail(format!("cannot read the regular expression `{pattern}`"));
    };
    let regex = Rc::new(regex);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), Rc::clone(&regex));
    });
    Ok(regex)
}

fn gave_up<T>(_: fancy_regex::Error) -> Result<T> {
    fail("regular expression does too much work")
}

/// The first group of the first match; nothing if there is no match or no group.
pub(super) fn search(pattern: &str, text: &str) -> Result<Option<String>> {
    let found = compile(pattern)?.captures(text).or_else(gave_up)?;
    Ok(found.and_then(|captures| captures.get(1).map(|group| group.as_str().to_owned())))
}

/// Replaces every match; `\1` and `\g<name>` in the replacement are groups.
pub(super) fn replace(pattern: &str, text: &str, replacement: &str) -> Result<String> {
    let regex = compile(pattern)?;
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let captures = captures.or_else(gave_up)?;
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(&text[end..whole.start()]);
        expand(replacement, &captures, &mut out)?;
        end = whole.end();
        if out.len() > MAX_TEXT {
            return fail("text is too long");
        }
    }
    out.push_str(&text[end..]);
    Ok(out)
}

fn expand(replacement: &str, captures: &Captures<'_, str>, out: &mut String) -> Result<()> {
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(kind) = rest.chars().next() else {
            return fail("trailing backslash");
        };
        rest = &rest[kind.len_utf8()..];
        let group = match kind {
            'g' => {
                let name = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
                let Some((name, after)) = name else {
                    return fail("missing group name");
                };
                rest = after;
                match name.parse() {
                    Ok(index) => captures.get(index),
                    Err(_) => captures.name(name),
                }
            }
            '1'..='9' => captures.get(kind.to_digit(10).map_or(0, |digit| digit as usize)),
            other => {
                match other {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    '\\' => out.push('\\'),
                    other => out.extend(['\\', other]),
                }
                continue;
            }
        };
        out.push_str(group.map_or("", |group| group.as_str()));
    }
    out.push_str(rest);
    Ok(())
}
