//! Text to dates by a format: Python's `strptime` directives and those of the reference.

use jiff::civil::{Date, DateTime as Civil, ISOWeekDate, Time, Weekday};

use super::format::{MONTHS, WEEKDAYS};
use super::instant::MAX_YEAR;
use super::{DateError, DateTime};
use crate::json::Value;
use crate::source::manifest::template::float_text;

/// A format with many digit directives can be read in many ways; this many are tried.
const MAX_STEPS: u32 = 20_000;

/// Bytes of a date or a format; matching recurses once per character.
const MAX_LENGTH: usize = 512;

impl DateTime {
    /// Reads `text` by `format` as the reference reads cursor values: `%s`, `%ms`, `%s_as_float`
    /// and `%epoch_microseconds` alone, `%_ms` anywhere, else as [`strptime`](Self::strptime).
    /// Without an offset in the text the date is in UTC.
    pub fn parse(text: &str, format: &str) -> Result<Self, DateError> {
        let mismatch = || no_match(text, format);
        let date = match format {
            "%s" => from_scaled(python_int(text).ok_or_else(mismatch)?, 1_000_000),
            "%ms" => from_scaled(python_int(text).ok_or_else(mismatch)?, 1000),
            "%epoch_microseconds" => from_scaled(python_int(text).ok_or_else(mismatch)?, 1),
            "%s_as_float" => from_seconds(python_float(text).ok_or_else(mismatch)?),
            _ if format.contains("%_ms") => Self::strptime(text, &format.replace("%_ms", "%f")),
            _ => Self::strptime(text, format),
        }?;
        Ok(Self {
            offset: date.offset.or(Some(0)),
            ..date
        })
    }

    /// As [`parse`](Self::parse), of a JSON value: numbers are read too.
    pub fn parse_value(value: &Value, format: &str) -> Result<Self, DateError> {
        let is_count = matches!(format, "%s" | "%ms" | "%epoch_microseconds");
        match value {
            Value::String(text) => Self::parse(text, format),
            Value::Int(number) => Self::parse(&number.to_string(), format),
            Value::Float(number) if is_count => {
                Self::parse(&format!("{:.0}", number.trunc()), format)
            }
            Value::Float(number) => Self::parse(&float_text(*number), format),
            Value::BigNumber(text) => Self::parse(text, format),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(DateError::new(format!(
                    "a date by the format `{format}` is text or a number"
                )))
            }
        }
    }

    /// Python's `strptime` in the C locale. Blanks in the format match any blanks, letters any
    /// case; unnamed parts are those of 1900-01-01.
    pub fn strptime(text: &str, format: &str) -> Result<Self, DateError> {
        if text.len() > MAX_LENGTH || format.len() > MAX_LENGTH {
            return Err(DateError::new("date or date format is too long"));
        }
        check_directives(format)?;
        let mut steps = MAX_STEPS;
        let parts = Parts::default().read(format, text, &mut steps);
        let parts = parts.ok_or_else(|| no_match(text, format))?;
        parts
            .date()
            .ok_or_else(|| DateError::new(format!("`{text}` is no date that exists")))
    }
}

/// What no text can be read by: the same directive twice, and parts of ISO weeks alone.
fn check_directives(format: &str) -> Result<(), DateError> {
    let mut seen = 0_u128;
    let mut bytes = format.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let Some(directive) = bytes.next() else {
            return Err(DateError::new(format!(
                "date format `{format}` ends in `%`"
            )));
        };
        let bit = 1_u128.checked_shl(u32::from(directive)).unwrap_or(0);
        if seen & bit != 0 && directive != b'%' {
            let directive = char::from(directive);
            return Err(DateError::new(format!(
                "`%{directive}` stands twice in `{format}`"
            )));
        }
        seen |= bit;
    }
    let has = |directive: char| seen >> u32::from(directive) & 1 != 0;
    let has_weekday = ['a', 'A', 'w', 'u'].into_iter().any(has);
    let iso_week = has('G') && has('V') && has_weekday;
    if (has('G') || has('V')) && !iso_week {
        return Err(DateError::new(
            "`%G` and `%V` need one another and a weekday",
        ));
    }
    Ok(())
}

fn no_match(text: &str, format: &str) -> DateError {
    DateError::new(format!(
        "`{text}` does not match the date format `{format}`"
    ))
}

fn out_of_range() -> DateError {
    DateError::new("date value out of range")
}

fn from_scaled(count: i64, micros: i64) -> Result<DateTime, DateError> {
    count
        .checked_mul(micros)
        .and_then(DateTime::from_epoch_micros)
        .ok_or_else(out_of_range)
}

fn from_seconds(seconds: f64) -> Result<DateTime, DateError> {
    // Python rounds the fraction alone, so the whole seconds cost it no precision.
    let whole = seconds.floor();
    let fraction = ((seconds - whole) * 1e6).round_ties_even();
    if whole.is_nan() || whole.abs() > 1e12 {
        return Err(out_of_range());
    }
    #[expect(clippy::cast_possible_truncation, reason = "both are far below 2^63")]
    let micros = whole as i64 * 1_000_000 + fraction as i64;
    DateTime::from_epoch_micros(micros).ok_or_else(out_of_range)
}

/// Python's `int(text)`: blanks around, a sign, single underscores between digits.
pub(crate) fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    well_formed.then(|| text.replace('_', "").parse().ok())?
}

/// Python's `float(text)`.
pub(crate) fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let grouped = text.split('_').enumerate().all(|(i, group)| {
        let last = text.split('_').count() - 1;
        (i == 0 || group.starts_with(|c: char| c.is_ascii_digit()))
            && (i == last || group.ends_with(|c: char| c.is_ascii_digit()))
    });
    grouped.then(|| text.replace('_', "").parse().ok())?
}

/// What the directives have found so far.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: i64,
    twelve: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: Option<i64>,
    /// From Monday, 0.
    weekday: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    /// Week of the year, and whether it begins on Sunday.
    week: Option<(i64, bool)>,
    offset: Option<i32>,
}

impl Parts {
    /// Matches the whole of `text`, trying the longest reading of each directive first.
    fn read(self, format: &str, text: &str, steps: &mut u32) -> Option<Self> {
        let (mut format, mut text) = (format, text);
        let mut format_rest = loop {
            *steps = steps.checked_sub(1)?;
            let mut format_rest = format.chars();
            let Some(next) = format_rest.next() else {
                return text.is_empty().then_some(self);
            };
            if next.is_whitespace() {
                let format = format.trim_start();
                let blanks = text.len() - text.trim_start().len();
                return (1..=blanks)
                    .rev()
                    .filter(|end| text.is_char_boundary(*end))
                    .find_map(|end| self.read(format, &text[end..], steps));
            }
            if next == '%' {
                break format_rest;
            }
            (format, text) = (format_rest.as_str(), strip_char(text, next)?);
        };
        let directive = format_rest.next()?;
        let format = format_rest.as_str();
        let composite = match directive {
            '%' => return self.read(format, text.strip_prefix('%')?, steps),
            'c' => "%a %b %d %H:%M:%S %Y",
            'x' => "%m/%d/%y",
            'X' => "%H:%M:%S",
            'Z' => {
                return ["utc", "gmt"]
                    .iter()
                    .find_map(|name| self.read(format, strip_text(text, name)?, steps));
            }
            'z' => {
                let (offset, length) = offset(text)?;
                let parts = Self {
                    offset: Some(offset),
                    ..self
                };
                return parts.read(format, &text[length..], steps);
            }
            'a' | 'A' | 'b' | 'B' | 'p' => return self.read_name(directive, format, text, steps),
            _ => return self.read_number(directive, format, text, steps),
        };
        self.read(&format!("{composite}{format}"), text, steps)
    }

    fn read_name(self, directive: char, format: &str, text: &str, steps: &mut u32) -> Option<Self> {
        let short = directive.is_ascii_lowercase() && directive != 'p';
        let names: &[&str] = match directive {
            'a' | 'A' => &WEEKDAYS,
            'b' | 'B' => &MONTHS,
            _ => &["AM", "PM"],
        };
        names.iter().enumerate().find_map(|(index, name)| {
            let name = if short { &name[..3] } else { name };
            let rest = strip_text(text, name)?;
            let index = i64::try_from(index).ok()?;
            let parts = match directive {
                'a' | 'A' => Self {
                    weekday: Some(index),
                    ..self
                },
                'b' | 'B' => Self {
                    month: Some(index + 1),
                    ..self
                },
                _ => Self {
                    afternoon: Some(index == 1),
                    ..self
                },
            };
            parts.read(format, rest, steps)
        })
    }

    fn read_number(
        self,
        directive: char,
        format: &str,
        text: &str,
        steps: &mut u32,
    ) -> Option<Self> {
        let (widest, narrowest, range) = match directive {
            'Y' | 'G' => (4, 4, 0..=9999),
            'y' => (2, 2, 0..=99),
            'm' | 'I' => (2, 1, 1..=12),
            'd' => (2, 1, 1..=31),
            'H' => (2, 1, 0..=23),
            'M' => (2, 1, 0..=59),
            'S' => (2, 1, 0..=61),
            'f' => (6, 1, 0..=999_999),
            'j' => (3, 1, 1..=366),
            'U' | 'W' | 'V' => (2, 1, 0..=53),
            'w' => (1, 1, 0..=6),
            'u' => (1, 1, 1..=7),
            _ => return None,
        };
        // `%d` alone may be padded with a blank.
        let (padding, text) = match text.strip_prefix(' ') {
            Some(rest) if directive == 'd' => (true, rest),
            _ => (false, text),
        };
        let widest = if padding { 1 } else { widest };
        (narrowest..=widest).rev().find_map(|width| {
            let digits = text
                .get(..width)
                .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
            let value = digits
                .parse::<i64>()
                .ok()
                .filter(|value| range.contains(value))?;
            let mut parts = self;
            match directive {
                'Y' => parts.year = Some(value),
                'y' => {
                    let century = if value <= 68 { 2000 } else { 1900 };
                    parts.year = Some(century + value);
                }
                'G' => parts.iso_year = Some(value),
                'V' => parts.iso_week = Some(value),
                'm' => parts.month = Some(value),
                'd' => parts.day = Some(value),
                'j' => parts.day_of_year = Some(value),
                'H' => parts.hour = value,
                'I' => parts.twelve = Some(value),
                'M' => parts.minute = value,
                'S' => parts.second = value,
                'f' => parts.micros = value * 10_i64.pow(6 - u32::try_from(width).ok()?),
                'U' => parts.week = Some((value, true)),
                'W' => parts.week = Some((value, false)),
                'w' => parts.weekday = Some((value + 6) % 7),
                _ => parts.weekday = Some(value - 1),
            }
            parts.read(format, &text[width..], steps)
        })
    }

    /// The date that the parts name; `None` if there is none such.
    fn date(&self) -> Option<DateTime> {
        let hour = match (self.twelve, self.afternoon) {
            (Some(hour), afternoon) => hour % 12 + if afternoon == Some(true) { 12 } else { 0 },
            (None, _) => self.hour,
        };
        let small = |value: i64| i8::try_from(value).ok();
        let nanos = i32::try_from(self.micros * 1000).ok()?;
        let time = Time::new(
            small(hour)?,
            small(self.minute)?,
            small(self.second)?,
            nanos,
        )
        .ok()?;
        Some(DateTime {
            civil: Civil::from_parts(self.day()?, time),
            offset: self.offset,
        })
    }

    fn day(&self) -> Option<Date> {
        let year = i16::try_from(self.year.unwrap_or(1900)).ok()?;
        let year = (1..=MAX_YEAR).contains(&year).then_some(year)?;
        let by_weekday = self
            .weekday
            .map(|weekday| Weekday::from_monday_zero_offset(i8::try_from(weekday).ok()?).ok());
        if let (Some(iso_year), Some(week), Some(weekday)) =
            (self.iso_year, self.iso_week, by_weekday)
        {
            let year = i16::try_from(iso_year).ok()?;
            return ISOWeekDate::new(year, i8::try_from(week).ok()?, weekday?)
                .ok()
                .map(ISOWeekDate::date);
        }
        let first = Date::new(year, 1, 1).ok()?;
        if let Some(ordinal) = self.day_of_year.or_else(|| self.ordinal_of_week(first)) {
            // Week 0 may reach back into the year before.
            return first.checked_add(jiff::Span::new().days(ordinal - 1)).ok();
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }

    /// Day of the year by week (`%U`, `%W`) and weekday.
    fn ordinal_of_week(&self, first: Date) -> Option<i64> {
        let ((week, from_sunday), weekday) = (self.week?, self.weekday?);
        let shift = i64::from(from_sunday);
        let first = (i64::from(first.weekday().to_monday_zero_offset()) + shift) % 7;
        let weekday = (weekday + shift) % 7;
        let ordinal = if week == 0 {
            1 + weekday - first
        } else {
            1 + (7 - first) % 7 + 7 * (week - 1) + weekday
        };
        Some(ordinal)
    }
}

fn strip_char(text: &str, expected: char) -> Option<&str> {
    let mut chars = text.chars();
    let found = chars.next()?;
    let same = found == expected || found.to_lowercase().eq(expected.to_lowercase());
    same.then_some(chars.as_str())
}

/// Strips ASCII text of any case.
fn strip_text<'t>(text: &'t str, expected: &str) -> Option<&'t str> {
    let head = text.get(..expected.len())?;
    head.eq_ignore_ascii_case(expected)
        .then(|| &text[expected.len()..])
}

/// `Z`, `+HHMM`, `+HH:MM`, with seconds and a fraction; gives seconds and the length read.
fn offset(text: &str) -> Option<(i32, usize)> {
    if text.starts_with('Z') {
        return Some((0, 1));
    }
    let bytes = text.as_bytes();
    let negative = match bytes.first()? {
        b'+' => false,
        b'-' => true,
        _ => return None,
    };
    let two = |at: usize| {
        text.get(at..at + 2)?.bytes().try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i32::from(byte - b'0'))
        })
    };
    let hours = two(1).filter(|hours| *hours < 24)?;
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let minutes = two(3 + colon).filter(|minutes| *minutes < 60)?;
    let mut length = 5 + colon;
    let mut seconds = hours * 3600 + minutes * 60;
    if (bytes.get(length) == Some(&b':')) == (colon == 1)
        && let Some(more) = two(length + colon).filter(|more| *more < 60)
    {
        seconds += more;
        length += 2 + colon;
    }
    Some((if negative { -seconds } else { seconds }, length))
}
