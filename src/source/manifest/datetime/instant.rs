//! A point in civil time, with the offset it was given in, to the microsecond.

use std::fmt;

use jiff::civil::{self, Date, Time};
use jiff::{SignedDuration, Timestamp};

use super::span::SECOND;
use super::{DateError, Span};

/// The last year that the reference knows; its first is 1.
pub const MAX_YEAR: i16 = 9999;

/// A date and time, with an offset from UTC or (`None`) without: Python's `datetime`.
///
/// Equality is that of the fields; compare [`epoch_micros`](Self::epoch_micros) to compare
/// instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The clock on the wall, to the microsecond.
    pub civil: civil::DateTime,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

impl DateTime {
    /// 1970-01-01T00:00:00+00:00
    pub const EPOCH: Self = Self {
        civil: civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0),
        offset: Some(0),
    };

    /// Midnight UTC of a day.
    pub fn midnight(date: Date) -> Self {
        Self {
            civil: date.to_datetime(Time::midnight()),
            offset: Some(0),
        }
    }

    /// The instant in UTC, cut to microseconds.
    pub fn from_timestamp(at: Timestamp) -> Self {
        let borrow = i64::from(at.subsec_nanosecond() < 0 && at.subsec_nanosecond() % 1000 != 0);
        Self::from_epoch_micros(at.as_microsecond() - borrow).unwrap_or(Self::EPOCH)
    }

    /// Microseconds since 1970 as a date in UTC; `None` outside the years 1 to 9999.
    pub fn from_epoch_micros(micros: i64) -> Option<Self> {
        Self::EPOCH.shifted(micros).ok()
    }

    /// The instant; a date without offset counts as UTC. One beyond jiff's range is cut to it.
    pub fn timestamp(&self) -> Timestamp {
        let micros = self.epoch_micros();
        let edge = if micros < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Timestamp::from_microsecond(micros).unwrap_or(edge)
    }

    /// Microseconds since 1970; a date without offset counts as UTC.
    pub fn epoch_micros(&self) -> i64 {
        self.civil_micros() - i64::from(self.offset.unwrap_or(0)) * SECOND
    }

    /// Seconds since 1970 as a float.
    pub fn epoch_seconds(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the reference computes with floats too"
        )]
        let micros = self.epoch_micros() as f64;
        micros / 1e6
    }

    /// The same instant with offset 0; a date without offset is taken as UTC.
    pub fn to_utc(self) -> Result<Self, DateError> {
        Self::EPOCH.shifted(self.epoch_micros())
    }

    /// The date, `microseconds` later on the same clock.
    pub fn shifted(self, microseconds: i64) -> Result<Self, DateError> {
        let civil = self
            .civil
            .checked_add(SignedDuration::from_micros(microseconds))
            .ok()
            .filter(|civil| (1..=MAX_YEAR).contains(&civil.year()))
            .ok_or_else(|| DateError::new("date value out of range"))?;
        Ok(Self {
            civil,
            offset: self.offset,
        })
    }

    /// The date, `span` later: calendar months first, cut to the month's last day.
    pub fn plus(self, span: Span) -> Result<Self, DateError> {
        span.after(self)
    }

    /// The date, `span` earlier.
    pub fn minus(self, span: Span) -> Result<Self, DateError> {
        span.negated().after(self)
    }

    /// Python's `isoformat(sep)`: microseconds only when there are some.
    pub fn isoformat(&self, separator: char) -> String {
        let civil = self.civil;
        let day = date_text(civil.date());
        let clock = format!(
            "{:02}:{:02}:{:02}",
            civil.hour(),
            civil.minute(),
            civil.second()
        );
        let fraction = match self.microsecond() {
            0 => String::new(),
            micros => format!(".{micros:06}"),
        };
        let offset = self
            .offset
            .map(|offset| offset_text(offset, ":"))
            .unwrap_or_default();
        [
            &*day,
            separator.encode_utf8(&mut [0; 4]),
            &clock,
            &fraction,
            &offset,
        ]
        .concat()
    }

    /// Microsecond of the second.
    pub fn microsecond(&self) -> i32 {
        self.civil.subsec_nanosecond() / 1000
    }

    /// Microseconds of the wall clock since 1970.
    pub(super) fn civil_micros(&self) -> i64 {
        let elapsed = self.civil.duration_since(Self::EPOCH.civil);
        elapsed.as_secs() * SECOND + i64::from(elapsed.subsec_micros())
    }
}

/// As Python's `str(value)`: `2025-06-17 10:30:45.123456+00:00`.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.isoformat(' '))
    }
}

/// `2024-01-31`
pub fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

/// `+02:00`, with seconds when there are some.
pub(super) fn offset_text(offset: i32, colon: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let (hours, minutes, seconds) = (offset / 3600, offset / 60 % 60, offset % 60);
    match seconds {
        0 => format!("{sign}{hours:02}{colon}{minutes:02}"),
        _ => format!("{sign}{hours:02}{colon}{minutes:02}{colon}{seconds:02}"),
    }
}
