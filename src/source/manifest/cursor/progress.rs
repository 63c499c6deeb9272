//! How far a stream or partition has been read, and the state that remembers it.

use super::super::datetime::DateTime;
use super::open::{OpenCursor, later};
use super::{CursorError, Span, Window};
use crate::json::{Map, Value};

/// State may name this many intervals; more is no state of this engine.
const MAX_INTERVALS: usize = 10_000;

/// What has been read.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Sorted, apart from each other. Never empty.
    intervals: Vec<Interval>,
    /// Where earlier reads had come to.
    reached: DateTime,
    /// Everything else that the stored state held.
    other: Map,
}

/// A stretch of time that has been read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) start: DateTime,
    pub(super) end: DateTime,
    /// The latest record in it.
    pub(super) latest: Option<DateTime>,
}

/// The latest record of a window that is being read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed {
    latest: Option<DateTime>,
    /// A record was older than one before it.
    is_unordered: bool,
}

impl Observed {
    /// Notes a record of the window.
    pub fn record(&mut self, cursor: &OpenCursor, record: &[u8]) {
        if let Some(value) = cursor.value_of(record) {
            self.value(value);
        }
    }

    pub(super) fn latest(&self) -> Option<DateTime> {
        self.latest
    }

    /// The same, with what was read after it.
    #[must_use]
    pub fn and(mut self, after: Self) -> Self {
        if let Some(latest) = after.latest {
            self.value(latest);
        }
        self
    }

    /// The latest record, if none was older than one before it: what follows is no older.
    pub fn ordered_until(&self) -> Option<DateTime> {
        self.latest.filter(|_| !self.is_unordered)
    }

    fn value(&mut self, value: DateTime) {
        let is_older = |latest: DateTime| value.epoch_micros() < latest.epoch_micros();
        self.is_unordered |= self.latest.is_some_and(is_older);
        self.latest = Some(self.latest.map_or(value, |latest| later(latest, value)));
    }
}

impl Progress {
    /// From state as Airbyte writes it: `{"<cursor field>": "<date>"}`, or the `slices` that its
    /// concurrent streams write.
    pub(super) fn load(cursor: &OpenCursor, state: Option<&Value>) -> Result<Self, CursorError> {
        let empty = Map::new();
        let state = match state {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(map)) => map,
            Some(_) => return Err(invalid("it is no object")),
        };
        let kind = state.get("state_type").and_then(Value::as_str);
        if matches!(kind, Some("date-range" | "integer")) {
            return Self::load_intervals(cursor, state);
        }
        let start = cursor.parts.start;
        let reached = match state.get(&cursor.parts.cursor_field) {
            None => start,
            Some(value) => Some(read_date(cursor, value)?)
                .filter(|date| cursor.trusts(*date))
                .unwrap_or(start),
        };
        Ok(Self {
            other: state.clone(),
            ..Self::starting_at(cursor, reached)
        })
    }

    /// Everything before `date` has been read.
    pub(super) fn starting_at(cursor: &OpenCursor, date: DateTime) -> Self {
        let start = cursor.parts.start;
        // On a tie the stored spelling (its offset from UTC) stays.
        let reached = later(date, start);
        Self {
            intervals: vec![Interval {
                start,
                end: reached,
                latest: Some(reached),
            }],
            reached,
            other: Map::new(),
        }
    }

    /// The date in a plain state.
    pub(in crate::source::manifest) fn date_of(
        cursor: &OpenCursor,
        state: &Value,
    ) -> Result<DateTime, CursorError> {
        let value = state.get(&cursor.parts.cursor_field);
        read_date(cursor, value.unwrap_or(&Value::Null))
    }

    fn load_intervals(cursor: &OpenCursor, state: &Map) -> Result<Self, CursorError> {
        let slices = state
            .get("slices")
            .and_then(Value::as_array)
            .unwrap_or_default();
        if slices.is_empty() || slices.len() > MAX_INTERVALS {
            return Err(invalid("it has no slices, or too many"));
        }
        let date = |slice: &Value, key: &str| {
            let value = slice.get(key).filter(|value| **value != Value::Null);
            value.map(|value| read_date(cursor, value)).transpose()
        };
        let bound = |slice, key| date(slice, key)?.ok_or_else(|| invalid("a slice has no bound"));
        let mut intervals = slices
            .iter()
            .map(|slice| {
                Ok(Interval {
                    start: bound(slice, "start")?,
                    end: bound(slice, "end")?,
                    latest: date(slice, "most_recent_cursor_value")?,
                })
            })
            .collect::<Result<Vec<_>, CursorError>>()?;
        let reached = intervals[0].latest.unwrap_or(intervals[0].end);
        merge(&mut intervals, cursor.parts.granularity);
        Ok(Self {
            intervals,
            reached,
            other: Map::new(),
        })
    }

    /// A window has been read to its end.
    pub fn close(&mut self, cursor: &OpenCursor, window: &Window, observed: Observed) {
        let [start, end] = window.bounds;
        self.intervals.push(Interval {
            start,
            end,
            latest: observed.latest.map(|latest| cursor.held_back(latest)),
        });
        merge(&mut self.intervals, cursor.parts.granularity);
    }

    /// The state to store: the latest record before the first gap, else where reading starts.
    pub fn state(&self, cursor: &OpenCursor) -> Result<Value, CursorError> {
        let mut state = self.other.clone();
        let value = cursor.spell(self.complete_until())?;
        state.insert(cursor.parts.cursor_field.clone(), value);
        Ok(Value::Object(state))
    }

    pub(super) fn complete_until(&self) -> DateTime {
        let first = &self.intervals[0];
        first.latest.unwrap_or(first.start)
    }

    pub(super) fn reached(&self) -> DateTime {
        self.reached
    }

    pub(super) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }
}

/// Sorts, and joins what is no more than one unit apart.
fn merge(intervals: &mut Vec<Interval>, granularity: Option<Span>) {
    let unit = granularity.unwrap_or(Span {
        micros: 1_000,
        ..Span::default()
    });
    intervals.sort_by_key(|interval| (interval.start.epoch_micros(), interval.end.epoch_micros()));
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals.drain(..) {
        match merged.last_mut() {
            Some(last) if reaches(last.end, unit, interval.start) => {
                last.end = later(last.end, interval.end);
                last.latest = match (interval.latest, last.latest) {
                    (Some(a), Some(b)) => Some(later(a, b)),
                    (a, b) => a.or(b),
                };
            }
            _ => merged.push(interval),
        }
    }
    *intervals = merged;
}

fn reaches(end: DateTime, unit: Span, start: DateTime) -> bool {
    // Past the last year everything is reached.
    end.plus(unit)
        .map_or(true, |end| end.epoch_micros() >= start.epoch_micros())
}

fn read_date(cursor: &OpenCursor, value: &Value) -> Result<DateTime, CursorError> {
    cursor.parse(value).map_err(|error| invalid(&error.what))
}

fn invalid(what: &str) -> CursorError {
    CursorError::State {
        what: what.to_owned(),
    }
}
