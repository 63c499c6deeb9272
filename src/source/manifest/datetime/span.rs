//! Durations: ISO 8601 text to calendar months and microseconds.

use std::fmt;

use jiff::civil::Date;

use super::instant::MAX_YEAR;
use super::{DateError, DateTime};

/// A stretch of time: so many calendar months, then so many microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Calendar years.
    pub years: i64,
    /// Calendar months, besides the years.
    pub months: i64,
    /// Everything of fixed length: weeks, days, hours, minutes, seconds.
    pub micros: i64,
}

/// Microseconds of a second and of a day.
pub(super) const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Python's `timedelta` ends here; beyond, every operation is an error.
const MAX_MICROS: i64 = 999_999_999 * 86_400 * 100_000;

impl Span {
    /// A span of fixed length.
    pub fn of_micros(micros: i64) -> Self {
        Self {
            micros,
            ..Self::default()
        }
    }

    /// Reads an ISO 8601 duration: `P1M`, `P1DT12H`, `PT0.000001S`, `P0001-02-03T04:05:06`.
    ///
    /// Every part but years and months may have a fraction.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        parse_designators(text)
            .or_else(|| parse_as_date(text))
            .ok_or_else(|| DateError::new(format!("cannot read `{text}` as an ISO 8601 duration")))
    }

    /// Whether it has calendar months or years, whose length depends on where they start.
    pub fn is_calendar(&self) -> bool {
        self.years != 0 || self.months != 0
    }

    /// The same stretch the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            years: self.years.saturating_neg(),
            months: self.months.saturating_neg(),
            micros: self.micros.saturating_neg(),
        }
    }

    /// Both stretches, one after the other.
    pub fn plus(self, other: Self) -> Result<Self, DateError> {
        let sum = || {
            Some(Self {
                years: self.years.checked_add(other.years)?,
                months: self.months.checked_add(other.months)?,
                micros: bounded(self.micros.checked_add(other.micros)?)?,
            })
        };
        sum().ok_or_else(too_long)
    }

    /// The stretch, so many times.
    pub fn times(self, count: i64) -> Result<Self, DateError> {
        let product = || {
            Some(Self {
                years: self.years.checked_mul(count)?,
                months: self.months.checked_mul(count)?,
                micros: bounded(self.micros.checked_mul(count)?)?,
            })
        };
        product().ok_or_else(too_long)
    }

    /// The date this much after `from`: months first, cut to the last day of the month.
    pub(super) fn after(self, from: DateTime) -> Result<DateTime, DateError> {
        let date = if self.is_calendar() {
            let civil = from.civil;
            let date = self.months_after(civil.date()).ok_or_else(out_of_range)?;
            DateTime {
                civil: date.to_datetime(civil.time()),
                offset: from.offset,
            }
        } else {
            from
        };
        date.shifted(self.micros)
    }

    /// `from` moved by years and months alone.
    pub(super) fn months_after(self, from: Date) -> Option<Date> {
        let months = self.years.checked_mul(12)?.checked_add(self.months)?;
        let ordinal =
            months.checked_add(i64::from(from.year()) * 12 + i64::from(from.month()) - 1)?;
        let year = i16::try_from(ordinal.div_euclid(12)).ok()?;
        let month = i8::try_from(ordinal.rem_euclid(12) + 1).ok()?;
        if !(1..=MAX_YEAR).contains(&year) {
            return None;
        }
        let first = Date::new(year, month, 1).ok()?;
        Date::new(year, month, from.day().min(first.days_in_month())).ok()
    }
}

fn too_long() -> DateError {
    DateError::new("duration out of range")
}

fn out_of_range() -> DateError {
    DateError::new("date value out of range")
}

fn bounded(micros: i64) -> Option<i64> {
    (micros.checked_abs()? <= MAX_MICROS).then_some(micros)
}

/// `[+-]P1Y2M3W4DT5H6M7.5S`: at least one part, each with its letter, in this order.
fn parse_designators(text: &str) -> Option<Span> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut rest = rest.strip_prefix('P')?;
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let mut span = Span::default();
    for (letter, unit) in [('Y', 0), ('M', 0), ('W', 7 * DAY), ('D', DAY)] {
        let Some((number, after)) = part(rest, letter) else {
            continue;
        };
        rest = after;
        match letter {
            'Y' => span.years = whole(number)?,
            'M' => span.months = whole(number)?,
            _ => span.micros = span.micros.checked_add(scaled(number, unit)?)?,
        }
    }
    if let Some(after) = rest.strip_prefix('T') {
        rest = after;
        for (letter, unit) in [('H', 3600 * SECOND), ('M', 60 * SECOND), ('S', SECOND)] {
            let Some((number, after)) = part(rest, letter) else {
                continue;
            };
            rest = after;
            span.micros = span.micros.checked_add(scaled(number, unit)?)?;
        }
    }
    bounded(span.micros)?;
    rest.is_empty()
        .then_some(if negative { span.negated() } else { span })
}

/// The number before `letter` at the start of `text`, and what follows.
fn part(text: &str, letter: char) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?;
    let (number, rest) = text.split_at(end);
    let fraction = number.split_once(['.', ',']);
    let (before, after) = fraction.unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(before) && digits(after)).then_some(())?;
    Some((number, rest.strip_prefix(letter)?))
}

/// A number of years or months. A fraction of a month has no length.
fn whole(number: &str) -> Option<i64> {
    let (before, after) = number.split_once(['.', ',']).unwrap_or((number, "0"));
    after
        .bytes()
        .all(|digit| digit == b'0')
        .then(|| before.parse().ok())?
}

fn scaled(number: &str, unit: i64) -> Option<i64> {
    if let Ok(number) = number.parse::<i64>() {
        return number.checked_mul(unit).and_then(bounded);
    }
    let number: f64 = number.replace(',', ".").parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "units are below 2^53")]
    let micros = (number * unit as f64).round_ties_even();
    #[expect(clippy::cast_precision_loss, reason = "a bound, not a value")]
    let fits = micros <= MAX_MICROS as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "just compared with the bound"
    )]
    fits.then_some(micros as i64)
}

/// `P0001-02-03T04:05:06`: a duration spelled as a date and time.
fn parse_as_date(text: &str) -> Option<Span> {
    let text = text.strip_prefix('P').filter(|text| text.contains('T'))?;
    let civil = super::iso::parse_isodatetime(text).ok()?.civil;
    let midnight = civil.date().to_datetime(jiff::civil::Time::midnight());
    let seconds = civil.duration_since(midnight);
    Some(Span {
        years: i64::from(civil.year()),
        months: i64::from(civil.month()),
        micros: i64::from(civil.day()) * DAY
            + seconds.as_secs() * SECOND
            + i64::from(seconds.subsec_micros()),
    })
}

/// As the reference prints it: `1 years, 2 months, 3 days, 4:05:06`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.years != 0 {
            write!(f, "{} years, ", self.years)?;
        }
        if self.months != 0 {
            write!(
                f,
                "{} month{}, ",
                self.months,
                if self.months > 1 { "s" } else { "" }
            )?;
        }
        let days = self.micros.div_euclid(DAY);
        if days != 0 {
            write!(f, "{days} day{}, ", if days.abs() == 1 { "" } else { "s" })?;
        }
        let rest = self.micros.rem_euclid(DAY);
        let seconds = rest / SECOND;
        write!(
            f,
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        match rest % SECOND {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}
