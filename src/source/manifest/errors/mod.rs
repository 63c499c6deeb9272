//! Error handlers: what an answer means, and how long to wait before the next try.
//!
//! [`ErrorHandler::resolve`] decides exactly as the format's reference does; [`Verdicts`] turns
//! the decision into what the worker does, which differs where the reference would go on
//! silently: a refusal nobody provided for is final instead of being repeated, and the provider's
//! own wait is honoured whether the manifest names it or not.

mod backoff;
mod condition;
mod filter;
mod hint;
mod message;
mod reference;
mod refusal;
mod verdict;

use crate::client::{Response, TransportError};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

use super::expr::{Expr, unsupported};
use super::fields::{list, problem, type_of};
use super::template::{Context, EvalError};
use backoff::Backoff;
use filter::Filter;

pub(super) use condition::Condition;
pub(super) use message::{Secrets, provider_message};
pub(super) use reference::{Renewal, Tries};
pub(super) use refusal::{OptionalParameters, Refusals};
pub(super) use verdict::Verdicts;

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Success,
    Retry,
    RateLimited,
    Ignore,
    Fail,
    /// Replace the token, then try again.
    Refresh,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureType {
    System,
    Config,
    Transient,
}

/// What a handler decides about one answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resolution {
    pub(super) action: Action,
    /// `None` for success.
    pub(super) failure_type: Option<FailureType>,
    /// The manifest's own words, if its filter has any.
    pub(super) message: Option<String>,
    /// Index of the handler whose filter matched; `None` when the defaults decided.
    matched: Option<usize>,
}

/// The error handler of a requester: one default handler, or several tried in order.
#[derive(Debug, Clone)]
pub(super) struct ErrorHandler {
    handlers: Vec<Handler>,
}

#[derive(Debug, Clone, Default)]
struct Handler {
    filters: Vec<Filter>,
    strategies: Vec<Backoff>,
    max_retries: Option<Expr>,
}

impl Default for ErrorHandler {
    fn default() -> Self {
        Self {
            handlers: vec![Handler::default()],
        }
    }
}

impl ErrorHandler {
    /// Builds `error_handler` of a requester.
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let handlers = match type_of(node) {
            Some("DefaultErrorHandler") => vec![Handler::build(node)?],
            Some("CompositeErrorHandler") => {
                let inner = list(node, "error_handlers")?;
                if inner.is_empty() {
                    return Err(problem(
                        node.at,
                        "CompositeErrorHandler has no error_handlers",
                        "add at least one",
                    ));
                }
                let mut handlers = Vec::new();
                for node in inner {
                    handlers.extend(Self::build(node)?.handlers);
                }
                handlers
            }
            _ => return Err(unsupported(node)),
        };
        Ok(Self { handlers })
    }

    /// Decides as the reference does: the first handler that says success, retry or ignore wins,
    /// otherwise the last one.
    pub(super) fn resolve(
        &self,
        response: &Response,
        context: &Context<'_>,
    ) -> Result<Resolution, EvalError> {
        let body = filter::Body::new(response);
        let mut last = None;
        for (index, handler) in self.handlers.iter().enumerate() {
            let resolution = handler.resolve(index, response, &body, context)?;
            if matches!(
                resolution.action,
                Action::Success | Action::Retry | Action::Ignore
            ) {
                return Ok(resolution);
            }
            last = Some(resolution);
        }
        Ok(last.unwrap_or_else(|| default_resolution(response)))
    }

    /// As [`resolve`](Self::resolve), except that a filter's rate limit, or its failure of an answer
    /// that looks like success, is not overruled by the defaults of a later handler.
    fn resolve_for_worker(
        &self,
        response: &Response,
        context: &Context<'_>,
    ) -> Result<Resolution, EvalError> {
        let body = filter::Body::new(response);
        let mut failure = None;
        for (index, handler) in self.handlers.iter().enumerate() {
            match handler.matching(index, response, &body, context)? {
                Some(resolution)
                    if resolution.action == Action::RateLimited && failure.is_none() =>
                {
                    return Ok(resolution);
                }
                Some(resolution)
                    if resolution.action == Action::Fail && response.status.is_success() =>
                {
                    failure.get_or_insert(resolution);
                }
                Some(_) => {
                    failure = None;
                    break;
                }
                None => {}
            }
        }
        match failure {
            Some(resolution) => Ok(resolution),
            None => self.resolve(response, context),
        }
    }

    /// The strategies that apply: those of the handler whose filter matched. Where none did, those
    /// of the handlers that are for everything, if there is such a one.
    fn strategies(&self, resolution: &Resolution) -> impl Iterator<Item = &Backoff> {
        let matched = resolution.matched;
        let has_catch_all = self
            .handlers
            .iter()
            .any(|handler| handler.filters.is_empty());
        self.handlers
            .iter()
            .enumerate()
            .filter(move |(index, handler)| match matched {
                Some(matched) => matched == *index,
                None => !has_catch_all || handler.filters.is_empty(),
            })
            .flat_map(|(_, handler)| &handler.strategies)
    }

    /// Seconds before each of the next four tries, as the reference's default handler finds them:
    /// the first strategy that gives a wait.
    #[cfg(test)]
    pub(super) fn waits(
        &self,
        response: &Response,
        context: &Context<'_>,
    ) -> Vec<Result<Option<f64>, String>> {
        let now = context.clock().now();
        (1..=4)
            .map(|attempt| {
                let mut wait = None;
                for strategy in self.all_strategies() {
                    wait = strategy
                        .seconds(&response.headers, attempt, now, context)
                        .map_err(|error| format!("{error:?}"))?;
                    if wait.is_some_and(|wait| wait != 0.0) {
                        break;
                    }
                }
                Ok(wait)
            })
            .collect()
    }

    /// Repetitions that the manifest allows: the first handler's count, 5 where it says nothing.
    #[cfg(test)]
    pub(super) fn max_retries(&self, context: &Context<'_>) -> Result<i64, EvalError> {
        Ok(self.repetitions(context)?.unwrap_or(5))
    }

    /// Every strategy of every handler, in order.
    fn all_strategies(&self) -> impl Iterator<Item = &Backoff> {
        self.handlers.iter().flat_map(|handler| &handler.strategies)
    }

    /// Repetitions that the manifest itself allows. The connector's own limit counts as well.
    fn repetitions(&self, context: &Context<'_>) -> Result<Option<i64>, EvalError> {
        let Some(limit) = self
            .handlers
            .first()
            .and_then(|handler| handler.max_retries.as_ref())
        else {
            return Ok(None);
        };
        let limit = backoff::number(limit, context)?;
        #[expect(clippy::cast_possible_truncation, reason = "a count of repetitions")]
        Ok(Some(limit.trunc() as i64))
    }
}

impl Handler {
    fn build(node: &Node) -> Result<Self, Problem> {
        let filters = list(node, "response_filters")?;
        let strategies = list(node, "backoff_strategies")?;
        Ok(Self {
            filters: filters
                .iter()
                .map(Filter::build)
                .collect::<Result<_, _>>()?,
            strategies: strategies
                .iter()
                .map(Backoff::build)
                .collect::<Result<_, _>>()?,
            max_retries: Expr::field(node, "max_retries")?,
        })
    }

    fn resolve(
        &self,
        index: usize,
        response: &Response,
        body: &filter::Body<'_>,
        context: &Context<'_>,
    ) -> Result<Resolution, EvalError> {
        Ok(self
            .matching(index, response, body, context)?
            .unwrap_or_else(|| default_resolution(response)))
    }

    /// The first filter that matches decides.
    fn matching(
        &self,
        index: usize,
        response: &Response,
        body: &filter::Body<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Resolution>, EvalError> {
        for filter in &self.filters {
            if filter.matches(response, body, context)? {
                return filter.resolution(index, response, body, context).map(Some);
            }
        }
        Ok(None)
    }
}

/// What a status means when no filter matches.
fn default_resolution(response: &Response) -> Resolution {
    let status = response.status.as_u16();
    let (action, failure_type) = match default_for(status) {
        _ if status < 400 => (Action::Success, None),
        Some((action, failure_type)) => (action, Some(failure_type)),
        None => (Action::Retry, Some(FailureType::System)),
    };
    Resolution {
        action,
        failure_type,
        message: None,
        matched: None,
    }
}

/// The reference's table of statuses.
fn default_for(status: u16) -> Option<(Action, FailureType)> {
    Some(match status {
        400 | 404 | 405 => (Action::Fail, FailureType::System),
        401 | 403 => (Action::Fail, FailureType::Config),
        408 | 500 | 502 | 503 | 504 => (Action::Retry, FailureType::Transient),
        429 => (Action::RateLimited, FailureType::Transient),
        _ => return None,
    })
}

/// Headers as templates of predicates see them: any case will do. Repeated ones are joined.
pub(super) fn header_map(headers: &http::HeaderMap) -> Map {
    let mut map = Map::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        match map.get_mut(name.as_str()) {
            Some(Value::String(old)) => {
                old.push_str(", ");
                old.push_str(&text);
            }
            _ => {
                map.insert(name.as_str().to_owned(), text.into_owned().into());
            }
        }
    }
    map
}

/// The reference repeats after every failure to connect; whether that helps, the client knows.
fn is_transport(error: &TransportError) -> crate::client::Verdict {
    crate::client::judge_transport(error)
}
