//! Response filters: which answers a handler has something to say about.

use std::cell::OnceCell;

use super::message::matched_text;
use super::{Action, FailureType, Resolution, default_for, header_map};
use crate::client::Response;
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value, parse, validate};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{list, optional, problem, text, type_of};
use crate::source::manifest::template::{Binding, Context, EvalError, Template};
use crate::source::manifest::tree;

/// Largest body of a successful answer that is read as a tree to find an error in it.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// One `HttpResponseFilter`. Any one of its conditions is enough.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    action: Option<Action>,
    failure_type: Option<FailureType>,
    codes: Vec<u16>,
    predicate: Option<Expr>,
    contains: Option<String>,
    message: Option<Expr>,
}

/// The body of an answer, read at most once however many filters look at it.
pub(super) struct Body<'r> {
    response: &'r Response,
    text: OnceCell<Option<String>>,
    tree: OnceCell<Value>,
    headers: OnceCell<Map>,
}

impl<'r> Body<'r> {
    pub(super) fn new(response: &'r Response) -> Self {
        Self {
            response,
            text: OnceCell::new(),
            tree: OnceCell::new(),
            headers: OnceCell::new(),
        }
    }

    /// The words of an error. A listing has none: of a success only a small object may be one.
    fn text(&self) -> Option<&str> {
        let body = &self.response.body;
        if self.response.status.is_success()
            && (body.len() > MAX_ERROR_BYTES || body.trim_ascii_start().first() != Some(&b'{'))
        {
            return None;
        }
        self.text
            .get_or_init(|| matched_text(&self.response.body))
            .as_deref()
    }

    /// A body that does not parse is an empty dict to a predicate.
    fn tree(&self) -> &Value {
        self.tree
            .get_or_init(|| parse(&self.response.body).unwrap_or_else(|_| Map::new().into()))
    }

    fn headers(&self) -> &Map {
        self.headers
            .get_or_init(|| header_map(&self.response.headers))
    }
}

impl Filter {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        if !matches!(type_of(node), None | Some("HttpResponseFilter")) {
            return Err(unsupported(node));
        }
        let action = match optional(node, "action") {
            None => None,
            Some(action) => Some(match action.as_str() {
                Some("SUCCESS") => Action::Success,
                Some("FAIL") => Action::Fail,
                Some("RETRY") => Action::Retry,
                Some("IGNORE") => Action::Ignore,
                Some("RATE_LIMITED") => Action::RateLimited,
                Some("REFRESH_TOKEN_THEN_RETRY") => Action::Refresh,
                other => {
                    let name = other.unwrap_or("this");
                    return Err(problem(
                        action.at,
                        format!("needs the action {name}, which is not supported"),
                        "use SUCCESS, FAIL, RETRY, IGNORE or RATE_LIMITED",
                    ));
                }
            }),
        };
        let failure_type = match text(node, "failure_type")? {
            Some("config_error") => Some(FailureType::Config),
            Some("transient_error") => Some(FailureType::Transient),
            Some(_) => Some(FailureType::System),
            None => None,
        };
        let codes = list(node, "http_codes")?;
        Ok(Self {
            action,
            failure_type,
            codes: codes.iter().filter_map(code).collect(),
            predicate: Expr::field(node, "predicate")?,
            contains: text(node, "error_message_contains")?
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            message: Expr::field(node, "error_message")?,
        })
    }

    /// The same conditions with another action.
    pub(super) fn doing(self, action: Action) -> Self {
        Self {
            action: Some(action),
            ..self
        }
    }

    pub(super) fn matches(
        &self,
        response: &Response,
        body: &Body<'_>,
        context: &Context<'_>,
    ) -> Result<bool, EvalError> {
        if self.action.is_none() {
            return Ok(false);
        }
        if self.codes.contains(&response.status.as_u16()) {
            return Ok(true);
        }
        if let Some(predicate) = &self.predicate
            && !predicate.template().source().is_empty()
            && predicate_holds(predicate, body, context)?
        {
            return Ok(true);
        }
        Ok(match &self.contains {
            Some(part) => body.text().is_some_and(|text| text.contains(part.as_str())),
            None => false,
        })
    }

    pub(super) fn resolution(
        &self,
        index: usize,
        response: &Response,
        body: &Body<'_>,
        context: &Context<'_>,
    ) -> Result<Resolution, EvalError> {
        let action = self.action.unwrap_or(Action::Fail);
        let by_status = default_for(response.status.as_u16()).map(|(_, failure)| failure);
        let failure_type = match self.failure_type {
            Some(failure_type) if action == Action::Fail => failure_type,
            _ => by_status.unwrap_or(FailureType::System),
        };
        let message = match &self.message {
            Some(message) => {
                let url = crate::client::without_query(&response.url);
                let context = context
                    .clone()
                    .with("response", body.tree())
                    .with("headers", Binding::Headers(body.headers()))
                    .with("request_url", &*url);
                match message.text(&context) {
                    // An error that lacks what the message would show is still the error it is.
                    Err(EvalError::Undefined { .. }) => None,
                    text => Some(text?).filter(|text| !text.is_empty()),
                }
            }
            None => None,
        };
        Ok(Resolution {
            action,
            failure_type: Some(failure_type),
            message,
            matched: Some(index),
        })
    }
}

fn predicate_holds(
    predicate: &Expr,
    body: &Body<'_>,
    context: &Context<'_>,
) -> Result<bool, EvalError> {
    holds(predicate.template(), body, &predicate.context(context))
}

/// Whether a predicate holds of an answer. Predicates do not see the configuration.
pub(super) fn holds(
    predicate: &Template,
    body: &Body<'_>,
    context: &Context<'_>,
) -> Result<bool, EvalError> {
    let pruned;
    let response = match predicate.paths("response") {
        // A listing of megabytes need not become a tree to see whether it has a message.
        Some(paths) if body.tree.get().is_none() => {
            pruned = validate(&body.response.body)
                .and_then(|()| tree::pruned(&body.response.body, &paths))
                .unwrap_or_else(|_| Map::new().into());
            &pruned
        }
        _ => body.tree(),
    };
    let url = crate::client::without_query(&body.response.url);
    let context = context
        .clone()
        .with("config", Binding::None)
        .with("response", response)
        .with("headers", Binding::Headers(body.headers()))
        .with("request_url", &*url);
    predicate.boolean(&context)
}

/// Codes may be written as text.
fn code(node: &Node) -> Option<u16> {
    match &node.kind {
        Kind::Int(code) => u16::try_from(*code).ok(),
        Kind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
