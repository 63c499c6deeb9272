//! `clamping`: windows that begin and end with whole days, weeks or months.

use super::super::datetime::{DateError, DateTime, Span};
use super::super::fields::{self, problem};
use super::super::template::{Context, Template};
use super::CursorError;
use crate::document::{Node, Problem};

const DAY_MICROS: i64 = 86_400_000_000;

/// What windows are clamped to, as the manifest says it.
#[derive(Debug, Clone)]
pub(super) struct Clamping {
    target: Template,
    /// Day on which weeks begin, from Monday = 0.
    weekday: Option<i64>,
}

/// The same for one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Day,
    Week { weekday: i64 },
    Month,
}

const WEEKDAYS: [&str; 7] = [
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
];

impl Clamping {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let weekday = match fields::optional(node, "target_details") {
            None => None,
            Some(details) => fields::text(details, "weekday")?,
        };
        let weekday = weekday
            .map(|name| {
                let known = WEEKDAYS.iter().position(|weekday| *weekday == name);
                known.and_then(|at| i64::try_from(at).ok()).ok_or_else(|| {
                    problem(
                        node.at,
                        format!("{name} is no weekday"),
                        format!("use one of {}", WEEKDAYS.join(", ")),
                    )
                })
            })
            .transpose()?;
        Ok(Self {
            target: fields::required_template(node, "target")?,
            weekday,
        })
    }

    pub(super) fn open(&self, context: &Context<'_>) -> Result<Target, CursorError> {
        let field = "clamping";
        let target = self
            .target
            .text(context)
            .map_err(|cause| CursorError::Template { field, cause })?;
        match (target.as_str(), self.weekday) {
            ("DAY", _) => Ok(Target::Day),
            ("WEEK", Some(weekday)) => Ok(Target::Week { weekday }),
            ("MONTH", _) => Ok(Target::Month),
            ("WEEK", None) => Err(invalid("a target of WEEK needs target_details.weekday")),
            _ => Err(invalid("its target must be DAY, WEEK or MONTH")),
        }
    }
}

fn invalid(what: &str) -> CursorError {
    CursorError::Date {
        field: "clamping",
        cause: DateError {
            what: what.to_owned(),
        },
    }
}

impl Target {
    /// The first boundary at or after `at`.
    ///
    /// Of a week or month it is the day that counts: any time of the boundary's own day is on it.
    pub(super) fn up(self, at: DateTime) -> Result<DateTime, DateError> {
        let midnight = midnight(at);
        match self {
            Self::Day if midnight.civil == at.civil => Ok(at),
            Self::Day => midnight.shifted(DAY_MICROS),
            Self::Week { weekday } => midnight.shifted(days_until(at, weekday) * DAY_MICROS),
            Self::Month if at.civil.day() == 1 => Ok(midnight),
            Self::Month => first_of_month(midnight)?.plus(Span {
                months: 1,
                ..Span::default()
            }),
        }
    }

    /// The last boundary at or before `at`.
    pub(super) fn down(self, at: DateTime) -> Result<DateTime, DateError> {
        let midnight = midnight(at);
        match self {
            Self::Day => Ok(midnight),
            Self::Week { weekday } => match days_until(at, weekday) {
                0 => Ok(midnight),
                days => midnight.shifted((days - 7) * DAY_MICROS),
            },
            Self::Month => first_of_month(midnight),
        }
    }

    /// How far before the last boundary reading ends, where the cursor has no granularity.
    pub(super) fn unit(self) -> Span {
        Span {
            micros: match self {
                Self::Day => 1_000_000,
                Self::Week { .. } | Self::Month => DAY_MICROS,
            },
            ..Span::default()
        }
    }
}

fn days_until(at: DateTime, weekday: i64) -> i64 {
    let today = i64::from(at.civil.date().weekday().to_monday_zero_offset());
    (weekday - today).rem_euclid(7)
}

fn midnight(at: DateTime) -> DateTime {
    DateTime {
        civil: at.civil.date().to_datetime(jiff::civil::Time::midnight()),
        offset: at.offset,
    }
}

fn first_of_month(midnight: DateTime) -> Result<DateTime, DateError> {
    midnight.shifted(-(i64::from(midnight.civil.day()) - 1) * DAY_MICROS)
}
