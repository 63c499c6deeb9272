//! Cursors of streams: which windows to read, and how far reading has come.
//!
//! The component is [opened](DatetimeBasedCursor::open) once per read for a configuration. The
//! [`OpenCursor`] cuts windows, reads the cursor values of records and turns [`Progress`] into
//! state as Airbyte writes it. Nothing here does I/O.
//!
//! ```text
//! state ─► Progress ─► Windows ─► (read the pages of a window, observe records) ─► Progress::close ─► state
//! ```

mod clamp;
mod count;
mod min_max;
mod open;
mod partitioned;
mod progress;
#[cfg(test)]
mod tests;

mod windows;

pub use count::IncrementingCountCursor;
pub use min_max::MinMaxDatetime;
pub use open::OpenCursor;
pub use partitioned::PartitionedCursor;
pub use progress::{Observed, Progress};
pub use windows::{Window, Windows};

use std::time::Duration;

use super::datetime::{DateError, Span};
use super::fields::{self, problem};
use super::template::{Context, EvalError, Template};
use crate::document::{Node, Problem};
use crate::json::Map;
use clamp::Clamping;

/// Windows that one stream or partition may be cut into. More means a step that is far too small.
pub const MAX_WINDOWS: usize = 100_000;

/// Partitions of one stream in one read.
pub const MAX_PARTITIONS: usize = 1_000_000;

/// The cursor of a stream, as its manifest describes it.
#[derive(Debug, Clone)]
pub struct DatetimeBasedCursor {
    cursor_field: Template,
    datetime_format: String,
    cursor_datetime_formats: Vec<String>,
    start: MinMaxDatetime,
    end: Option<MinMaxDatetime>,
    step: Option<Template>,
    granularity: Option<Span>,
    lookback: Option<Template>,
    start_field: Template,
    end_field: Template,
    clamping: Option<Clamping>,
    is_compare_strictly: bool,
    global_substream_cursor: bool,
    parameters: Map,
}

/// The cursor of a stream.
#[derive(Debug, Clone)]
pub enum Cursor {
    /// By dates.
    Dates(Box<DatetimeBasedCursor>),
    /// By numbers.
    Count(IncrementingCountCursor),
}

impl Cursor {
    /// From a stream's `incremental_sync`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        Ok(match fields::required_type(node, "cursor")? {
            "DatetimeBasedCursor" => Self::Dates(Box::new(DatetimeBasedCursor::build(node)?)),
            "IncrementingCountCursor" => Self::Count(IncrementingCountCursor::build(node)?),
            _ => {
                let known = ["DatetimeBasedCursor", "IncrementingCountCursor"];
                return Err(fields::unknown_type(node, "cursor", &known));
            }
        })
    }

    /// The same, with one cursor for all partitions.
    #[must_use]
    pub fn shared(self) -> Self {
        match self {
            Self::Dates(dates) => Self::Dates(Box::new(dates.shared())),
            count @ Self::Count(_) => count,
        }
    }

    /// Evaluates everything for one configuration. `context` offers `config`; its clock is *now*,
    /// where the manifest names no end.
    pub fn open(&self, context: &Context<'_>) -> Result<OpenCursor, CursorError> {
        self.open_looking_back(context, None)
    }

    /// As [`open`](Self::open), looking back as far as `lookback` instead of what the manifest
    /// says. Numbers have nothing to look back to.
    pub fn open_looking_back(
        &self,
        context: &Context<'_>,
        lookback: Option<Duration>,
    ) -> Result<OpenCursor, CursorError> {
        match self {
            Self::Dates(dates) => dates.open_looking_back(context, lookback),
            Self::Count(count) => count.open(context),
        }
    }
}

/// Why a cursor cannot say where to read. None of these is a reason to retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// A template of the cursor has no value.
    #[error("cannot evaluate {field} of the cursor: {cause}")]
    Template {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        cause: EvalError,
    },
    /// A date or duration of the manifest or configuration cannot be read.
    #[error("cannot read {field} of the cursor: {cause}")]
    Date {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        cause: DateError,
    },
    /// A number of the manifest or configuration cannot be read.
    #[error("{field} of the cursor is no whole number")]
    Number {
        /// The field.
        field: &'static str,
    },
    /// The stored state is none of this cursor.
    #[error("the stored state does not fit the cursor: {what}")]
    State {
        /// What is wrong with it, in words.
        what: String,
    },
    /// The stream has more partitions than can be told apart.
    #[error("the stream has more than {MAX_PARTITIONS} partitions")]
    TooManyPartitions,
    /// The step is too small for the time to read.
    #[error("the cursor would cut more than {MAX_WINDOWS} windows: make its step larger")]
    TooManyWindows,
}

impl DatetimeBasedCursor {
    /// From a stream's `incremental_sync`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        if fields::required_type(node, "cursor")? != "DatetimeBasedCursor" {
            return Err(fields::unknown_type(
                node,
                "cursor",
                &["DatetimeBasedCursor"],
            ));
        }
        let format_node = fields::required(node, "datetime_format")?;
        let datetime_format = fields::text(node, "datetime_format")?
            .filter(|format| !format.is_empty())
            .ok_or_else(|| {
                problem(
                    format_node.at,
                    "datetime_format is empty",
                    "write how the provider spells dates, as in \"%Y-%m-%dT%H:%M:%SZ\"",
                )
            })?;
        let step = fields::template(node, "step")?;
        let granularity = granularity(node)?;
        if step.is_some() != granularity.is_some() {
            return Err(problem(
                node.at,
                "step and cursor_granularity go together",
                "set both, as in step: P1M and cursor_granularity: PT1S, or neither",
            ));
        }
        Ok(Self {
            cursor_field: fields::required_template(node, "cursor_field")?,
            datetime_format: datetime_format.to_owned(),
            cursor_datetime_formats: fields::texts(node, "cursor_datetime_formats")?,
            start: MinMaxDatetime::build(fields::required(node, "start_datetime")?)?,
            end: fields::optional(node, "end_datetime")
                .map(MinMaxDatetime::build)
                .transpose()?,
            step,
            granularity,
            lookback: fields::template(node, "lookback_window")?,
            start_field: field_name(node, "partition_field_start", "start_time")?,
            end_field: field_name(node, "partition_field_end", "end_time")?,
            clamping: fields::optional(node, "clamping")
                .map(Clamping::build)
                .transpose()?,
            is_compare_strictly: fields::flag(node, "is_compare_strictly")?,
            global_substream_cursor: fields::flag(node, "global_substream_cursor")?,
            parameters: fields::parameters(node),
        })
    }

    /// The same, with one cursor for all partitions.
    #[must_use]
    pub fn shared(self) -> Self {
        Self {
            global_substream_cursor: true,
            ..self
        }
    }

    /// Evaluates everything for one configuration. `context` offers `config`; its clock is *now*,
    /// where the manifest names no end.
    pub fn open(&self, context: &Context<'_>) -> Result<OpenCursor, CursorError> {
        self.open_looking_back(context, None)
    }

    /// As [`open`](Self::open), looking back as far as `lookback` instead of what the manifest
    /// says.
    pub fn open_looking_back(
        &self,
        context: &Context<'_>,
        lookback: Option<Duration>,
    ) -> Result<OpenCursor, CursorError> {
        let context = &context.clone().with("parameters", &self.parameters);
        let text = |template: &Template, field| {
            template
                .text(context)
                .map_err(|cause| CursorError::Template { field, cause })
        };
        let span = |template: &Option<Template>, field| match template {
            None => Ok(None),
            Some(template) => match text(template, field)?.as_str() {
                "" => Ok(None),
                text => Span::parse(text)
                    .map(Some)
                    .map_err(|cause| CursorError::Date { field, cause }),
            },
        };
        let clamp = self
            .clamping
            .as_ref()
            .map(|clamping| clamping.open(context));
        OpenCursor::new(open::Parts {
            cursor_field: text(&self.cursor_field, "cursor_field")?,
            fields: [
                text(&self.start_field, "partition_field_start")?,
                text(&self.end_field, "partition_field_end")?,
            ],
            spelling: open::Spelling::Date {
                format: self.datetime_format.clone(),
                inputs: self.cursor_datetime_formats.clone(),
            },
            start: self
                .start
                .at(context, &self.datetime_format, "start_datetime")?,
            end: match &self.end {
                Some(end) => Some(end.at(context, &self.datetime_format, "end_datetime")?),
                None => None,
            },
            now: context.clock().now(),
            step: span(&self.step, "step")?,
            granularity: self.granularity.filter(|span| *span != Span::default()),
            lookback: match lookback {
                Some(lookback) => Some(Span {
                    micros: i64::try_from(lookback.as_micros()).unwrap_or(i64::MAX),
                    ..Span::default()
                })
                .filter(|span| *span != Span::default()),
                None => {
                    span(&self.lookback, "lookback_window")?.filter(|span| *span != Span::default())
                }
            },
            clamp: clamp.transpose()?,
            is_compare_strictly: self.is_compare_strictly,
            is_global: self.global_substream_cursor,
        })
    }
}

/// The granularity is no template: whether it is a duration can be said at once.
fn granularity(node: &Node) -> Result<Option<Span>, Problem> {
    let Some(text) = fields::text(node, "cursor_granularity")?.filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    Span::parse(text).map(Some).map_err(|error| {
        problem(
            fields::optional(node, "cursor_granularity").map_or(node.at, |node| node.at),
            format!("cursor_granularity cannot be read: {error}"),
            "write an ISO 8601 duration, as in PT1S or P1D",
        )
    })
}

fn field_name(node: &Node, key: &str, default: &str) -> Result<Template, Problem> {
    match fields::template(node, key)?.filter(|template| !template.source().is_empty()) {
        Some(template) => Ok(template),
        None => fields::template_of(
            key,
            &Node::synthetic(crate::document::Kind::String(default.to_owned())),
        ),
    }
}
