//! A request to an OAuth 2.0 token endpoint, and what becomes of its answer.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use url::Url;

use super::answer::{self, AnswerNames};
use super::refusal::{self, Refusal};
use super::{Issued, Secret, form};
use crate::client::{
    Client, FetchError, Judge, Request, Response, TransportError, Verdict, hinted_wait,
    judge_transport, set_header,
};

/// A request for a token, complete but for a refresh token that was rotated since.
#[derive(Clone)]
pub struct TokenRequest {
    /// The token endpoint.
    pub url: Url,
    /// Headers; `Accept: application/json` where it has none.
    pub headers: Vec<(String, String)>,
    /// Form fields in their order.
    pub fields: Vec<(String, String)>,
    /// The field that holds the refresh token, if the grant has one.
    pub refresh_field: Option<String>,
    /// Fields go into the query instead of the body.
    pub in_query: bool,
    /// What the answer holds where.
    pub names: AnswerNames,
    /// Further refusals that mean a dead refresh token.
    pub rejection: Rejection,
    /// Ask as the reference does: no header that the manifest does not name.
    pub plain: bool,
}

/// `refresh_token_error_*` of a manifest: refusals that mean a dead refresh token.
#[derive(Debug, Clone, Default)]
pub struct Rejection {
    /// Statuses that may mean it.
    pub statuses: Vec<u16>,
    /// The field of the answer that says it.
    pub key: String,
    /// Its values that do.
    pub values: Vec<String>,
}

impl Rejection {
    fn matches(&self, response: &Response) -> bool {
        let said = || {
            let value = answer::document(&response.body).ok()?;
            value.get(&self.key)?.as_str().map(str::to_owned)
        };
        self.statuses.contains(&response.status.as_u16())
            && said().is_some_and(|said| self.values.contains(&said))
    }
}

impl fmt::Debug for TokenRequest {
    /// No field: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TokenRequest({})",
            crate::client::without_query(&self.url)
        )
    }
}

impl TokenRequest {
    /// The refresh token of the configuration, if the grant has one.
    pub(super) fn refresh_token(&self) -> Option<Secret> {
        let name = self.refresh_field.as_ref()?;
        let field = self.fields.iter().find(|(field, _)| field == name)?;
        Some(field.1.clone().into())
    }

    pub(super) async fn ask(
        &self,
        client: &Client,
        refresh: Option<&Secret>,
    ) -> Result<Issued, FetchError> {
        let request = self.request(refresh)?;
        let judge = TokenJudge {
            request: self,
            has_grant: self.refresh_field.is_some(),
            was_lost: AtomicBool::new(false),
        };
        let response = client.send(&request, &judge).await?;
        self.names
            .read(&response.body, Timestamp::now())
            .map_err(|what| unusable(&response, &what))
    }

    fn request(&self, refresh: Option<&Secret>) -> Result<Request, FetchError> {
        let fields = self.fields.iter().map(|(name, value)| {
            let value = match refresh {
                Some(token) if self.refresh_field.as_ref() == Some(name) => token.expose(),
                _ => value.as_str(),
            };
            (name.as_str(), value)
        });
        let encoded = form::encode(fields);
        let mut url = self.url.clone();
        let mut headers = HeaderMap::new();
        if !self.plain {
            set_header(&mut headers, "accept", "application/json")?;
        }
        if !self.in_query && !encoded.is_empty() {
            set_header(
                &mut headers,
                "content-type",
                "application/x-www-form-urlencoded",
            )?;
        }
        for (name, value) in &self.headers {
            set_header(&mut headers, name, value)?;
        }
        let body = if self.in_query {
            let query = match url.query() {
                Some(query) if !query.is_empty() => format!("{query}&{encoded}"),
                _ => encoded,
            };
            url.set_query(Some(&query));
            // An empty body is not none: some servers want its length.
            set_header(&mut headers, "content-length", "0")?;
            Some(Bytes::new())
        } else {
            (!encoded.is_empty()).then(|| encoded.into())
        };
        Ok(Request {
            method: Method::POST,
            url,
            headers,
            body,
        })
    }
}

fn unusable(response: &Response, what: &str) -> FetchError {
    FetchError::Unusable(format!(
        "{} answered {}: {what}",
        crate::client::without_query(&response.url),
        response.status
    ))
}

/// What the answer of a token endpoint means.
///
/// What the issuer says it did not do (5xx, 429), and what never reached it, is asked for again, as
/// is everything that takes no refresh token. An answer to a refresh token that got lost is another
/// matter: it may have held the only good one. Repeating the old one once, at once, is the only
/// chance, within the grace that many issuers give; repeating it further is what makes strict ones
/// revoke everything.
struct TokenJudge<'r> {
    request: &'r TokenRequest,
    has_grant: bool,
    /// Whether an answer got lost already.
    was_lost: AtomicBool,
}

impl TokenJudge<'_> {
    /// There is an answer that cannot be read, or none though the issuer was asked.
    fn lost(&self, error: FetchError, wait: Option<Duration>) -> Verdict {
        if self.has_grant && self.was_lost.swap(true, Ordering::Relaxed) {
            return Verdict::Fail(error);
        }
        Verdict::Retry { wait, error }
    }
}

impl Judge for TokenJudge<'_> {
    fn judge(&self, answer: Result<&Response, &TransportError>, _attempt: u32) -> Verdict {
        let response = match answer {
            Ok(response) => response,
            Err(error) if error.kind.is_unsent() => return judge_transport(error),
            Err(error) => return self.lost(error.clone().into(), None),
        };
        let wait = hinted_wait(&response.headers, response.status, Timestamp::now());
        let refused = || FetchError::Unauthorized(refusal::words(response, self.has_grant));
        if self.request.rejection.matches(response) {
            return Verdict::Fail(refused());
        }
        match refusal::read(response) {
            Refusal::None => match self.request.names.read(&response.body, Timestamp::now()) {
                Ok(_) => Verdict::Accept,
                Err(what) => self.lost(unusable(response, &what), wait),
            },
            Refusal::Passing if response.status.as_u16() == 429 => Verdict::Throttle { wait },
            Refusal::Passing => Verdict::Retry {
                wait,
                error: FetchError::Unavailable(refusal::passing_words(response)),
            },
            Refusal::Final => Verdict::Fail(refused()),
        }
    }
}
