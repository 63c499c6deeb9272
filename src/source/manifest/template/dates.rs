//! Dates and durations inside templates: arithmetic, fields and methods.

use jiff::civil::{Date, Time};

use super::ast::BinaryOp;
use super::call::Call;
use super::value::{Raise, Result, Value, fail};
use crate::source::manifest::datetime::{DateError, DateTime, Span, date_text};

const DAY: i64 = 86_400_000_000;

impl From<DateError> for Raise {
    fn from(error: DateError) -> Self {
        Self::Fail(error.what)
    }
}

/// `left op right` if one of them is a date or duration.
pub(super) fn arithmetic<'a>(
    op: BinaryOp,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Option<Result<Value<'a>>> {
    use BinaryOp::{Add, Div, Mul, Sub};
    use Value::{Date, DateTime, Span};
    let is_date = |value: &Value<'_>| matches!(value, DateTime(_) | Date(_) | Span(_));
    if !is_date(left) && (!is_date(right) || op == BinaryOp::Mod) {
        return None;
    }
    Some(match (op, left, right) {
        (Add, DateTime(date), Span(span)) | (Add, Span(span), DateTime(date)) => {
            date.plus(*span).map(DateTime).map_err(Raise::from)
        }
        (Sub, DateTime(date), Span(span)) => date.minus(*span).map(DateTime).map_err(Raise::from),
        (Sub, DateTime(left), DateTime(right))
            if left.offset.is_some() == right.offset.is_some() =>
        {
            Ok(Span(of_micros(left.epoch_micros() - right.epoch_micros())))
        }
        (Add, Date(date), Span(span)) | (Add, Span(span), Date(date)) => {
            move_date(*date, *span, span.micros.div_euclid(DAY))
        }
        (Sub, Date(date), Span(span)) => {
            // Python takes the whole days of the duration before it turns them round.
            move_date(*date, span.negated(), -span.micros.div_euclid(DAY))
        }
        (Sub, Date(left), Date(right)) => {
            let (left, right) = (
                self::DateTime::midnight(*left),
                self::DateTime::midnight(*right),
            );
            Ok(Span(of_micros(left.epoch_micros() - right.epoch_micros())))
        }
        (Add, Span(left), Span(right)) => left.plus(*right).map(Span).map_err(Raise::from),
        (Sub, Span(left), Span(right)) => left.plus(right.negated()).map(Span).map_err(Raise::from),
        (Mul, Span(span), count) | (Mul, count, Span(span)) => match count.as_int() {
            Some(count) => span.times(count).map(Span).map_err(Raise::from),
            None => Err(count.misuse()),
        },
        (Div, Span(left), Span(right)) if !left.is_calendar() && !right.is_calendar() => {
            ratio(left.micros, right.micros)
        }
        (_, Value::Undefined(_), _) => Err(left.misuse()),
        _ => Err(right.misuse()),
    })
}

fn of_micros(micros: i64) -> Span {
    Span::of_micros(micros)
}

fn ratio<'a>(left: i64, right: i64) -> Result<Value<'a>> {
    if right == 0 {
        return fail("division by zero");
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations of interest are below 2^53"
    )]
    let (left, right) = (left as f64, right as f64);
    Ok(Value::Float(left / right))
}

/// Moves a date by the calendar part of `span` and by whole days.
fn move_date<'a>(date: Date, span: Span, days: i64) -> Result<Value<'a>> {
    let days = Span {
        micros: days.saturating_mul(DAY),
        ..span
    };
    Ok(Value::Date(
        DateTime::midnight(date).plus(days)?.civil.date(),
    ))
}

/// A field of a date or duration.
pub(super) fn field<'a>(owner: &Value<'a>, name: &str) -> Option<Value<'a>> {
    let number = match owner {
        Value::DateTime(date) => match name {
            "hour" => date.civil.hour().into(),
            "minute" => date.civil.minute().into(),
            "second" => date.civil.second().into(),
            "microsecond" => date.microsecond().into(),
            _ => date_field(date.civil.date(), name)?,
        },
        Value::Date(date) => date_field(*date, name)?,
        Value::Span(span) => match name {
            "days" => span.micros.div_euclid(DAY),
            "seconds" => span.micros.rem_euclid(DAY) / 1_000_000,
            "microseconds" => span.micros.rem_euclid(1_000_000),
            "years" if span.is_calendar() => span.years,
            "months" if span.is_calendar() => span.months,
            _ => return None,
        },
        _ => return None,
    };
    Some(Value::Int(number))
}

fn date_field(date: Date, name: &str) -> Option<i64> {
    Some(match name {
        "year" => date.year().into(),
        "month" => date.month().into(),
        "day" => date.day().into(),
        _ => return None,
    })
}

/// Whether the type of `owner` has this method.
pub(super) fn has_method(owner: &Value<'_>, name: &str) -> bool {
    match owner {
        Value::DateTime(_) => {
            is_date_method(name) || matches!(name, "timestamp" | "date" | "astimezone")
        }
        Value::Date(_) => is_date_method(name),
        Value::Span(_) => name == "total_seconds",
        _ => false,
    }
}

fn is_date_method(name: &str) -> bool {
    matches!(
        name,
        "strftime" | "isoformat" | "weekday" | "isoweekday" | "isocalendar" | "replace"
    )
}

/// Calls a method that [`has_method`] knows.
pub(super) fn call<'a>(owner: &Value<'a>, name: &str, args: &Call<'a>) -> Result<Value<'a>> {
    let (date, is_day) = match owner {
        Value::DateTime(date) => (*date, false),
        Value::Date(date) => (
            DateTime {
                civil: date.to_datetime(Time::midnight()),
                offset: None,
            },
            true,
        ),
        Value::Span(span) => {
            args.none()?;
            return ratio(span.micros, 1_000_000);
        }
        other => return Err(other.misuse()),
    };
    let civil = date.civil;
    match name {
        "strftime" => {
            let [format] = args.bind(["format"], 1)?;
            let format = format.ok_or(Raise::Type)?;
            Ok(Value::text(date.strftime(format.expect_str()?)?))
        }
        "isoformat" if is_day => {
            args.none()?;
            Ok(Value::text(date_text(civil.date())))
        }
        "isoformat" => isoformat(date, args),
        "weekday" => Ok(Value::Int(civil.weekday().to_monday_zero_offset().into())),
        "isoweekday" => Ok(Value::Int(civil.weekday().to_monday_one_offset().into())),
        "isocalendar" => {
            let iso = civil.date().iso_week_date();
            let weekday = iso.weekday().to_monday_one_offset();
            let parts = [iso.year().into(), iso.week().into(), weekday.into()];
            Ok(Value::tuple(parts.into_iter().map(Value::Int).collect()))
        }
        "timestamp" => {
            args.none()?;
            Ok(Value::Float(date.epoch_seconds()))
        }
        "date" => {
            args.none()?;
            Ok(Value::Date(civil.date()))
        }
        // Without a zone, Python converts to that of the machine: UTC here.
        "astimezone" => {
            args.none()?;
            Ok(Value::DateTime(date.to_utc()?))
        }
        _ => replace(date, is_day, args),
    }
}

fn isoformat<'a>(date: DateTime, args: &Call<'a>) -> Result<Value<'a>> {
    let [separator, precision] = args.bind(["sep", "timespec"], 0)?;
    let separator = match &separator {
        None => 'T',
        Some(separator) => {
            let mut chars = separator.expect_str()?.chars();
            match (chars.next(), chars.next()) {
                (Some(separator), None) => separator,
                _ => return Err(Raise::Type),
            }
        }
    };
    let precision = precision.as_ref().map_or(Ok("auto"), Value::expect_str)?;
    let clock = match precision {
        "auto" => return Ok(Value::text(date.isoformat(separator))),
        "hours" => "%H",
        "minutes" => "%H:%M",
        "seconds" => "%H:%M:%S",
        "milliseconds" => "%H:%M:%S.%_ms",
        "microseconds" => "%H:%M:%S.%f",
        _ => return fail("unknown timespec"),
    };
    // The offset of Python's `isoformat` has a colon, that of `%z` has none.
    let plain = DateTime {
        civil: date.civil,
        offset: None,
    };
    let whole = date.isoformat(separator);
    let offset = &whole[plain.isoformat(separator).len()..];
    let day = date_text(date.civil.date());
    Ok(Value::text(format!(
        "{day}{separator}{}{offset}",
        plain.format(clock)?
    )))
}

/// The date with some fields replaced.
fn replace<'a>(date: DateTime, is_day: bool, args: &Call<'a>) -> Result<Value<'a>> {
    let names = [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "microsecond",
        "tzinfo",
    ];
    let bound = args.bind(names, 0)?;
    if is_day && bound[3..].iter().any(Option::is_some) {
        return Err(Raise::Type);
    }
    let part =
        |index: usize, current: i64| bound[index].as_ref().map_or(Ok(current), Value::expect_int);
    let out_of_range = || Raise::Fail("date value out of range".to_owned());
    let small = |value: i64| i8::try_from(value).map_err(|_| out_of_range());
    let civil = date.civil;
    let year = part(0, civil.year().into())?;
    let year = i16::try_from(year)
        .ok()
        .filter(|year| (1..=9999).contains(year));
    let day = Date::new(
        year.ok_or_else(out_of_range)?,
        small(part(1, civil.month().into())?)?,
        small(part(2, civil.day().into())?)?,
    );
    let micros = part(6, date.microsecond().into())?.saturating_mul(1000);
    let time = Time::new(
        small(part(3, civil.hour().into())?)?,
        small(part(4, civil.minute().into())?)?,
        small(part(5, civil.second().into())?)?,
        i32::try_from(micros).map_err(|_| out_of_range())?,
    );
    let (day, time) = (
        day.map_err(|_| out_of_range())?,
        time.map_err(|_| out_of_range())?,
    );
    if is_day {
        return Ok(Value::Date(day));
    }
    let offset = match &bound[7] {
        None => date.offset,
        Some(Value::None) => None,
        Some(_) => return Err(Raise::Type),
    };
    Ok(Value::DateTime(DateTime {
        civil: day.to_datetime(time),
        offset,
    }))
}
