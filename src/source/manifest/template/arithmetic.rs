//! Python's numbers: exact integers, floats, and the operators between them.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use super::ast::BinaryOp;
use super::value::{Raise, Result, Value, big_to_float, fail};

/// Bits of the largest integer that arithmetic may make.
const MAX_BITS: u64 = 1 << 14;

/// A number of any kind; bools count.
pub(super) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value<'_>) -> Option<Self> {
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

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
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

/// `left op right` of numbers.
pub(super) fn arithmetic<'a>(op: BinaryOp, left: Number, right: Number) -> Result<Value<'a>> {
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
                    Ok(trivial_power(left, right))
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
fn trivial_power<'a>(base: &BigInt, exponent: &BigInt) -> Value<'a> {
    let is_odd = exponent.bit(0);
    let turns = base.sign() == Sign::Minus && !is_odd;
    Value::integer(if turns { -base } else { base.clone() })
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
