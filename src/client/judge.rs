//! What an answer means where nobody says otherwise: the reading HTTP itself suggests.

use http::StatusCode;
use jiff::Timestamp;

use super::failure::server;
use super::wait::hinted_wait;
use super::{FetchError, Judge, Response, TransportError, TransportKind, Verdict};
use crate::clock::Clock;

/// Success and 304 are accepted; 429, and a 403 that says when to come back, are waits; 5xx, 408
/// and failures of the network are repeated; the rest is final.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpJudge {
    /// Against which dates in headers are measured.
    pub clock: Clock,
}

impl Judge for HttpJudge {
    fn judge(&self, answer: Result<&Response, &TransportError>, _attempt: u32) -> Verdict {
        match answer {
            Ok(response) => judge_response(response, self.clock.now()),
            Err(error) => judge_transport(error),
        }
    }
}

/// The verdict of [`HttpJudge`] on an answer.
pub fn judge_response(response: &Response, now: Timestamp) -> Verdict {
    let status = response.status;
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Verdict::Accept;
    }
    let wait = hinted_wait(&response.headers, status, now);
    let words = format!("{} answered {status}", server(&response.url));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Verdict::Throttle { wait },
        StatusCode::FORBIDDEN if wait.is_some() => Verdict::Throttle { wait },
        StatusCode::UNAUTHORIZED => Verdict::Fail(FetchError::Unauthorized(words)),
        StatusCode::FORBIDDEN => Verdict::Fail(FetchError::Forbidden(words)),
        StatusCode::REQUEST_TIMEOUT => retry(wait, words),
        _ if status.is_server_error() => retry(wait, words),
        _ => Verdict::Fail(FetchError::Rejected(words)),
    }
}

/// The verdict of [`HttpJudge`] on there being no answer.
pub fn judge_transport(error: &TransportError) -> Verdict {
    use TransportKind::{Connect, Dns, Lost, Refused, Timeout, Tls, TooLarge, Truncated};
    let error_kind = error.kind;
    let error = FetchError::from(error.clone());
    match error_kind {
        Dns | Connect | Lost | Timeout | Truncated => Verdict::Retry { wait: None, error },
        // Asking again changes neither a certificate, nor a size, nor a policy.
        Tls | TooLarge | Refused => Verdict::Fail(error),
    }
}

fn retry(wait: Option<std::time::Duration>, words: String) -> Verdict {
    Verdict::Retry {
        wait,
        error: FetchError::Unavailable(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, retry_after: Option<&str>) -> String {
        let response = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: retry_after
                .map(|value| (http::header::RETRY_AFTER, value.parse().unwrap()))
                .into_iter()
                .collect(),
            body: bytes::Bytes::new(),
            url: "https://api.test/x?token=secret".parse().unwrap(),
        };
        let text = format!("{:?}", judge_response(&response, Timestamp::UNIX_EPOCH));
        assert!(!text.contains("secret"), "{text}");
        text
    }

    #[test]
    fn status_codes_have_their_usual_meaning() {
        for (status, retry_after, expected) in [
            (200, None, "Accept"),
            (204, None, "Accept"),
            (304, None, "Accept"),
            (400, None, "Fail(Rejected("),
            (401, Some("5"), "Fail(Unauthorized("),
            (403, None, "Fail(Forbidden("),
            (403, Some("5"), "Throttle { wait: Some(5s) }"),
            (404, None, "Fail(Rejected("),
            (408, None, "Retry { wait: None"),
            (429, None, "Throttle { wait: None }"),
            (429, Some("0"), "Throttle { wait: Some(0ns) }"),
            (500, None, "Retry { wait: None"),
            (503, Some("2"), "Retry { wait: Some(2s)"),
            (302, None, "Fail(Rejected("),
        ] {
            let verdict = verdict(status, retry_after);
            assert!(verdict.starts_with(expected), "{status}: {verdict}");
        }
    }
}
