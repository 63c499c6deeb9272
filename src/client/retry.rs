//! Whether to repeat a request, and how long to wait before. Jitter only ever adds: no wait is shorter than what the
//! provider asked for.

use std::time::Duration;

use http::Method;

use super::{Response, TransportError};
use crate::connector::RetryConfig;

/// Whether a request may be sent again after this answer, or none.
///
/// What a stream asks is a question, whatever its method: searches and GraphQL are POSTs. `PUT`,
/// `PATCH` and `DELETE` change something, and are repeated only where the server certainly did not
/// see them. Token endpoints have rules of their own, which their judge knows.
pub(super) fn may_repeat(method: &Method, answer: Result<&Response, &TransportError>) -> bool {
    let changes = matches!(*method, Method::PUT | Method::PATCH | Method::DELETE);
    !changes || answer.is_err_and(|error| error.kind.is_unsent())
}

/// The client's own wait after `failures` failures in a row, the first being 1. `random` is above 0
/// and at most 1.
pub(super) fn backoff(config: &RetryConfig, failures: u32, random: f64) -> Duration {
    let factor = 2u32.saturating_pow(failures.saturating_sub(1));
    let delay = config
        .base_delay
        .saturating_mul(factor)
        .min(config.max_delay);
    delay + jitter(config, delay, random)
}

/// The wait that somebody asked for, with jitter on top so that many workers do not come back at
/// the same instant. The share is taken of at most `max_delay`: an hour needs no minutes of jitter.
pub(super) fn hinted(config: &RetryConfig, hint: Duration, random: f64) -> Duration {
    hint + jitter(config, hint.min(config.max_delay), random)
}

fn jitter(config: &RetryConfig, of: Duration, random: f64) -> Duration {
    // Out-of-range settings are refused by validation; a NaN must not panic here all the same.
    let share = (config.jitter_ratio * random).clamp(0.0, 1.0);
    if share.is_nan() {
        Duration::ZERO
    } else {
        of.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RetryConfig = RetryConfig {
        base_delay: Duration::from_millis(100),
        max_delay: Duration::from_secs(1),
        jitter_ratio: 0.5,
    };

    #[test]
    fn waits_double_up_to_the_longest() {
        for (failures, millis) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1000),
            (99, 1000),
        ] {
            assert_eq!(
                backoff(&CONFIG, failures, 0.0),
                Duration::from_millis(millis)
            );
        }
    }

    #[test]
    fn only_what_changes_nothing_is_repeated_blindly() {
        use crate::client::TransportKind::{Connect, Lost, Timeout};
        let failure = |kind| TransportError {
            kind,
            message: String::new(),
        };
        for (method, kind, may) in [
            (Method::GET, Lost, true),
            (Method::POST, Timeout, true),
            (Method::PUT, Connect, true),
            (Method::PUT, Lost, false),
            (Method::PATCH, Timeout, false),
            (Method::DELETE, Timeout, false),
        ] {
            assert_eq!(
                may_repeat(&method, Err(&failure(kind))),
                may,
                "{method} {kind:?}"
            );
        }
    }

    #[test]
    fn jitter_only_adds() {
        assert_eq!(backoff(&CONFIG, 1, 0.999).as_millis(), 149);
        for random in [0.0, 0.3, 0.999] {
            let hint = Duration::from_secs(30);
            let wait = hinted(&CONFIG, hint, random);
            assert!(
                wait >= hint && wait <= hint + Duration::from_millis(500),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn a_ratio_that_is_no_number_adds_nothing() {
        let config = RetryConfig {
            jitter_ratio: f64::NAN,
            ..CONFIG
        };
        assert_eq!(backoff(&config, 1, 0.5), CONFIG.base_delay);
    }
}
