//! Cutting the time still to read into windows, lazily.

use std::collections::VecDeque;

use super::super::datetime::{DateTime, Span};
use super::open::{OpenCursor, earlier, later};
use super::{CursorError, DateError, MAX_WINDOWS, Progress};
use crate::json::Map;

/// One stretch of time to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The bounds as the provider spells them, under the cursor's slice fields.
    pub slice: Map,
    /// The bounds, as precise as the format.
    pub(super) bounds: [DateTime; 2],
}

impl Window {
    /// Where it begins.
    pub fn start(&self) -> DateTime {
        self.bounds[0]
    }
}

/// The windows of one read, oldest first; see [`OpenCursor::windows`].
#[derive(Debug)]
pub struct Windows {
    cursor: OpenCursor,
    gaps: VecDeque<Gap>,
    /// The rest of a gap that is being cut into steps.
    rest: Option<Gap>,
    given: usize,
}

/// Time that has not been read.
#[derive(Debug, Clone, Copy)]
struct Gap {
    lower: DateTime,
    upper: DateTime,
    /// It is followed by nothing: its last window includes `upper`. Else the window after it
    /// does.
    to_the_end: bool,
}

impl Windows {
    pub(super) fn new(cursor: OpenCursor, progress: &Progress) -> Self {
        let parts = &cursor.parts;
        let intervals = progress.intervals();
        let mut gaps = VecDeque::new();
        if let Some(first) = intervals.first()
            && parts.start.epoch_micros() < first.start.epoch_micros()
        {
            gaps.push_back(Gap {
                lower: parts.start,
                upper: first.start,
                to_the_end: false,
            });
        }
        for pair in intervals.windows(2) {
            let end = pair[0].end;
            gaps.push_back(Gap {
                // Past the last year there is nothing to read.
                lower: parts
                    .granularity
                    .map_or(end, |unit| end.plus(unit).unwrap_or(pair[1].start)),
                upper: pair[1].start,
                to_the_end: false,
            });
        }
        if let Some(last) = intervals.last() {
            let end = last.end;
            gaps.push_back(Gap {
                lower: parts
                    .lookback
                    .map_or(end, |lookback| end.minus(lookback).unwrap_or(parts.start)),
                upper: cursor.end,
                to_the_end: true,
            });
        }
        Self {
            cursor,
            gaps,
            rest: None,
            given: 0,
        }
    }

    /// The first window of a gap. What is left after one step waits in `rest`.
    fn enter(&mut self, gap: Gap) -> Result<Option<Window>, CursorError> {
        let parts = &self.cursor.parts;
        let micros = DateTime::epoch_micros;
        let start = parts.start;
        let (is_empty, is_reversed) = (
            micros(&gap.lower) == micros(&gap.upper),
            micros(&gap.lower) > micros(&gap.upper),
        );
        if is_reversed
            || (is_empty && parts.granularity.is_none())
            || micros(&gap.upper) < micros(&start)
        {
            return Ok(None);
        }
        let lower = self.clamp(later(gap.lower, start))?;
        let (is_empty, is_reversed) = (
            micros(&lower) == micros(&gap.upper),
            micros(&lower) > micros(&gap.upper),
        );
        // A unit that ends where it starts is still one to read, unless the provider refuses
        // such a window, or the next window reads it.
        if is_reversed || (is_empty && (parts.is_compare_strictly || !gap.to_the_end)) {
            return Ok(None);
        }
        let gap = Gap { lower, ..gap };
        // A step of nothing means one window.
        let is_whole = parts.step == Some(Span::default())
            || micros(&self.step_from(lower)) >= micros(&gap.upper);
        if !is_whole {
            return self.step(gap);
        }
        let upper = if gap.to_the_end && parts.granularity.is_some() {
            gap.upper
        } else {
            self.clamp(gap.upper)?
        };
        let end = if gap.to_the_end {
            upper
        } else {
            self.unit_before(upper)?
        };
        self.window(lower, end).map(Some)
    }

    /// One step into a gap.
    fn step(&mut self, gap: Gap) -> Result<Option<Window>, CursorError> {
        let micros = DateTime::epoch_micros;
        let upper = earlier(self.step_from(gap.lower), gap.upper);
        let clamped = if micros(&upper) == micros(&gap.upper) {
            upper
        } else {
            self.clamp(upper)?
        };
        let is_last =
            micros(&upper) >= micros(&gap.upper) || micros(&clamped) == micros(&gap.upper);
        let lower = self.clamp(gap.lower)?;
        if micros(&lower) >= micros(&clamped) {
            return Ok(None);
        }
        let end = if gap.to_the_end && is_last {
            clamped
        } else {
            self.unit_before(clamped)?
        };
        self.rest = (!is_last).then_some(Gap {
            lower: clamped,
            ..gap
        });
        self.window(lower, end).map(Some)
    }

    /// Without a step, or past the last year, a step goes to the end.
    fn step_from(&self, lower: DateTime) -> DateTime {
        let step = self.cursor.parts.step;
        step.and_then(|step| lower.plus(step).ok())
            .unwrap_or(self.cursor.end)
    }

    fn clamp(&self, at: DateTime) -> Result<DateTime, CursorError> {
        let clamp = self.cursor.parts.clamp;
        clamp.map_or(Ok(at), |clamp| clamp.up(at).map_err(out_of_range))
    }

    /// The last moment before `at` that the provider can tell from it.
    fn unit_before(&self, at: DateTime) -> Result<DateTime, CursorError> {
        let granularity = self.cursor.parts.granularity;
        granularity.map_or(Ok(at), |unit| at.minus(unit).map_err(out_of_range))
    }

    fn window(&self, start: DateTime, end: DateTime) -> Result<Window, CursorError> {
        let cursor = &self.cursor;
        let texts = [cursor.spell(start)?, cursor.spell(end)?];
        // What counts as read is what the provider was asked for: the text's precision.
        let precise = |text, exact| cursor.parse(text).unwrap_or(exact);
        let bounds = [precise(&texts[0], start), precise(&texts[1], end)];
        let keys = cursor.parts.fields.iter().cloned();
        Ok(Window {
            slice: keys.zip(texts).collect(),
            bounds,
        })
    }
}

impl Iterator for Windows {
    type Item = Result<Window, CursorError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.given >= MAX_WINDOWS && (self.rest.is_some() || !self.gaps.is_empty()) {
            self.rest = None;
            self.gaps.clear();
            return Some(Err(CursorError::TooManyWindows));
        }
        loop {
            let found = if let Some(gap) = self.rest.take() {
                self.step(gap)
            } else {
                let gap = self.gaps.pop_front()?;
                self.enter(gap)
            };
            match found {
                Ok(None) => {}
                Ok(Some(window)) => {
                    self.given += 1;
                    return Some(Ok(window));
                }
                Err(error) => {
                    self.gaps.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

fn out_of_range(cause: DateError) -> CursorError {
    CursorError::Date {
        field: "window",
        cause,
    }
}
