//! Jinja's tests: what may stand after `is`.

use super::ast::{BinaryOp, Comparison};
use super::names::{Filter, Test};
use super::operators;
use super::value::{Raise, Result, Value};

/// `subject is test(args)`
pub(super) fn check(test: Test, subject: &Value<'_>, args: &[Value<'_>]) -> Result<bool> {
    let comparison = match test {
        Test::Eq => Some(Comparison::Eq),
        Test::Ne => Some(Comparison::Ne),
        Test::Lt => Some(Comparison::Lt),
        Test::Le => Some(Comparison::Le),
        Test::Gt => Some(Comparison::Gt),
        Test::Ge => Some(Comparison::Ge),
        Test::In => Some(Comparison::In),
        _ => None,
    };
    if comparison.is_some() || matches!(test, Test::DivisibleBy | Test::SameAs) {
        let [operand] = args else {
            return Err(Raise::Type);
        };
        return match comparison {
            Some(comparison) => operators::compare(comparison, subject, operand),
            None if test == Test::SameAs => is_same(subject, operand),
            None => leaves(subject, operand, 0),
        };
    }
    if !args.is_empty() {
        return Err(Raise::Type);
    }
    property(test, subject)
}

/// Whether `subject % divisor` is `rest`.
fn leaves(subject: &Value<'_>, divisor: &Value<'_>, rest: i64) -> Result<bool> {
    let found = operators::binary(BinaryOp::Mod, subject, divisor)?;
    operators::equal(&found, &Value::Int(rest))
}

/// A test without argument.
fn property(kind: Test, subject: &Value<'_>) -> Result<bool> {
    Ok(match kind {
        Test::Defined => !matches!(subject, Value::Undefined(_)),
        Test::Undefined => matches!(subject, Value::Undefined(_)),
        Test::None => matches!(subject, Value::None),
        Test::True => matches!(subject, Value::Bool(true)),
        Test::False => matches!(subject, Value::Bool(false)),
        Test::Boolean => matches!(subject, Value::Bool(_)),
        Test::Integer => matches!(subject, Value::Int(_) | Value::Big(_)),
        Test::Float => matches!(subject, Value::Float(_)),
        Test::Number => subject.as_float().is_some(),
        Test::String => subject.as_str().is_some(),
        Test::Mapping => subject.is_mapping(),
        Test::Sequence => {
            let is_undefined = matches!(subject, Value::Undefined(_));
            is_undefined
                || subject.is_mapping()
                || subject.is_sequence()
                || subject.as_str().is_some()
        }
        Test::Iterable => subject.items().is_ok(),
        Test::Callable => matches!(subject, Value::Function(_) | Value::Method(_)),
        Test::Escaped => false,
        Test::Even => leaves(subject, &Value::Int(2), 0)?,
        Test::Odd => leaves(subject, &Value::Int(2), 1)?,
        Test::Upper => {
            let text = super::print::text(subject)?;
            text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
        }
        Test::Lower => {
            let text = super::print::text(subject)?;
            text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
        }
        Test::FilterExists => subject
            .as_str()
            .is_some_and(|name| Filter::named(name).is_some()),
        Test::Known => subject
            .as_str()
            .is_some_and(|name| Test::named(name).is_some()),
        Test::Eq
        | Test::Ne
        | Test::Lt
        | Test::Le
        | Test::Gt
        | Test::Ge
        | Test::In
        | Test::DivisibleBy
        | Test::SameAs => return Err(Raise::Type),
    })
}

/// Whether `left` and `right` are one object: what `is sameas` asks of constants.
fn is_same(left: &Value<'_>, right: &Value<'_>) -> Result<bool> {
    Ok(left.type_name() == right.type_name() && operators::equal(left, right)?)
}
