//! A circuit breaker per server and credential: a server that fails again and again is left alone
//! for a while.
//!
//! Only failures of the server count (5xx, no answer in time, no connection); a refusal is an
//! answer. When the pause is over one request goes ahead as a probe. It closes the circuit, or
//! the next pause is twice as long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Response, TransportError, TransportKind};

/// Failures in a row that open the circuit. Fewer than two requests with their repetitions.
const FAILURES: u32 = 5;
/// First and longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// The circuit of one server and credential.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<Circuit>);

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
    /// As usual.
    Pass,
    /// As the probe: how it ends decides, see [`Breaker::note`] and [`Breaker::abandon`].
    Probe,
    /// Not before this wait is over.
    Closed {
        /// From now.
        wait: Duration,
        /// When the pause ends, or ended if a probe is on its way.
        until: Instant,
    },
}

impl Breaker {
    /// Asks whether a request may go.
    pub(super) fn enter(&self, now: Instant) -> Gate {
        let mut circuit = self.circuit();
        match circuit.open_until {
            None => Gate::Pass,
            Some(until) if now < until => Gate::Closed {
                wait: until - now,
                until,
            },
            Some(until) if circuit.probing => Gate::Closed {
                wait: PAUSE.0,
                until,
            },
            Some(_) => {
                circuit.probing = true;
                Gate::Probe
            }
        }
    }

    /// Whether the pause is over, so that a probe would tell.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.circuit().open_until.is_some_and(|until| now >= until)
    }

    /// Whether the server is left alone, or a probe is on its way.
    pub(super) fn is_open(&self) -> bool {
        self.circuit().open_until.is_some()
    }

    /// Notes how the server answered; how long it is left alone, if that is news. `adjust` has the
    /// last word on a pause.
    pub(super) fn note(
        &self,
        failed: bool,
        is_probe: bool,
        now: Instant,
        adjust: impl FnOnce(Duration) -> Duration,
    ) -> Option<Duration> {
        let mut circuit = self.circuit();
        // While the circuit is open the probe alone decides: what was on its way when it opened
        // tells of the time before.
        if circuit.open_until.is_some() && !is_probe {
            return None;
        }
        if !failed {
            *circuit = Circuit::default();
            return None;
        }
        circuit.failures = circuit.failures.saturating_add(1);
        circuit.probing = false;
        if !is_probe && circuit.failures < FAILURES {
            return None;
        }
        let factor = 2u32.saturating_pow(circuit.pauses);
        let pause = adjust(PAUSE.0.saturating_mul(factor).min(PAUSE.1));
        circuit.pauses = circuit.pauses.saturating_add(1);
        circuit.open_until = Some(now + pause);
        Some(pause)
    }

    /// The probe was given up before it was answered.
    pub(super) fn abandon(&self) {
        self.circuit().probing = false;
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server failed. What it refuses, and what we refuse, is no failure of it.
pub(super) fn is_failure(answer: Result<&Response, &TransportError>) -> bool {
    use TransportKind::{Connect, Dns, Lost, Refused, Timeout, Tls, TooLarge, Truncated};
    match answer {
        Ok(response) => response.status.is_server_error(),
        Err(error) => match error.kind {
            Dns | Connect | Lost | Timeout => true,
            Tls | Truncated | TooLarge | Refused => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(gate: Gate) -> bool {
        matches!(gate, Gate::Closed { .. })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_a_probe() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        let note = |failed, now| breaker.note(failed, false, now, |pause| pause);
        let probed = |failed, now| breaker.note(failed, true, now, |pause| pause);
        for _ in 0..FAILURES - 1 {
            assert_eq!(note(true, now), None);
        }
        assert_eq!(note(false, now), None, "one answer and it counts anew");
        for _ in 0..FAILURES - 1 {
            assert_eq!(note(true, now), None);
            assert_eq!(breaker.enter(now), Gate::Pass);
        }
        assert_eq!(note(true, now), Some(PAUSE.0));
        let (wait, until) = (PAUSE.0, now + PAUSE.0);
        assert_eq!(breaker.enter(now), Gate::Closed { wait, until });
        assert!(!breaker.is_due(now));
        now += PAUSE.0;
        assert!(breaker.is_due(now));
        assert_eq!(breaker.enter(now), Gate::Probe);
        assert!(is_closed(breaker.enter(now)), "one probe is enough");
        assert_eq!(probed(true, now), Some(PAUSE.0 * 2));
        now += PAUSE.0 * 2;
        assert_eq!(breaker.enter(now), Gate::Probe);
        breaker.abandon();
        assert_eq!(
            breaker.enter(now),
            Gate::Probe,
            "nobody waits for a probe that was dropped"
        );
        assert_eq!(probed(false, now), None);
        assert_eq!(breaker.enter(now), Gate::Pass);
        assert!(!breaker.is_due(now));
    }

    #[test]
    fn what_was_on_its_way_when_the_circuit_opened_decides_nothing() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 0..FAILURES {
            breaker.note(true, false, now, |pause| pause);
        }
        now += PAUSE.0;
        assert_eq!(breaker.enter(now), Gate::Probe);
        for failed in [true, false] {
            assert_eq!(breaker.note(failed, false, now, |pause| pause), None);
            assert!(is_closed(breaker.enter(now)), "the probe is on its way yet");
        }
        assert_eq!(
            breaker.note(true, true, now, |pause| pause),
            Some(PAUSE.0 * 2)
        );
    }

    #[test]
    fn pauses_are_bounded() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        let mut pause = Duration::ZERO;
        for _ in 0..100 {
            now += pause;
            let is_probe = breaker.enter(now) == Gate::Probe;
            if let Some(next) = breaker.note(true, is_probe, now, |pause| pause) {
                pause = next;
            }
        }
        assert_eq!(pause, PAUSE.1);
    }
}
