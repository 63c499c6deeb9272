//! The macros that the reference offers to templates.

use std::cmp::Ordering;

use super::call::Call;
use super::names::Function;
use super::value::{Raise, Result, Value, fail};
use super::{access, encode, operators};
use crate::clock::Clock;
use crate::json;
use crate::source::manifest::datetime::{DateTime, Span};

/// Calls a function.
pub(super) fn call<'a>(function: Function, args: &Call<'a>, clock: Clock) -> Result<Value<'a>> {
    match function {
        Function::NowUtc => {
            args.none()?;
            Ok(Value::DateTime(now(clock)))
        }
        Function::TodayUtc => {
            args.none()?;
            Ok(Value::Date(now(clock).civil.date()))
        }
        Function::TodayWithTimezone => {
            let zone = only(args, "timezone")?;
            let Ok(zone) = jiff::tz::TimeZone::get(zone.expect_str()?) else {
                return fail("unknown time zone");
            };
            Ok(Value::Date(clock.now().to_zoned(zone).date()))
        }
        Function::Timestamp => match only(args, "dt")? {
            Value::Float(seconds) => whole(seconds),
            value if value.as_big().is_some() => match value {
                Value::Bool(value) => Ok(Value::Int(value.into())),
                value => Ok(value),
            },
            text => Ok(Value::Float(iso_date(&text)?.epoch_seconds())),
        },
        Function::Max => extreme(args, Ordering::Greater),
        Function::Min => extreme(args, Ordering::Less),
        Function::DayDelta => {
            let [days, format] = args.bind(["num_days", "format"], 1)?;
            let days = days.ok_or(Raise::Type)?;
            let days = days.as_float().ok_or_else(|| days.misuse())?;
            let micros = (days * 86_400e6).round_ties_even();
            if micros.is_nan() || micros.abs() > 1e18 {
                return fail("date value out of range");
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "just compared with a bound"
            )]
            let date = now(clock).shifted(micros as i64)?;
            let format = format
                .as_ref()
                .map_or(Ok("%Y-%m-%dT%H:%M:%S.%f%z"), Value::expect_str);
            Ok(Value::text(date.strftime(format?)?))
        }
        Function::Duration => Ok(Value::Span(Span::parse(
            only(args, "datestring")?.expect_str()?,
        )?)),
        Function::FormatDatetime => format_datetime(args),
        Function::StrToDatetime => Ok(Value::DateTime(iso_date(&only(args, "s")?)?)),
        Function::SanitizeUrl => Ok(Value::text(encode::quote(
            only(args, "value")?.expect_str()?,
            true,
        ))),
        Function::CamelCaseToSnakeCase => {
            Ok(Value::text(snake_case(only(args, "value")?.expect_str()?)))
        }
        Function::GenerateUuid => {
            args.none()?;
            Ok(Value::text(uuid()))
        }
        // The reference offers it where tokens are signed: keys come in files of JSON.
        Function::JsonLoads => {
            let text = only(args, "s")?;
            match json::parse(text.expect_str()?.as_bytes()) {
                Ok(value) => Ok(Value::of_json(&value)),
                Err(_) => fail("the text is no JSON"),
            }
        }
        Function::Dict => {
            let mut pairs = match &*args.positional {
                [] => Vec::new(),
                [from] => from.entries().ok_or_else(|| from.misuse())?,
                _ => return Err(Raise::Type),
            };
            for (name, value) in &args.named {
                access::insert(&mut pairs, Value::borrowed(name), value.clone())?;
            }
            Ok(Value::Dict(pairs.into()))
        }
    }
}

fn only<'a>(args: &Call<'a>, name: &str) -> Result<Value<'a>> {
    let [value] = args.bind([name], 1)?;
    value.ok_or(Raise::Type)
}

fn now(clock: Clock) -> DateTime {
    DateTime::from_timestamp(clock.now())
}

/// Python's `int(float)`.
pub(super) fn whole<'a>(value: f64) -> Result<Value<'a>> {
    if !value.is_finite() {
        return fail("cannot convert an infinite or undefined float to an integer");
    }
    match format!("{:.0}", value.trunc()).parse() {
        Ok(whole) => Ok(Value::integer(whole)),
        Err(_) => fail("not an integer"),
    }
}

/// `max` and `min`, of arguments or of one collection; the first of equals.
fn extreme<'a>(args: &Call<'a>, wanted: Ordering) -> Result<Value<'a>> {
    if !args.named.is_empty() {
        return Err(Raise::Type);
    }
    let items = match &*args.positional {
        [] => return Err(Raise::Type),
        [collection] => collection.items()?,
        several => several.to_vec(),
    };
    let mut items = items.into_iter();
    let Some(mut best) = items.next() else {
        return fail("an empty sequence has no extreme");
    };
    for item in items {
        if operators::order(&item, &best)? == Some(wanted) {
            best = item;
        }
    }
    Ok(best)
}

fn format_datetime<'a>(args: &Call<'a>) -> Result<Value<'a>> {
    let [date, format, input] = args.bind(["dt", "format", "input_format"], 2)?;
    let (date, format) = (date.ok_or(Raise::Type)?, format.ok_or(Raise::Type)?);
    let input = input.filter(Value::is_truthy);
    let input = input.as_ref().map(Value::expect_str).transpose()?;
    let parsed = match &date {
        Value::DateTime(date) => return Ok(Value::text(date.strftime(format.expect_str()?)?)),
        Value::Bool(_) | Value::Int(_) | Value::Big(_) => {
            let number = date.expect_int()?.to_string();
            DateTime::parse(&number, input.unwrap_or("%s"))?
        }
        date => match input {
            Some(input) => DateTime::strptime(date.expect_str()?, input)?,
            None => iso_date(date)?,
        },
    };
    let parsed = DateTime {
        offset: parsed.offset.or(Some(0)),
        ..parsed
    };
    Ok(Value::text(parsed.format(format.expect_str()?)?))
}

/// Reads ISO 8601 text. Collections fail otherwise than what has no length.
fn iso_date(value: &Value<'_>) -> Result<DateTime> {
    if value.is_mapping() || value.is_sequence() {
        return fail("a collection is no date");
    }
    Ok(DateTime::parse_iso(value.expect_str()?)?)
}

/// An underscore before each capital but the first character, and all in small letters.
fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (index, c) in text.char_indices() {
        if index > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c);
    }
    out.to_lowercase()
}

/// A random UUID, version 4.
fn uuid() -> String {
    let bits = rand::random::<u128>();
    let bits = bits & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
