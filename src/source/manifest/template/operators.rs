//! Python's operators: equality, order, arithmetic, membership.

use std::cmp::Ordering;

use super::arithmetic::{Number, arithmetic};
use super::ast::{BinaryOp, Comparison};
use super::value::{Raise, Result, SeqKind, Value, fail};
use super::{MAX_ITEMS, MAX_TEXT, access, dates, percent};

/// Data nested deeper than this is not compared.
const MAX_DEPTH: u32 = 100;

/// `left == right`
pub(super) fn equal(left: &Value<'_>, right: &Value<'_>) -> Result<bool> {
    equal_within(left, right, MAX_DEPTH)
}

fn equal_within(left: &Value<'_>, right: &Value<'_>, depth: u32) -> Result<bool> {
    let Some(depth) = depth.checked_sub(1) else {
        return fail("data is nested too deeply");
    };
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return Ok(left.compare(&right) == Some(Ordering::Equal));
    }
    match (left, right) {
        (Value::Undefined(left), Value::Undefined(right)) => {
            Ok(!left.forbidden && !right.forbidden)
        }
        (Value::None, Value::None) => Ok(true),
        (Value::Str(left), Value::Str(right)) => Ok(left.as_str() == right.as_str()),
        (Value::Date(left), Value::Date(right)) => Ok(left == right),
        (Value::Span(left), Value::Span(right)) => Ok(left == right),
        (Value::DateTime(left), Value::DateTime(right)) => {
            let comparable = left.offset.is_some() == right.offset.is_some();
            Ok(comparable && left.epoch_micros() == right.epoch_micros())
        }
        (Value::Function(left), Value::Function(right)) => Ok(left == right),
        _ if left.is_mapping() && right.is_mapping() => {
            let (Some(left), Some(right)) = (left.entries(), right.entries()) else {
                return Ok(false);
            };
            if left.len() != right.len() {
                return Ok(false);
            }
            let right = Value::Dict(right.into());
            for (key, value) in &left {
                match find(&right, key)? {
                    Some(other) if equal_within(value, &other, depth)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ if left.is_sequence() && right.is_sequence() && kind(left) == kind(right) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.items()?.iter().zip(&right.items()?) {
                if !equal_within(left, right, depth)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn kind(value: &Value<'_>) -> SeqKind {
    match value {
        Value::Seq(kind, _) => *kind,
        _ => SeqKind::List,
    }
}

/// The value under `key` of anything like a dict.
pub(super) fn find<'a>(mapping: &Value<'a>, key: &Value<'_>) -> Result<Option<Value<'a>>> {
    if let Some(key) = key.as_str() {
        return Ok(mapping.lookup(key));
    }
    if let Value::Dict(entries) = mapping {
        for (name, value) in entries.iter() {
            if equal(name, key)? {
                return Ok(Some(value.clone()));
            }
        }
    }
    Ok(None)
}

/// The order of two values; an error if Python has none between them.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>> {
    order_within(left, right, MAX_DEPTH)
}

fn order_within(left: &Value<'_>, right: &Value<'_>, depth: u32) -> Result<Option<Ordering>> {
    let Some(depth) = depth.checked_sub(1) else {
        return fail("data is nested too deeply");
    };
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return Ok(left.compare(&right));
    }
    match (left, right) {
        (Value::Str(left), Value::Str(right)) => Ok(Some(left.as_str().cmp(right.as_str()))),
        (Value::Date(left), Value::Date(right)) => Ok(Some(left.cmp(right))),
        (Value::DateTime(left), Value::DateTime(right))
            if left.offset.is_some() == right.offset.is_some() =>
        {
            Ok(Some(left.epoch_micros().cmp(&right.epoch_micros())))
        }
        (Value::Span(left), Value::Span(right)) if !left.is_calendar() && !right.is_calendar() => {
            Ok(Some(left.micros.cmp(&right.micros)))
        }
        _ if left.is_sequence() && right.is_sequence() && kind(left) == kind(right) => {
            let (left, right) = (left.items()?, right.items()?);
            for (left, right) in left.iter().zip(&right) {
                if !equal_within(left, right, depth)? {
                    return order_within(left, right, depth);
                }
            }
            Ok(Some(left.len().cmp(&right.len())))
        }
        (Value::Undefined(_), _) => Err(left.misuse()),
        _ => Err(right.misuse()),
    }
}

/// One comparison.
pub(super) fn compare(op: Comparison, left: &Value<'_>, right: &Value<'_>) -> Result<bool> {
    Ok(match op {
        Comparison::Eq => equal(left, right)?,
        Comparison::Ne => !equal(left, right)?,
        Comparison::Lt => order(left, right)? == Some(Ordering::Less),
        Comparison::Gt => order(left, right)? == Some(Ordering::Greater),
        Comparison::Le => order(left, right)?.is_some_and(Ordering::is_le),
        Comparison::Ge => order(left, right)?.is_some_and(Ordering::is_ge),
        Comparison::In => contains(right, left)?,
        Comparison::NotIn => !contains(right, left)?,
    })
}

/// `item in container`
pub(super) fn contains(container: &Value<'_>, item: &Value<'_>) -> Result<bool> {
    match container {
        Value::Undefined(missing) if !missing.forbidden => Ok(false),
        // Only text is in a text, and something undefined is none.
        Value::Str(text) => Ok(text.as_str().contains(item.as_str().ok_or(Raise::Type)?)),
        _ if container.is_mapping() => {
            access::expect_hashable(item)?;
            Ok(find(container, item)?.is_some())
        }
        _ if container.is_sequence() => {
            for candidate in container.items()? {
                if equal(&candidate, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Err(other.misuse()),
    }
}

/// `left op right`
pub(super) fn binary<'a>(op: BinaryOp, left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>> {
    if let Some(result) = dates::arithmetic(op, left, right) {
        return result;
    }
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return arithmetic(op, left, right);
    }
    match (op, left, right) {
        (BinaryOp::Add, Value::Str(left), Value::Str(right)) => {
            if left.as_str().len() + right.as_str().len() > MAX_TEXT {
                return fail("text is too long");
            }
            Ok(Value::text([left.as_str(), right.as_str()].concat()))
        }
        (BinaryOp::Add, _, _)
            if left.is_sequence() && right.is_sequence() && kind(left) == kind(right) =>
        {
            let mut items = left.items()?;
            items.extend(right.items()?);
            sequence(kind(left), items)
        }
        (BinaryOp::Mul, _, count) if count.as_int().is_some() => repeat(left, count.expect_int()?),
        (BinaryOp::Mul, count, _) if count.as_int().is_some() => repeat(right, count.expect_int()?),
        (BinaryOp::Mod, Value::Str(format), _) => percent::format(format.as_str(), right),
        (_, Value::Undefined(_), _) => Err(left.misuse()),
        _ => Err(right.misuse()),
    }
}

fn sequence(kind: SeqKind, items: Vec<Value<'_>>) -> Result<Value<'_>> {
    if items.len() > MAX_ITEMS {
        return fail("list is too long");
    }
    Ok(Value::Seq(kind, items.into()))
}

fn repeat<'a>(value: &Value<'a>, count: i64) -> Result<Value<'a>> {
    let count = usize::try_from(count).unwrap_or(0);
    match value {
        Value::Str(text) => {
            if text.as_str().len().saturating_mul(count) > MAX_TEXT {
                return fail("text is too long");
            }
            Ok(Value::text(text.as_str().repeat(count)))
        }
        Value::Array(_) | Value::Seq(SeqKind::List | SeqKind::Tuple, _) => {
            let items = value.items()?;
            if items.len().saturating_mul(count) > MAX_ITEMS {
                return fail("list is too long");
            }
            let repeated = std::iter::repeat_n(items, count).flatten().collect();
            sequence(kind(value), repeated)
        }
        other => Err(other.misuse()),
    }
}
