//! A point in civil time, with the offset it was given in, to the microsecond.

use jiff::civil;
use jiff::{SignedDuration, Timestamp};

use super::{DateError, Span};

/// The last year that the reference knows; its first is 1.
pub const MAX_YEAR: i16 = 9999;

/// A date and time, with an offset from UTC or (`None`) without: Python's `datetime`.
///
/// Equality and order are those of the fields; compare [`timestamp`](Self::timestamp)s to compare
/// instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The clock on the wall, to the microsecond.
    pub civil: civil::DateTime,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

impl DateTime {
    /// The instant, in UTC, cut to microseconds.
    pub fn from_timestamp(at: Timestamp) -> Self {
        let nanosecond = at.subsec_nanosecond().rem_euclid(1_000_000_000);
        let micros =
            at.as_microsecond() - i64::from(at.subsec_nanosecond() < 0 && nanosecond % 1000 != 0);
        Self::from_epoch_micros(micros).unwrap_or(Self::EPOCH)
    }

    /// 1970-01-01T00:00:00+00:00
    pub const EPOCH: Self = Self {
        civil: civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0),
        offset: Some(0),
    };

    /// Microseconds since 1970 as a date in UTC; `None` outside the years 1 to 9999.
    pub fn from_epoch_micros(micros: i64) -> Option<Self> {
        Self::EPOCH.shifted(micros).ok()
    }

    /// The instant; a date without offset counts as UTC. Years outside jiff's range are cut.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_microsecond(self.epoch_micros()).unwrap_or(if self.civil.year() > 0 {
            Timestamp::MAX
        } else {
            Timestamp::MIN
        })
    }

    /// Microseconds since 1970; a date without offset counts as UTC.
    pub fn epoch_micros(&self) -> i64 {
        self.civil_micros() - i64::from(self.offset.unwrap_or(0)) * 1_000_000
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

    /// Microseconds of the wall clock since 1970.
    pub(super) fn civil_micros(&self) -> i64 {
        let elapsed = self.civil.duration_since(Self::EPOCH.civil);
        elapsed.as_secs() * 1_000_000 + i64::from(elapsed.subsec_micros())
    }
}
