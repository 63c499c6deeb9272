//! Dates as the low-code format's reference has them: Python's `strftime` and `strptime` with a
//! few directives of its own, lenient ISO 8601 text, and durations with calendar months.

mod format;
mod instant;
mod iso;
mod parse;
mod span;

pub use instant::{DateTime, MAX_YEAR, date_text};
pub(crate) use parse::{python_float, python_int};

pub use span::Span;

/// A date, format or duration that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct DateError {
    /// What could not be done, in words.
    pub what: String,
}

impl DateError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

#[cfg(test)]
mod tests;
