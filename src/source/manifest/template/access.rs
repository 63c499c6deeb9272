//! Attributes, items and slices of values.

use std::rc::Rc;

use super::value::{Raise, Result, Text, Value, fail};
use super::{dates, methods, operators};

/// `owner.name`: a method or field of the type, else the item of that name.
pub(super) fn attribute<'a>(owner: &Value<'a>, name: Text<'a>) -> Result<Value<'a>> {
    if let Value::Undefined(_) = owner {
        return Err(owner.misuse());
    }
    if let Some(value) = own_attribute(owner, &name) {
        return Ok(value);
    }
    if let Some(value) = owner.lookup(name.as_str()) {
        return Ok(value);
    }
    Ok(missing(owner, name))
}

/// `owner[key]`: the item, else the attribute of that name.
pub(super) fn item<'a>(owner: &Value<'a>, key: &Value<'a>) -> Result<Value<'a>> {
    if let Value::Undefined(_) = owner {
        return Err(owner.misuse());
    }
    let found = match owner {
        Value::Array(items) => position(key, items.len()).map(|at| Value::from_json(&items[at])),
        Value::Seq(_, items) => position(key, items.len()).map(|at| items[at].clone()),
        Value::Str(text) => {
            let text = text.as_str();
            let length = if key.as_int().is_some() {
                text.chars().count()
            } else {
                0
            };
            let at = position(key, length);
            at.and_then(|at| text.chars().nth(at))
                .map(|c| Value::text(c.to_string()))
        }
        owner => operators::find(owner, key)?,
    };
    if let Some(value) = found {
        return Ok(value);
    }
    match key {
        Value::Str(name) => {
            Ok(own_attribute(owner, name).unwrap_or_else(|| missing(owner, name.clone())))
        }
        Value::Undefined(_) => Ok(missing(owner, Text::Borrowed(""))),
        key => Ok(missing(
            owner,
            Text::Shared(super::print::text(key)?.into()),
        )),
    }
}

fn missing<'a>(owner: &Value<'a>, name: Text<'a>) -> Value<'a> {
    let forbidden = name.as_str().starts_with("__");
    match Value::missing(owner.type_name(), name) {
        Value::Undefined(missing) => Value::Undefined(super::value::Missing {
            forbidden,
            ..missing
        }),
        value => value,
    }
}

/// Index of an element; negative ones count from the end.
fn position(key: &Value<'_>, length: usize) -> Option<usize> {
    let index = key.as_int()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}

/// What the type itself has by that name.
fn own_attribute<'a>(owner: &Value<'a>, name: &Text<'a>) -> Option<Value<'a>> {
    match owner {
        Value::DateTime(_) | Value::Date(_) | Value::Span(_) => {
            if let Some(value) = dates::field(owner, name.as_str()) {
                return Some(value);
            }
        }
        Value::Slice(slice) => match name.as_str() {
            "partition" | "_partition" => return Some(Value::Object(slice.partition)),
            "cursor_slice" => return Some(Value::Object(slice.cursor)),
            "extra_fields" => return Some(Value::Object(slice.extra_fields)),
            _ => {}
        },
        Value::Loop(state) => {
            let length = state.items.len();
            let count = |count: usize| Some(Value::Int(i64::try_from(count).ok()?));
            let item = |at: Option<usize>| {
                Some(
                    at.and_then(|at| state.items.get(at))
                        .cloned()
                        .unwrap_or_else(Value::undefined),
                )
            };
            return match name.as_str() {
                "index" => count(state.index0 + 1),
                "index0" => count(state.index0),
                "revindex" => count(length - state.index0),
                "revindex0" => count(length - state.index0 - 1),
                "first" => Some(Value::Bool(state.index0 == 0)),
                "last" => Some(Value::Bool(state.index0 + 1 == length)),
                "length" => count(length),
                "depth" => count(state.depth),
                "depth0" => count(state.depth - 1),
                "previtem" => item(state.index0.checked_sub(1)),
                "nextitem" => item(Some(state.index0 + 1)),
                _ => None,
            };
        }
        Value::Int(_) | Value::Big(_) | Value::Float(_) if name.as_str() == "real" => {
            return Some(owner.clone());
        }
        _ => {}
    }
    let is_method = methods::has(owner, name.as_str());
    is_method.then(|| Value::Method(Rc::new((owner.clone(), name.clone()))))
}

/// `owner[start:stop:step]`
pub(super) fn slice<'a>(owner: &Value<'a>, bounds: [Option<i64>; 3]) -> Result<Value<'a>> {
    match owner {
        Value::Str(text) => {
            let chars: Vec<char> = text.as_str().chars().collect();
            let picked: String = indices(chars.len(), bounds)?
                .into_iter()
                .map(|at| chars[at])
                .collect();
            Ok(Value::text(picked))
        }
        Value::Array(_) | Value::Seq(..) => {
            let items = owner.items()?;
            let picked = indices(items.len(), bounds)?
                .into_iter()
                .map(|at| items[at].clone())
                .collect();
            Ok(match owner {
                Value::Seq(kind, _) => Value::Seq(*kind, Rc::new(picked)),
                _ => Value::list(picked),
            })
        }
        Value::Undefined(_) => Err(owner.misuse()),
        _ => Err(Raise::Type),
    }
}

/// The elements that a slice picks, in order.
fn indices(length: usize, [from, to, step]: [Option<i64>; 3]) -> Result<Vec<usize>> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return fail("slice step cannot be zero");
    }
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let clamp = |bound: Option<i64>, default: i64| {
        bound.map_or(default, |bound| {
            let bound = if bound < 0 {
                bound.saturating_add(length)
            } else {
                bound
            };
            bound.clamp(lowest, highest)
        })
    };
    let (first, end) = if step > 0 {
        (0, length)
    } else {
        (length - 1, -1)
    };
    let (mut at, until) = (clamp(from, first), clamp(to, end));
    let mut picked = Vec::new();
    while if step > 0 { at < until } else { at > until } {
        picked.extend(usize::try_from(at).ok());
        at = at.saturating_add(step);
    }
    Ok(picked)
}

/// Only what never changes can be a key.
pub(super) fn expect_hashable(key: &Value<'_>) -> Result<()> {
    use super::value::SeqKind;
    match key {
        Value::Array(_) | Value::Seq(SeqKind::List, _) => Err(Raise::Type),
        key if key.is_mapping() => Err(Raise::Type),
        _ => Ok(()),
    }
}

/// Adds to a dict, or replaces the value under an equal key.
pub(super) fn insert<'a>(
    pairs: &mut Vec<(Value<'a>, Value<'a>)>,
    key: Value<'a>,
    value: Value<'a>,
) -> Result<()> {
    for (known, slot) in pairs.iter_mut() {
        if operators::equal(known, &key)? {
            *slot = value;
            return Ok(());
        }
    }
    pairs.push((key, value));
    Ok(())
}
