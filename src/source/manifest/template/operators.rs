//! Python's operators: equality, order, arithmetic, membership.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use super::ast::{BinaryOp, Comparison};
use super::value::{Raise, Result, SeqKind, Value, big_to_float, fail};
use super::{MAX_ITEMS, MAX_TEXT, dates, formatting};

/// Bits of the largest integer that arithmetic may make.
const MAX_BITS: u64 = 1 << 14;

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
        Value::Str(text) => Ok(text.as_str().contains(item.expect_str()?)),
        _ if container.is_mapping() => Ok(find(container, item)?.is_some()),
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

/// A number of any kind; bools count.
enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Number {
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Float(value) => Some(Self::Float(*value)),
            Value::Big(value) => Some(Self::Big((**value).clone())),
            value => value.as_int().map(Self::Int),
        }
    }

    fn float(&self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Python rounds here, too")]
            Self::Int(value) => *value as f64,
            Self::Big(value) => big_to_float(value),
            Self::Float(value) => *value,
        }
    }

    fn big(self) -> Option<BigInt> {
        match self {
            Self::Int(value) => Some(BigInt::from(value)),
            Self::Big(value) => Some(value),
            Self::Float(_) => None,
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(right),
            (Self::Float(left), right) => compare_float(*left, right),
            (left, Self::Float(right)) => compare_float(*right, left).map(Ordering::reverse),
            (Self::Big(left), Self::Int(_)) => Some(sign_order(left)),
            (Self::Int(_), Self::Big(right)) => Some(sign_order(right).reverse()),
            (Self::Big(left), Self::Big(right)) => Some(left.cmp(right)),
        }
    }
}

/// A `Big` lies outside of the range of `Int`, so its sign decides.
fn sign_order(big: &BigInt) -> Ordering {
    if big.sign() == Sign::Minus {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// Compares exactly: rounding the integer would make unequal numbers equal.
fn compare_float(float: f64, integer: &Number) -> Option<Ordering> {
    let rounded = integer.float();
    match float.partial_cmp(&rounded)? {
        Ordering::Equal if float.is_finite() => {
            // Equal after rounding: the float is whole, so its decimal text is an integer.
            let whole: BigInt = format!("{float:.0}").parse().ok()?;
            let integer = match integer {
                Number::Int(value) => BigInt::from(*value),
                Number::Big(value) => value.clone(),
                Number::Float(_) => return Some(Ordering::Equal),
            };
            Some(whole.cmp(&integer))
        }
        ordering => Some(ordering),
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
        (BinaryOp::Mod, Value::Str(format), _) => formatting::percent(format.as_str(), right),
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

fn arithmetic<'a>(op: BinaryOp, left: Number, right: Number) -> Result<Value<'a>> {
    if let (Number::Int(left), Number::Int(right)) = (&left, &right)
        && let Some(value) = small_arithmetic(op, *left, *right)
    {
        return Ok(Value::Int(value));
    }
    let is_zero = right.float() == 0.0;
    if is_zero && matches!(op, BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod) {
        return fail("division by zero");
    }
    let floats = matches!(left, Number::Float(_))
        || matches!(right, Number::Float(_))
        || op == BinaryOp::Div
        || (op == BinaryOp::Pow && right.float() < 0.0);
    if floats {
        return float_arithmetic(op, left.float(), right.float());
    }
    let (Some(left), Some(right)) = (left.big(), right.big()) else {
        return Err(Raise::Type);
    };
    big_arithmetic(op, &left, &right)
}

/// Whole numbers that stay within 64 bits; `None`: take the long way.
fn small_arithmetic(op: BinaryOp, left: i64, right: i64) -> Option<i64> {
    match op {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Sub => left.checked_sub(right),
        BinaryOp::Mul => left.checked_mul(right),
        BinaryOp::FloorDiv => {
            let quotient = left.checked_div(right)?;
            let inexact = left.checked_rem(right)? != 0;
            Some(quotient - i64::from(inexact && (left < 0) != (right < 0)))
        }
        BinaryOp::Mod => {
            let rest = left.checked_rem(right)?;
            Some(if rest != 0 && (rest < 0) != (right < 0) {
                rest + right
            } else {
                rest
            })
        }
        BinaryOp::Pow => left.checked_pow(u32::try_from(right).ok()?),
        BinaryOp::Div => None,
    }
}

fn float_arithmetic<'a>(op: BinaryOp, left: f64, right: f64) -> Result<Value<'a>> {
    let value = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::FloorDiv => (left / right).floor(),
        BinaryOp::Mod => {
            let rest = left % right;
            if rest != 0.0 && (rest < 0.0) != (right < 0.0) {
                rest + right
            } else {
                rest
            }
        }
        BinaryOp::Pow if left == 0.0 && right < 0.0 => return fail("division by zero"),
        BinaryOp::Pow if left < 0.0 && right.fract() != 0.0 => {
            return fail("complex numbers are not supported");
        }
        BinaryOp::Pow => {
            let value = left.powf(right);
            if value.is_infinite() && left.is_finite() && right.is_finite() {
                return fail("result is too large");
            }
            value
        }
    };
    Ok(Value::Float(value))
}

fn big_arithmetic<'a>(op: BinaryOp, left: &BigInt, right: &BigInt) -> Result<Value<'a>> {
    let quotient = || {
        let (quotient, rest) = (left / right, left % right);
        let inexact = rest.sign() != Sign::NoSign && rest.sign() != right.sign();
        if inexact {
            (quotient - 1, rest + right)
        } else {
            (quotient, rest)
        }
    };
    let value = match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::FloorDiv => quotient().0,
        BinaryOp::Mod => quotient().1,
        BinaryOp::Pow => {
            let exponent = u32::try_from(right).unwrap_or(u32::MAX);
            if left.bits().max(1).saturating_mul(u64::from(exponent)) > MAX_BITS {
                return if left.bits() <= 1 {
                    trivial_power(left, right)
                } else {
                    too_large()
                };
            }
            left.pow(exponent)
        }
        BinaryOp::Div => return Err(Raise::Type),
    };
    if value.bits() > MAX_BITS {
        too_large()
    } else {
        Ok(Value::integer(value))
    }
}

/// Powers of 0, 1 and -1, whatever the exponent.
fn trivial_power<'a>(base: &BigInt, exponent: &BigInt) -> Result<Value<'a>> {
    let is_odd = exponent.bit(0);
    Ok(Value::integer(if base.sign() == Sign::Minus && !is_odd {
        -base
    } else {
        base.clone()
    }))
}

fn too_large<'a>() -> Result<Value<'a>> {
    fail("result is too large")
}

/// `-value`
pub(super) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>> {
    match value {
        Value::Span(span) => Ok(Value::Span(span.negated())),
        Value::Float(value) => Ok(Value::Float(-value)),
        value => match value.as_big() {
            Some(value) => Ok(Value::integer(-value)),
            None => Err(value.misuse()),
        },
    }
}
