//! Methods of Python's texts, lists and dicts. What would change a value is refused.

use super::call::Call;
use super::value::{Raise, Result, SeqKind, Value, fail};
use super::{MAX_TEXT, dates, operators, str_format, strings};

/// Whether the type of `owner` has this method.
pub(super) fn has(owner: &Value<'_>, name: &str) -> bool {
    match owner {
        Value::Str(_) => strings::has_method(name) || matches!(name, "format" | "join"),
        Value::Object(_) | Value::Headers(_) | Value::Slice(_) | Value::Dict(_) => {
            matches!(name, "get" | "keys" | "values" | "items" | "copy") || changes_dict(name)
        }
        Value::Array(_) | Value::Seq(SeqKind::List, _) => {
            matches!(name, "index" | "count" | "copy") || changes_list(name)
        }
        Value::Seq(SeqKind::Tuple, _) => matches!(name, "index" | "count"),
        Value::Loop(_) => name == "cycle",
        owner => dates::has_method(owner, name),
    }
}

fn changes_dict(name: &str) -> bool {
    matches!(name, "pop" | "popitem" | "update" | "setdefault" | "clear")
}

fn changes_list(name: &str) -> bool {
    matches!(
        name,
        "append" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort" | "clear"
    )
}

/// Calls a method that [`has`] knows.
pub(super) fn call<'a>(owner: &Value<'a>, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    match owner {
        Value::Str(text) => match name {
            "format" => str_format::format(text.as_str(), args),
            "join" => join(text.as_str(), &args.one()?),
            name => strings::call(text.as_str(), name, args),
        },
        Value::Object(_) | Value::Headers(_) | Value::Slice(_) | Value::Dict(_) => {
            dict(owner, name, args)
        }
        Value::Array(_) | Value::Seq(..) => list(owner, name, args),
        Value::Loop(state) => {
            let choices = args.positional.len().max(1);
            Ok(args
                .positional
                .get(state.index0 % choices)
                .cloned()
                .ok_or(Raise::Type)?)
        }
        owner => dates::call(owner, name, args),
    }
}

fn dict<'a>(owner: &Value<'a>, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let entries = || owner.entries().unwrap_or_default();
    match name {
        "get" => {
            let [key, default] = args.bind(["", ""], 1)?;
            let key = key.ok_or(Raise::Type)?;
            super::access::expect_hashable(&key)?;
            Ok(operators::find(owner, &key)?
                .or(default)
                .unwrap_or(Value::None))
        }
        "keys" => {
            args.none()?;
            let keys: Vec<_> = entries().into_iter().map(|(key, _)| key).collect();
            Ok(Value::Seq(SeqKind::Keys, keys.into()))
        }
        "values" => {
            args.none()?;
            let values: Vec<_> = entries().into_iter().map(|(_, value)| value).collect();
            Ok(Value::Seq(SeqKind::Values, values.into()))
        }
        "items" => {
            args.none()?;
            let pair = |(key, value)| Value::tuple(vec![key, value]);
            let items: Vec<_> = entries().into_iter().map(pair).collect();
            Ok(Value::Seq(SeqKind::Items, items.into()))
        }
        "copy" => Ok(owner.clone()),
        _ => fail(format!("templates cannot change values: `{name}`")),
    }
}

fn list<'a>(owner: &Value<'a>, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    match name {
        "index" | "count" => {
            let wanted = args.one()?;
            let mut count = 0;
            for (at, item) in owner.items()?.iter().enumerate() {
                if operators::equal(item, &wanted)? {
                    if name == "index" {
                        return Ok(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
                    }
                    count += 1;
                }
            }
            if name == "index" {
                fail("value is not in the list")
            } else {
                Ok(Value::Int(count))
            }
        }
        "copy" => Ok(owner.clone()),
        _ => fail(format!("templates cannot change values: `{name}`")),
    }
}

/// `separator.join(items)`: every item must be text.
fn join<'a>(separator: &str, items: &Value<'a>) -> Result<Value<'a>> {
    let mut text = String::new();
    for (index, item) in items.items()?.iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        text.push_str(item.as_str().ok_or(Raise::Type)?);
        if text.len() > MAX_TEXT {
            return fail("text is too long");
        }
    }
    Ok(Value::text(text))
}
