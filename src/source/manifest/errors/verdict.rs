//! From a handler's decision to what the client does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;

use super::backoff::NoWait;
use super::hint::wait_in_body;
use super::message::{Secrets, provider_message};
use super::reference::{Renewal, Tries};
use super::refusal::{About, Refusals};
use super::{Action, ErrorHandler, FailureType, Resolution, is_transport};
use crate::client::auth::lacks_scope;
use crate::client::{
    FetchError, Judge, Response, TransportError, Verdict, hinted_wait, without_query,
};
use crate::clock::Clock;
use crate::json::Value;
use crate::source::manifest::mode::Mode;
use crate::source::manifest::template::Context;

/// The judge of one request of a stream.
pub(in crate::source::manifest) struct Verdicts<'r> {
    pub(in crate::source::manifest) mode: Mode,
    pub(in crate::source::manifest) handler: &'r ErrorHandler,
    pub(in crate::source::manifest) refusals: &'r Refusals,
    /// Named in every error.
    pub(in crate::source::manifest) stream: &'r str,
    pub(in crate::source::manifest) config: &'r Value,
    pub(in crate::source::manifest) clock: Clock,
    pub(in crate::source::manifest) secrets: &'r Secrets,
    /// Whether the request carried validators, so that 304 is an answer to it.
    pub(in crate::source::manifest) conditional: bool,
    /// Set when the handler ignores a refusal: the answer holds no records.
    pub(in crate::source::manifest) ignored: AtomicBool,
    /// Set when a refusal is put down to the credentials though nothing says so.
    pub(in crate::source::manifest) guessed: AtomicBool,
    /// What the reference counts.
    pub(in crate::source::manifest) tries: Arc<Mutex<Tries>>,
    /// What the reference does about a token that is refused.
    pub(in crate::source::manifest) renewal: Mutex<Renewal>,
}

impl Verdicts<'_> {
    /// Whether the accepted answer is a refusal that the manifest tolerates.
    pub(in crate::source::manifest) fn is_ignored(&self) -> bool {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Whether an [`FetchError::Unauthorized`] is certain to be about the credentials.
    pub(in crate::source::manifest) fn is_certain(&self) -> bool {
        !self.guessed.load(Ordering::Relaxed)
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context::new(self.clock).with("config", self.config)
    }

    fn judge_response(&self, response: &Response, attempt: u32) -> Verdict {
        self.ignored.store(false, Ordering::Relaxed);
        let status = response.status;
        if status == StatusCode::NOT_MODIFIED && self.conditional {
            return Verdict::Accept;
        }
        let context = self.context();
        let resolution = match self.handler.resolve_for_worker(response, &context) {
            Ok(resolution) => resolution,
            Err(error) => {
                let words = format!("stream {}: error handler: {error}", self.stream);
                return Verdict::Fail(FetchError::Misconfigured(words));
            }
        };
        match resolution.action {
            Action::Success if status.is_success() || resolution.matched.is_some() => {
                Verdict::Accept
            }
            Action::Success => {
                Verdict::Fail(FetchError::Rejected(self.words(response, &resolution)))
            }
            Action::Ignore => {
                self.ignored.store(!status.is_success(), Ordering::Relaxed);
                Verdict::Accept
            }
            // Many providers refuse so when they mean "not so fast".
            Action::Fail if resolution.matched.is_none() && status == StatusCode::FORBIDDEN => {
                match hinted_wait(&response.headers, status, self.clock.now()) {
                    Some(wait) => Verdict::Throttle { wait: Some(wait) },
                    None => Verdict::Fail(self.failure(response, &resolution)),
                }
            }
            Action::Fail => Verdict::Fail(self.failure(response, &resolution)),
            // Whoever sent the request replaces the token and repeats it, once.
            Action::Refresh => {
                Verdict::Fail(FetchError::Unauthorized(self.words(response, &resolution)))
            }
            Action::RateLimited => match self.wait(response, &resolution, attempt) {
                Ok(wait) => Verdict::Throttle { wait },
                Err(error) => Verdict::Fail(error),
            },
            Action::Retry if resolution.matched.is_none() && is_final(status) => {
                Verdict::Fail(self.failure(response, &resolution))
            }
            Action::Retry if self.is_last(attempt) => {
                Verdict::Fail(FetchError::Unavailable(self.words(response, &resolution)))
            }
            Action::Retry => match self.wait(response, &resolution, attempt) {
                Ok(wait) => Verdict::Retry {
                    wait,
                    error: FetchError::Unavailable(self.words(response, &resolution)),
                },
                Err(error) => Verdict::Fail(error),
            },
        }
    }

    /// Whether the manifest allows no further try. A count that cannot be read allows what the
    /// connector does.
    fn is_last(&self, attempt: u32) -> bool {
        let limit = self.handler.repetitions(&self.context());
        matches!(limit, Ok(Some(limit)) if i64::from(attempt) > limit)
    }

    /// The manifest's wait. A header that it names and the provider's own hint: the longer one; a
    /// constant of its own only where the provider says nothing.
    fn wait(
        &self,
        response: &Response,
        resolution: &Resolution,
        attempt: u32,
    ) -> Result<Option<Duration>, FetchError> {
        let now = self.clock.now();
        let hint = hinted_wait(&response.headers, response.status, now)
            .or_else(|| wait_in_body(&response.body, now));
        let context = self.context();
        for strategy in self.handler.strategies(resolution) {
            if hint.is_some() && !strategy.is_hint() {
                continue;
            }
            let seconds = strategy.seconds(&response.headers, attempt, now, &context);
            let seconds = seconds.map_err(|why| match why {
                NoWait::TooLong(seconds) => FetchError::RateLimited {
                    retry_after: duration(seconds).unwrap_or_default(),
                },
                NoWait::Template(error) => FetchError::Misconfigured(format!(
                    "stream {}: backoff strategy: {error}",
                    self.stream
                )),
            })?;
            if let Some(wait) = seconds.and_then(duration).filter(|wait| !wait.is_zero()) {
                return Ok(Some(hint.map_or(wait, |hint| hint.max(wait))));
            }
        }
        Ok(hint)
    }

    pub(super) fn failure(&self, response: &Response, resolution: &Resolution) -> FetchError {
        let mut words = self.words(response, resolution);
        // Told apart because a new token mends the one and a permission the other.
        let missing = lacks_scope(response);
        if let Some(missing) = &missing {
            words.push_str(": ");
            words.push_str(missing);
        }
        match self.refusals.about(response, &self.context()) {
            Ok(Some(About::Credentials)) => return FetchError::Unauthorized(words),
            Ok(Some(About::Permission)) => return FetchError::Forbidden(words),
            Ok(None) => {}
            Err(error) => {
                let words = format!("stream {}: refusals: {error}", self.stream);
                return FetchError::Misconfigured(words);
            }
        }
        let status = response.status.as_u16();
        if missing.is_some() && matches!(status, 200..300 | 401) {
            return FetchError::Forbidden(words);
        }
        match status {
            401 => FetchError::Unauthorized(words),
            403 => FetchError::Forbidden(words),
            // An answer that looks like success, and a manifest that knows it is none: what the
            // operator can mend is nearly always the credentials.
            200..300 if resolution.failure_type == Some(FailureType::Config) => {
                self.guessed.store(true, Ordering::Relaxed);
                FetchError::Unauthorized(words)
            }
            500.. => FetchError::Unavailable(words),
            _ => FetchError::Rejected(words),
        }
    }

    /// Stream, address, status, and what manifest and provider say about it.
    pub(super) fn words(&self, response: &Response, resolution: &Resolution) -> String {
        let status = response.status;
        let mut words = format!(
            "stream {}: {} answered {status}",
            self.stream,
            without_query(&response.url)
        );
        let said = provider_message(&response.body, self.secrets);
        let own = resolution
            .message
            .as_deref()
            .map(|text| self.secrets.hide(text));
        for part in [own, Some(said).filter(|said| !said.is_empty())]
            .into_iter()
            .flatten()
        {
            words.push_str(": ");
            words.push_str(&part);
        }
        words
    }
}

/// Refusals that asking again does not change. The reference repeats those it has no rule for.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 408 | 409 | 425 | 429)
}

pub(super) fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

impl Judge for Verdicts<'_> {
    fn judge(&self, answer: Result<&Response, &TransportError>, attempt: u32) -> Verdict {
        match (self.mode, answer) {
            (Mode::Reference, answer) => self.judge_as_the_reference(answer, attempt),
            (Mode::Worker, Ok(response)) => self.judge_response(response, attempt),
            (Mode::Worker, Err(error)) => is_transport(error),
        }
    }
}
