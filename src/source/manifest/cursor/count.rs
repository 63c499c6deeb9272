//! `IncrementingCountCursor`: goes on from the largest number instead of the latest date.
//!
//! A number is kept as the instant so many microseconds after 1970, so that progress and state are
//! the same code; only where it is read and written is it a number again.

use super::super::datetime::DateTime;
use super::super::fields::{self, optional, problem};
use super::super::template::{Context, Template};
use super::open::{Parts, Spelling};
use super::{CursorError, OpenCursor};
use crate::document::{Kind, Node, Problem};
use crate::json::Map;

/// The largest number that can be gone on from. A larger one moves nothing.
const LARGEST: i64 = 250_000_000_000_000_000;

/// The cursor of a stream, as its manifest describes it.
#[derive(Debug, Clone)]
pub struct IncrementingCountCursor {
    cursor_field: Template,
    start: Option<Template>,
    parameters: Map,
}

impl IncrementingCountCursor {
    /// From a stream's `incremental_sync`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        let start = match optional(node, "start_value") {
            None => None,
            Some(value) if matches!(value.kind, Kind::Int(_) | Kind::String(_)) => {
                Some(fields::template_of("start_value", value)?)
            }
            Some(value) => {
                return Err(problem(
                    value.at,
                    "start_value is no whole number",
                    "write a number, or a template that gives one",
                ));
            }
        };
        Ok(Self {
            cursor_field: fields::required_template(node, "cursor_field")?,
            start,
            parameters: fields::parameters(node),
        })
    }

    /// Evaluates everything for one configuration. `context` offers `config`.
    pub fn open(&self, context: &Context<'_>) -> Result<OpenCursor, CursorError> {
        let context = &context.clone().with("parameters", &self.parameters);
        let text = |template: &Template, field| {
            template
                .text(context)
                .map_err(|cause| CursorError::Template { field, cause })
        };
        let start = match &self.start {
            None => 0,
            Some(start) => {
                let text = text(start, "start_value")?;
                text.trim().parse().map_err(|_| CursorError::Number {
                    field: "start_value",
                })?
            }
        };
        OpenCursor::new(Parts {
            cursor_field: text(&self.cursor_field, "cursor_field")?,
            fields: ["start".to_owned(), "end".to_owned()],
            spelling: Spelling::Number,
            start: of_number(start).ok_or(CursorError::Number {
                field: "start_value",
            })?,
            end: of_number(LARGEST),
            now: context.clock().now(),
            step: None,
            granularity: None,
            lookback: None,
            clamp: None,
            is_compare_strictly: false,
            is_global: false,
        })
    }
}

/// The instant that stands for a number; none for one that is out of bounds.
pub(super) fn of_number(number: i64) -> Option<DateTime> {
    let fits = (-LARGEST..=LARGEST).contains(&number);
    fits.then(|| DateTime::from_epoch_micros(number))?
}

/// Whether it stands for no end at all.
pub(super) fn is_endless(at: DateTime) -> bool {
    at.epoch_micros() >= LARGEST
}
