//! Backoff strategies: how long a manifest wants to wait before a repetition.

use http::HeaderMap;
use jiff::Timestamp;
use regex::Regex;

use crate::document::{Node, Problem};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{optional, problem, type_of};
use crate::source::manifest::template::{Context, EvalError, Literal};

/// One strategy.
#[derive(Debug, Clone)]
pub(super) enum Backoff {
    /// The same wait every time.
    Constant(Expr),
    /// `factor` × 2ⁿ, n being the attempt.
    Exponential(Option<Expr>),
    /// Seconds in a header.
    Header(HeaderValue),
    /// An instant in a header, in seconds since 1970.
    Until {
        header: HeaderValue,
        min_wait: Option<Expr>,
    },
}

/// Where in the headers a number stands.
#[derive(Debug, Clone)]
pub(super) struct HeaderValue {
    name: Expr,
    regex: Option<Expr>,
    /// A wait of this many seconds or more is not waited.
    max: Option<Expr>,
}

/// Why a strategy has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoWait {
    /// The wait is longer than the manifest allows.
    TooLong(f64),
    /// A template failed.
    Template(EvalError),
}

impl From<EvalError> for NoWait {
    fn from(error: EvalError) -> Self {
        Self::Template(error)
    }
}

impl Backoff {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        Ok(match type_of(node) {
            Some("ConstantBackoffStrategy") => {
                Self::Constant(Expr::required(node, "backoff_time_in_seconds")?)
            }
            Some("ExponentialBackoffStrategy") => Self::Exponential(Expr::field(node, "factor")?),
            Some("WaitTimeFromHeader") => Self::Header(HeaderValue::build(node)?),
            Some("WaitUntilTimeFromHeader") => Self::Until {
                header: HeaderValue::build(node)?,
                min_wait: Expr::field(node, "min_wait")?,
            },
            _ => return Err(unsupported(node)),
        })
    }

    /// Whether the wait is the provider's own word, not the manifest author's guess.
    pub(super) fn is_hint(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Until { .. })
    }

    /// Seconds to wait before the repetition that follows `attempt` (the first is 1); `None`
    /// when this strategy does not know. `context` offers the configuration.
    pub(super) fn seconds(
        &self,
        headers: &HeaderMap,
        attempt: u32,
        now: Timestamp,
        context: &Context<'_>,
    ) -> Result<Option<f64>, NoWait> {
        match self {
            Self::Constant(seconds) => Ok(Some(number(seconds, context)?)),
            Self::Exponential(factor) => {
                let factor = match factor {
                    Some(factor) => number(factor, context)?,
                    None => 5.0,
                };
                Ok(Some(factor * 2f64.powf(f64::from(attempt))))
            }
            Self::Header(header) => match header.read(headers, context)? {
                Some(wait) if wait != 0.0 => header.bounded(wait, context).map(Some),
                wait => Ok(wait),
            },
            Self::Until { header, min_wait } => {
                let min_wait = match min_wait {
                    Some(min_wait) => Some(number(min_wait, context)?),
                    None => None,
                };
                let until = header.read(headers, context)?.filter(|at| *at != 0.0);
                let wait = until.map(|at| at - seconds_of(now));
                let wait = match (wait, min_wait) {
                    (Some(wait), Some(min)) => wait.max(min),
                    (Some(wait), None) if wait >= 0.0 => wait,
                    (None, Some(min)) => min,
                    _ => return Ok(None),
                };
                header.bounded(wait, context).map(Some)
            }
        }
    }
}

impl HeaderValue {
    fn build(node: &Node) -> Result<Self, Problem> {
        if let Some(regex) = optional(node, "regex")
            && let Some(text) = regex.as_str()
            && !text.contains("{{")
            && let Err(error) = Regex::new(text)
        {
            return Err(problem(
                regex.at,
                "regex cannot be read",
                format!("mend it: {error}"),
            ));
        }
        Ok(Self {
            name: Expr::required(node, "header")?,
            regex: Expr::field(node, "regex")?,
            max: Expr::field(node, "max_waiting_time_in_seconds")?,
        })
    }

    /// The number in the header; with a regex only what it matches, and only at the start.
    fn read(&self, headers: &HeaderMap, context: &Context<'_>) -> Result<Option<f64>, NoWait> {
        let name = self.name.text(context)?;
        let Some(text) = headers.get(&name).and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let mut text = text;
        if let Some(regex) = &self.regex {
            let pattern = regex.verbatim(context)?;
            let failed = |error: regex::Error| EvalError::Failed {
                what: format!("regex cannot be read: {error}"),
            };
            let regex = Regex::new(&format!("^(?:{pattern})")).map_err(failed)?;
            if let Some(found) = regex.find(text) {
                text = found.as_str();
            }
        }
        Ok(text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite()))
    }

    fn bounded(&self, wait: f64, context: &Context<'_>) -> Result<f64, NoWait> {
        match &self.max {
            Some(max) if wait >= number(max, context)? => Err(NoWait::TooLong(wait)),
            _ => Ok(wait),
        }
    }
}

/// A number that may be written as text.
pub(super) fn number(expr: &Expr, context: &Context<'_>) -> Result<f64, EvalError> {
    let value = expr.value(context)?;
    let number = match &value {
        Literal::Float(number) => Some(*number),
        // Whole seconds of any sensible wait fit.
        Literal::Int(number) => i32::try_from(*number).ok().map(f64::from),
        Literal::Str(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| EvalError::Failed {
            what: format!("{} is no number of seconds", expr.template().source()),
        })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a microsecond of a wait does not matter"
)]
fn seconds_of(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}
