//! A cursor whose every template is evaluated: dates in and out of text, and what is wanted.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::datetime::{DateTime, Span};
use super::clamp::Target;
use super::count::{is_endless, of_number};
use super::{CursorError, DateError, Progress, Windows};
use crate::json::{self, Map, Pointer, Value};

/// A day: also what a provider's local times, read as UTC, may be ahead.
const CLOCK_SKEW_MICROS: i64 = 86_400_000_000;

/// A cursor, ready to cut windows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenCursor {
    pub(super) parts: Arc<Parts>,
    pub(super) end: DateTime,
    field: Pointer,
    /// Whether a date after `end` counts as `end`.
    never_ahead: bool,
}

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) cursor_field: String,
    /// Keys of a window's start and end in its slice.
    pub(super) fields: [String; 2],
    pub(super) spelling: Spelling,
    pub(super) start: DateTime,
    pub(super) end: Option<DateTime>,
    pub(super) now: Timestamp,
    pub(super) step: Option<Span>,
    pub(super) granularity: Option<Span>,
    pub(super) lookback: Option<Span>,
    pub(super) clamp: Option<Target>,
    pub(super) is_compare_strictly: bool,
    pub(super) is_global: bool,
}

/// How values of the cursor are written.
#[derive(Debug)]
pub(super) enum Spelling {
    Date {
        format: String,
        /// Tried before it where a value is read.
        inputs: Vec<String>,
    },
    Number,
}

impl OpenCursor {
    pub(super) fn new(parts: Parts) -> Result<Self, CursorError> {
        let mut end = parts
            .end
            .unwrap_or_else(|| DateTime::from_timestamp(parts.now));
        if let Some(clamp) = parts.clamp {
            let unit = parts.granularity.unwrap_or(clamp.unit());
            end = clamp
                .down(end)
                .and_then(|end| end.minus(unit))
                .map_err(|cause| CursorError::Date {
                    field: "end_datetime",
                    cause,
                })?;
        }
        Ok(Self {
            end,
            field: Pointer::of([parts.cursor_field.clone()]),
            never_ahead: false,
            parts: Arc::new(parts),
        })
    }

    /// The same cursor, whose value stands at `field` of a record.
    #[must_use]
    pub fn reading(mut self, field: Pointer) -> Self {
        self.field = field;
        self
    }

    /// The same cursor, which never goes further than this read: a record dated in the far future
    /// does not keep the stream from being read until then. The reference lets it.
    #[must_use]
    pub fn never_ahead(mut self) -> Self {
        self.never_ahead = true;
        self
    }

    /// `date`, or the end of this read if the cursor may not go ahead of it.
    pub(super) fn held_back(&self, date: DateTime) -> DateTime {
        if self.never_ahead {
            earlier(date, self.end)
        } else {
            date
        }
    }

    /// Whether a stored date may be gone on from. One in the far future would be waited for; it
    /// counts as none. Clocks that differ a little are no reason to start over.
    pub(super) fn trusts(&self, date: DateTime) -> bool {
        let latest = self.end.epoch_micros().saturating_add(CLOCK_SKEW_MICROS);
        !self.never_ahead || date.epoch_micros() <= latest
    }

    /// The record field whose value is the cursor.
    pub fn cursor_field(&self) -> &str {
        &self.parts.cursor_field
    }

    /// How far the stream has been read, by its stored state.
    pub fn progress(&self, state: Option<&Value>) -> Result<Progress, CursorError> {
        Progress::load(self, state)
    }

    /// The windows still to read, oldest first.
    pub fn windows(&self, progress: &Progress) -> Windows {
        Windows::new(self.clone(), progress)
    }

    /// The cursor value of a record; `None` when it has none that can be read. Such a record is
    /// published and moves nothing.
    pub fn value_of(&self, record: &[u8]) -> Option<DateTime> {
        let bytes = json::get(record, &self.field)?;
        match bytes.first()? {
            b'"' => self.parse(&Value::String(json::text_of(bytes).into_owned())),
            b'-' | b'0'..=b'9' => self.parse(&json::parse(bytes).ok()?),
            _ => return None,
        }
        .ok()
    }

    /// Whether the time of a record is within what this read is for. One without a readable time
    /// is.
    pub fn is_wanted(&self, progress: &Progress, record: &[u8]) -> bool {
        let Some(value) = self.value_of(record) else {
            return true;
        };
        let lowest = self.lowest_wanted(progress).epoch_micros();
        let highest = self.highest_wanted().map(|end| end.epoch_micros());
        value.epoch_micros() >= lowest && highest.is_none_or(|end| value.epoch_micros() <= end)
    }

    /// Whether a record is one that a feed, newest first, is not read beyond.
    ///
    /// For the reference that is any that is not wanted. But one that is too new only says that
    /// the older ones are still to come.
    pub fn ends_feed(&self, progress: &Progress, record: &[u8]) -> bool {
        if !self.never_ahead {
            return !self.is_wanted(progress, record);
        }
        let lowest = self.lowest_wanted(progress).epoch_micros();
        self.value_of(record)
            .is_some_and(|value| value.epoch_micros() < lowest)
    }

    /// Where the end is now, a record may be newer: it changed while the read went on, or the
    /// provider's clock is ahead. Only an end in the past is a limit that somebody wants.
    fn highest_wanted(&self) -> Option<DateTime> {
        let now = DateTime::from_timestamp(self.parts.now).epoch_micros();
        let is_limit = self.end.epoch_micros() < now.saturating_sub(CLOCK_SKEW_MICROS);
        (!self.never_ahead || is_limit).then_some(self.end)
    }

    /// What the look-back reads again is wanted, but nothing before the configured start, unless
    /// the state itself is before it.
    fn lowest_wanted(&self, progress: &Progress) -> DateTime {
        let reached = progress.reached();
        let Some(lookback) = self.parts.lookback else {
            return reached;
        };
        match reached.minus(lookback) {
            Ok(lower) => later(lower, earlier(reached, self.parts.start)),
            Err(_) => reached,
        }
    }

    /// Text or a number, by the first format that fits.
    pub(super) fn parse(&self, value: &Value) -> Result<DateTime, DateError> {
        let (format, inputs) = match &self.parts.spelling {
            Spelling::Date { format, inputs } => (format, inputs),
            Spelling::Number => {
                let number = match value {
                    Value::Int(number) => of_number(*number),
                    _ => None,
                };
                return number.ok_or_else(|| DateError {
                    what: format!("{value} is no whole number that can be gone on from"),
                });
            }
        };
        let mut last = None;
        for format in inputs.iter().chain([format]) {
            match DateTime::parse_value(value, format) {
                Ok(date) => return Ok(date),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(DateError {
            what: "no date format".to_owned(),
        }))
    }

    /// The date as the provider can spell it: its format may drop seconds.
    pub(super) fn rounded(&self, date: DateTime) -> Result<DateTime, CursorError> {
        Ok(self.parse(&self.spell(date)?).unwrap_or(date))
    }

    /// A value as the provider spells it.
    /// The bounds of a window that begins at `from` instead; `None` where that is not later.
    pub fn slice_from(&self, bounds: &Map, from: DateTime) -> Option<Map> {
        let start = &self.parts.fields[0];
        let before = self.parse(bounds.get(start)?).ok()?;
        let spelled = self.spell(from).ok()?;
        let after = self.parse(&spelled).ok()?;
        let mut later = bounds.clone();
        later.insert(start.clone(), spelled);
        (after.epoch_micros() > before.epoch_micros()).then_some(later)
    }

    pub(super) fn spell(&self, date: DateTime) -> Result<Value, CursorError> {
        match &self.parts.spelling {
            Spelling::Date { format, .. } => match date.format(format) {
                Ok(text) => Ok(Value::String(text)),
                Err(cause) => Err(CursorError::Date {
                    field: "datetime_format",
                    cause,
                }),
            },
            Spelling::Number if is_endless(date) => Ok(Value::Float(f64::INFINITY)),
            Spelling::Number => Ok(Value::Int(date.epoch_micros())),
        }
    }
}

pub(super) fn later(a: DateTime, b: DateTime) -> DateTime {
    if b.epoch_micros() > a.epoch_micros() {
        b
    } else {
        a
    }
}

pub(super) fn earlier(a: DateTime, b: DateTime) -> DateTime {
    if b.epoch_micros() < a.epoch_micros() {
        b
    } else {
        a
    }
}
