//! Methods of Python's texts.

use super::MAX_TEXT;
use super::call::Call;
use super::value::{Raise, Result, SeqKind, Value, fail};

/// Whether texts have this method; `format` and `join` are elsewhere.
pub(super) fn has_method(name: &str) -> bool {
    is_plain(name)
        || is_question(name)
        || matches!(
            name,
            "strip"
                | "lstrip"
                | "rstrip"
                | "split"
                | "rsplit"
                | "splitlines"
                | "partition"
                | "rpartition"
                | "startswith"
                | "endswith"
                | "find"
                | "rfind"
                | "index"
                | "rindex"
                | "count"
                | "replace"
                | "removeprefix"
                | "removesuffix"
                | "zfill"
                | "ljust"
                | "rjust"
                | "center"
        )
}

fn is_plain(name: &str) -> bool {
    matches!(
        name,
        "upper" | "lower" | "casefold" | "title" | "capitalize" | "swapcase"
    )
}

fn is_question(name: &str) -> bool {
    matches!(
        name,
        "isdigit"
            | "isdecimal"
            | "isnumeric"
            | "isalpha"
            | "isalnum"
            | "isspace"
            | "isupper"
            | "islower"
            | "isascii"
    )
}

/// Calls a method that [`has_method`] knows.
pub(super) fn call<'a>(text: &str, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    if is_plain(name) {
        args.none()?;
        return Ok(Value::text(plain(text, name)));
    }
    if is_question(name) {
        args.none()?;
        return Ok(Value::Bool(question(text, name)));
    }
    match name {
        "strip" | "lstrip" | "rstrip" => strip(text, name, args),
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "splitlines" => Ok(texts(splitlines(text))),
        "partition" | "rpartition" => partition(text, name == "rpartition", args),
        "startswith" | "endswith" => affix(text, name == "startswith", &args.one()?),
        "find" | "rfind" | "index" | "rindex" => find(text, name, args),
        "count" => {
            let part = args.one()?;
            let part = part.expect_str()?;
            let count = match part {
                "" => text.chars().count() + 1,
                part => text.matches(part).count(),
            };
            Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
        }
        "replace" => {
            let [old, new, count] = args.bind(["", "", ""], 2)?;
            let (old, new) = (old.ok_or(Raise::Type)?, new.ok_or(Raise::Type)?);
            let count = count.map_or(Ok(-1), |count| count.expect_int())?;
            replace(text, old.expect_str()?, new.expect_str()?, count)
        }
        "removeprefix" | "removesuffix" => {
            let part = args.one()?;
            let part = part.expect_str()?;
            let rest = match name {
                "removeprefix" => text.strip_prefix(part),
                _ => text.strip_suffix(part),
            };
            Ok(Value::text(rest.unwrap_or(text)))
        }
        _ => pad(text, name, args),
    }
}

fn texts<'a, 't>(parts: impl IntoIterator<Item = &'t str>) -> Value<'a> {
    Value::list(parts.into_iter().map(Value::text).collect())
}

fn plain(text: &str, name: &str) -> String {
    match name {
        "upper" => text.to_uppercase(),
        "lower" | "casefold" => text.to_lowercase(),
        "capitalize" => capitalize(text),
        "swapcase" => text
            .chars()
            .flat_map(|c| -> Vec<char> {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            })
            .collect(),
        _ => {
            let mut inside = false;
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                if inside {
                    out.extend(c.to_lowercase());
                } else {
                    out.extend(c.to_uppercase());
                }
                inside = c.is_alphabetic();
            }
            out
        }
    }
}

/// First letter large, all others small.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.as_str().to_lowercase().chars()).collect()
}

fn question(text: &str, name: &str) -> bool {
    let all = |matches: fn(char) -> bool| !text.is_empty() && text.chars().all(matches);
    match name {
        "isdigit" | "isdecimal" => all(|c| c.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isascii" => text.is_ascii(),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
    }
}

fn strip<'a>(text: &str, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let [chars] = args.bind([""], 0)?;
    let chars: Option<Vec<char>> = match &chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(chars.expect_str()?.chars().collect()),
    };
    Ok(Value::text(stripped(
        text,
        chars.as_deref(),
        name != "rstrip",
        name != "lstrip",
    )))
}

/// Text without leading and trailing `chars`, or blanks.
pub(super) fn stripped<'t>(
    text: &'t str,
    chars: Option<&[char]>,
    start: bool,
    end: bool,
) -> &'t str {
    let goes = |c: char| chars.map_or_else(|| c.is_whitespace(), |chars| chars.contains(&c));
    let text = if start {
        text.trim_start_matches(goes)
    } else {
        text
    };
    if end {
        text.trim_end_matches(goes)
    } else {
        text
    }
}

fn split<'a>(text: &str, from_end: bool, args: &Call<'a>) -> Result<Value<'a>> {
    let [separator, limit] = args.bind(["sep", "maxsplit"], 0)?;
    let limit = limit.map_or(Ok(-1), |limit| limit.expect_int())?;
    let limit = usize::try_from(limit)
        .unwrap_or(usize::MAX - 1)
        .min(usize::MAX - 1);
    let separator = match &separator {
        None | Some(Value::None) => return Ok(split_blanks(text, from_end, limit)),
        Some(separator) => separator.expect_str()?,
    };
    if separator.is_empty() {
        return fail("empty separator");
    }
    if !from_end {
        return Ok(texts(text.splitn(limit + 1, separator)));
    }
    let mut parts: Vec<&str> = text.rsplitn(limit + 1, separator).collect();
    parts.reverse();
    Ok(texts(parts))
}

/// Splits at runs of blanks. What is left after `limit` parts keeps the blanks at its far end.
fn split_blanks<'a>(text: &str, from_end: bool, limit: usize) -> Value<'a> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_end {
            rest.trim_end()
        } else {
            rest.trim_start()
        };
        if rest.is_empty() {
            break;
        }
        if parts.len() == limit {
            parts.push(rest);
            break;
        }
        let (part, remaining) = if from_end {
            let blank = rest.char_indices().rev().find(|(_, c)| c.is_whitespace());
            let at = blank.map_or(0, |(at, c)| at + c.len_utf8());
            (&rest[at..], &rest[..at])
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        parts.push(part);
        rest = remaining;
    }
    if from_end {
        parts.reverse();
    }
    texts(parts)
}

fn splitlines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(['\n', '\r']).unwrap_or(rest.len());
        lines.push(&rest[..at]);
        rest = &rest[at..];
        rest = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix(['\n', '\r']))
            .unwrap_or("");
    }
    lines
}

fn partition<'a>(text: &str, from_end: bool, args: &Call<'a>) -> Result<Value<'a>> {
    let separator = args.one()?;
    let separator = separator.expect_str()?;
    if separator.is_empty() {
        return fail("empty separator");
    }
    let parts = match (
        from_end,
        text.split_once(separator),
        text.rsplit_once(separator),
    ) {
        (false, Some((before, after)), _) | (true, _, Some((before, after))) => {
            [before, separator, after]
        }
        (false, None, _) => [text, "", ""],
        (true, _, None) => ["", "", text],
    };
    Ok(Value::Seq(
        SeqKind::Tuple,
        parts
            .into_iter()
            .map(Value::text)
            .collect::<Vec<_>>()
            .into(),
    ))
}

/// `startswith` and `endswith`: one text or a tuple of several.
fn affix<'a>(text: &str, start: bool, part: &Value<'a>) -> Result<Value<'a>> {
    let matches = |part: &Value<'a>| {
        let part = part.expect_str()?;
        Ok(if start {
            text.starts_with(part)
        } else {
            text.ends_with(part)
        })
    };
    if let Value::Seq(SeqKind::Tuple, parts) = part {
        for part in parts.iter() {
            if matches(part)? {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    matches(part).map(Value::Bool)
}

/// Positions count characters, not bytes.
fn find<'a>(text: &str, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let part = args.one()?;
    let part = part.expect_str()?;
    let at = if name.starts_with('r') {
        text.rfind(part)
    } else {
        text.find(part)
    };
    match at {
        Some(at) => {
            let position = text[..at].chars().count();
            Ok(Value::Int(i64::try_from(position).unwrap_or(i64::MAX)))
        }
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => fail("substring not found"),
    }
}

/// `text.replace(old, new, count)`; a negative count is all.
pub(super) fn replace<'a>(text: &str, old: &str, new: &str, count: i64) -> Result<Value<'a>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() {
        text.len() + 1
    } else {
        text.matches(old).count()
    };
    if text
        .len()
        .saturating_add(found.min(count).saturating_mul(new.len()))
        > MAX_TEXT
    {
        return fail("text is too long");
    }
    Ok(Value::text(text.replacen(old, new, count)))
}

fn pad<'a>(text: &str, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let [width, fill] = args.bind(["", ""], 1)?;
    let width = width.ok_or(Raise::Type)?.expect_int()?;
    let fill = match &fill {
        Some(fill) if name != "zfill" => {
            let mut chars = fill.expect_str()?.chars();
            chars
                .next()
                .filter(|_| chars.next().is_none())
                .ok_or(Raise::Type)?
        }
        Some(_) => return Err(Raise::Type),
        None if name == "zfill" => '0',
        None => ' ',
    };
    let missing = usize::try_from(width)
        .unwrap_or(0)
        .saturating_sub(text.chars().count());
    if missing > MAX_TEXT {
        return fail("text is too long");
    }
    let padding = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(Value::text(match name {
        "zfill" => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let sign = &text[..text.len() - digits.len()];
            format!("{sign}{}{digits}", padding(missing))
        }
        "ljust" => format!("{text}{}", padding(missing)),
        "rjust" => format!("{}{text}", padding(missing)),
        _ => {
            // Python puts the odd blank on the left if the width is odd.
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1);
            format!("{}{text}{}", padding(left), padding(missing - left))
        }
    }))
}
