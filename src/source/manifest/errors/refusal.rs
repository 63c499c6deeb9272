//! What a refusal is about, where its status does not tell: some providers answer 200 with an
//! error in the body, others 401 for a missing permission.

use url::Url;

use super::Condition;
use super::filter::{Body, holds};
use crate::client::Response;
use crate::source::manifest::template::{Context, EvalError, Template};

/// `metadata.connector.refusals`: predicates that see `response`, `headers` and `request_url`.
/// They are asked about refusals only, so they need not tell one from a success.
#[derive(Debug, Clone, Default)]
pub(in crate::source::manifest) struct Refusals {
    /// The credentials are wrong, expired or revoked.
    pub(in crate::source::manifest) credentials: Option<Template>,
    /// The credentials are right, but may not do this.
    pub(in crate::source::manifest) permission: Option<Template>,
    /// Parameters that not every server understands.
    pub(in crate::source::manifest) parameters: Option<OptionalParameters>,
}

/// `refusals.parameters`: what a request asks for where the server can, and does without where it
/// cannot, as an older one.
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct OptionalParameters {
    pub(in crate::source::manifest) names: Vec<String>,
    /// Holds for a refusal of them.
    pub(in crate::source::manifest) when: Condition,
}

impl OptionalParameters {
    /// The address without them; `None` where it has none.
    pub(in crate::source::manifest) fn taken_from(&self, url: &Url) -> Option<Url> {
        let is_ours = |name: &str| self.names.iter().any(|ours| ours == name);
        if !url.query_pairs().any(|(name, _)| is_ours(&name)) {
            return None;
        }
        let mut without = url.clone();
        let kept = url.query_pairs().filter(|(name, _)| !is_ours(name));
        without.query_pairs_mut().clear().extend_pairs(kept);
        Some(without)
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Credentials,
    Permission,
}

impl Refusals {
    /// What the refusal `response` is about, if the manifest knows. `context` offers the clock.
    pub(super) fn about(
        &self,
        response: &Response,
        context: &Context<'_>,
    ) -> Result<Option<About>, EvalError> {
        let body = Body::new(response);
        for (predicate, about) in [
            (&self.permission, About::Permission),
            (&self.credentials, About::Credentials),
        ] {
            if let Some(predicate) = predicate
                && holds(predicate, &body, context)?
            {
                return Ok(Some(about));
            }
        }
        Ok(None)
    }
}
