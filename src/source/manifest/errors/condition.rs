//! Conditions on an answer that are no verdict: whether a token is void, or a record gone.

use super::Action;
use super::filter::{Body, Filter};
use crate::client::Response;
use crate::document::{Node, Problem};
use crate::source::manifest::template::{Context, EvalError};

/// `http_codes`, `predicate` and `error_message_contains`, as in an `HttpResponseFilter`: any one
/// is enough.
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct Condition(Filter);

impl Condition {
    /// What a condition may say.
    pub(in crate::source::manifest) const KEYS: [&'static str; 3] =
        ["http_codes", "predicate", "error_message_contains"];

    /// From a map of these keys.
    pub(in crate::source::manifest) fn build(node: &Node) -> Result<Self, Problem> {
        // A filter without an action says nothing of any answer.
        Filter::build(node).map(|filter| Self(filter.doing(Action::Ignore)))
    }

    /// Whether it holds for `response`. `context` offers nothing: predicates see the answer.
    pub(in crate::source::manifest) fn holds(
        &self,
        response: &Response,
        context: &Context<'_>,
    ) -> Result<bool, EvalError> {
        self.0.matches(response, &Body::new(response), context)
    }
}
