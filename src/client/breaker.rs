//! A circuit breaker per server: one that fails again and again is left alone for a while.
//!
//! Only failures of the server count (5xx, no answer in time, no connection); a refusal is an
//! answer. When the pause is over one request goes ahead as a probe. It closes the circuit, or
//! the next pause is twice as long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Response, TransportError, TransportKind};

/// Failures in a row that open the circuit. Fewer than two requests with their repetitions.
const FAILURES: u32 = 5;
/// First and longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// Servers told apart; a connector asks a handful.
const MAX_SERVERS: usize = 64;

/// The circuits of one connector, by server.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<HashMap<String, Circuit>>);

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    open_until: Option<Instant>,
    /// A request went ahead to see whether the server is back.
    probing: bool,
}

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// As usual, or as the probe.
    Pass,
    /// Not before this wait is over.
    Closed(Duration),
}

/// What an answer did to the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that anybody needs to know.
    None,
    /// Open for so long.
    Opened(Duration),
    /// The server is back.
    Closed,
}

impl Breaker {
    /// Asks whether a request to `server` may go.
    pub(super) fn enter(&self, server: &str, now: Instant) -> Gate {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(circuit) = circuits.get_mut(server) else {
            return Gate::Pass;
        };
        match circuit.open_until {
            None => Gate::Pass,
            Some(until) if now < until => Gate::Closed(until - now),
            Some(_) if circuit.probing => Gate::Closed(PAUSE.0),
            Some(_) => {
                circuit.probing = true;
                Gate::Pass
            }
        }
    }

    /// Whether some server's pause is over, so that a probe would tell.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circuits
            .values()
            .any(|circuit| circuit.open_until.is_some_and(|until| now >= until))
    }

    /// Notes how `server` answered. `cap` bounds every pause.
    pub(super) fn note(
        &self,
        server: &str,
        failed: bool,
        now: Instant,
        cap: Option<Duration>,
    ) -> Change {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed {
            return match circuits.remove(server) {
                Some(circuit) if circuit.open_until.is_some() => Change::Closed,
                _ => Change::None,
            };
        }
        if circuits.len() >= MAX_SERVERS && !circuits.contains_key(server) {
            return Change::None;
        }
        let circuit = circuits.entry(server.to_owned()).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        let was_probe = std::mem::take(&mut circuit.probing);
        let opens = if circuit.open_until.is_some() {
            was_probe
        } else {
            circuit.failures >= FAILURES
        };
        if !opens {
            return Change::None;
        }
        let factor = 2u32.saturating_pow(circuit.pauses);
        let pause = PAUSE.0.saturating_mul(factor).min(PAUSE.1);
        let pause = cap.map_or(pause, |cap| pause.min(cap));
        circuit.pauses = circuit.pauses.saturating_add(1);
        circuit.open_until = Some(now + pause);
        Change::Opened(pause)
    }

    /// A probe was given up before it was answered.
    pub(super) fn abandon(&self, server: &str) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(circuit) = circuits.get_mut(server) {
            circuit.probing = false;
        }
    }
}

/// Whether the server failed. What it refuses, and what we refuse, is no failure of it.
pub(super) fn is_failure(answer: Result<&Response, &TransportError>) -> bool {
    use TransportKind::{Connect, Dns, Refused, Timeout, Tls, TooLarge, Truncated};
    match answer {
        Ok(response) => response.status.is_server_error(),
        Err(error) => match error.kind {
            Dns | Connect | Timeout => true,
            Tls | Truncated | TooLarge | Refused => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_a_probe() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        let note = |failed, now| breaker.note("a", failed, now, None);
        for _ in 0..FAILURES - 1 {
            assert_eq!(note(true, now), Change::None);
        }
        assert_eq!(
            note(false, now),
            Change::None,
            "one answer and it counts anew"
        );
        for _ in 0..FAILURES - 1 {
            assert_eq!(note(true, now), Change::None);
            assert_eq!(breaker.enter("a", now), Gate::Pass);
        }
        assert_eq!(note(true, now), Change::Opened(PAUSE.0));
        assert_eq!(breaker.enter("a", now), Gate::Closed(PAUSE.0));
        assert_eq!(breaker.enter("b", now), Gate::Pass, "another server");
        assert!(!breaker.is_due(now));
        now += PAUSE.0;
        assert!(breaker.is_due(now));
        assert_eq!(breaker.enter("a", now), Gate::Pass, "the probe");
        assert!(
            matches!(breaker.enter("a", now), Gate::Closed(_)),
            "one probe is enough"
        );
        assert_eq!(note(true, now), Change::Opened(PAUSE.0 * 2));
        now += PAUSE.0 * 2;
        assert_eq!(breaker.enter("a", now), Gate::Pass);
        breaker.abandon("a");
        assert_eq!(
            breaker.enter("a", now),
            Gate::Pass,
            "nobody waits for a probe that was dropped"
        );
        assert_eq!(note(false, now), Change::Closed);
        assert_eq!(breaker.enter("a", now), Gate::Pass);
    }

    #[test]
    fn pauses_are_bounded() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        let mut pause = Duration::ZERO;
        for _ in 0..100 {
            now += pause;
            breaker.enter("a", now);
            if let Change::Opened(next) = breaker.note("a", true, now, None) {
                pause = next;
            }
        }
        assert_eq!(pause, PAUSE.1);
    }
}
