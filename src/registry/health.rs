//! Whether a connector makes progress: one pure function from what its loop wrote.
//!
//! Health means progress, not "the task exists": a loop that runs but gets nothing done is ill.

use std::time::Duration;

use jiff::Timestamp;

use super::status::{ConnectorStatus, Health, Phase};

/// Failures in a row from which on it is no longer a hiccup.
const FAILURES_UNTIL_UNHEALTHY: u32 = 3;

/// A failing connector without success for this many intervals is unhealthy, however few the
/// failures.
const INTERVALS_UNTIL_UNHEALTHY: u32 = 3;

/// The least time the rule above waits, so that a fast connector's hiccup stays a hiccup.
const LEAST_PATIENCE: Duration = Duration::from_mins(5);

/// Health at `now`, and why, one sentence each.
pub fn assess(status: &ConnectorStatus, now: Timestamp) -> (Health, Vec<String>) {
    let mut findings = Findings::default();
    if status.phase == Phase::Stopped {
        return (Health::Healthy, Vec::new());
    }
    if status.is_stalled(now) {
        findings.unhealthy("its loop has shown no sign of life past its deadline".to_owned());
    }
    let too_long = no_progress_for_long(status, now);
    phase_findings(status, too_long, &mut findings);
    for (server, until) in &status.suspended_until {
        findings.degraded(if *until > now {
            format!("{server} failed again and again; it is left alone until {until:.0}")
        } else {
            format!("{server} failed again and again; the next request tells whether it is back")
        });
    }
    failure_findings(status, too_long, &mut findings);
    (findings.worst, findings.reasons)
}

/// Whether the last success, or the start before it, is longer ago than a hiccup lasts.
fn no_progress_for_long(status: &ConnectorStatus, now: Timestamp) -> bool {
    let last_progress = status.last_success_time.unwrap_or(status.started_time);
    let patience = Duration::from_millis(status.poll_interval_ms)
        .saturating_mul(INTERVALS_UNTIL_UNHEALTHY)
        .max(LEAST_PATIENCE);
    // A clock that was set back makes this negative, which is no sign of illness.
    Duration::try_from(now.duration_since(last_progress)).is_ok_and(|waited| waited > patience)
}

fn phase_findings(status: &ConnectorStatus, too_long: bool, findings: &mut Findings) {
    let last_error = status.last_error.as_deref();
    match status.phase {
        Phase::Parked => findings.unhealthy(format!(
            "parked until its credentials or configuration are mended: {}",
            last_error.unwrap_or("refused")
        )),
        Phase::BackPressure => findings
            .degraded("the output stream is full and its consumers have not read it".to_owned()),
        Phase::Throttled => findings.degraded(match status.throttled_until {
            Some(until) => format!("the provider asked to wait until {until:.0}"),
            None => "the provider asked to wait".to_owned(),
        }),
        Phase::Starting => {
            // The store cannot be reached, or the source cannot be built.
            if let Some(error) = last_error {
                let health = if too_long {
                    Health::Unhealthy
                } else {
                    Health::Degraded
                };
                findings.add(health, format!("cannot start: {error}"));
            }
        }
        Phase::Standby | Phase::Polling | Phase::Waiting | Phase::Stopped => {}
    }
}

fn failure_findings(status: &ConnectorStatus, too_long: bool, findings: &mut Findings) {
    // A parked connector has said so already.
    if status.phase == Phase::Parked {
        return;
    }
    if status.is_partial() || status.consecutive_failures == 0 {
        for (stream, reason) in &status.failing_streams {
            findings.degraded(format!("stream {stream} cannot be read: {reason}"));
        }
        return;
    }
    let times = match status.consecutive_failures {
        1 => "the last poll failed".to_owned(),
        count => format!("the last {count} polls failed"),
    };
    let reason = match &status.last_error {
        Some(error) => format!("{times}: {error}"),
        None => times,
    };
    if status.consecutive_failures >= FAILURES_UNTIL_UNHEALTHY || too_long {
        findings.unhealthy(reason);
    } else {
        findings.degraded(reason);
    }
}

#[derive(Default)]
struct Findings {
    worst: Health,
    reasons: Vec<String>,
}

impl Findings {
    fn degraded(&mut self, reason: String) {
        self.add(Health::Degraded, reason);
    }

    fn unhealthy(&mut self, reason: String) {
        self.add(Health::Unhealthy, reason);
    }

    fn add(&mut self, health: Health, reason: String) {
        self.worst = self.worst.max(health);
        self.reasons.push(reason);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn now() -> Timestamp {
        "2026-02-24T10:30:00Z".parse().unwrap()
    }

    fn seconds_ago(seconds: i64) -> Timestamp {
        now() - SignedDuration::from_secs(seconds)
    }

    fn status(change: impl FnOnce(&mut ConnectorStatus)) -> ConnectorStatus {
        let mut status = ConnectorStatus::new("github", "GITHUB");
        status.started_time = seconds_ago(3600);
        status.last_success_time = Some(seconds_ago(10));
        status.poll_interval_ms = 60_000;
        status.phase = Phase::Waiting;
        change(&mut status);
        status
    }

    fn health(change: impl FnOnce(&mut ConnectorStatus)) -> Health {
        assess(&status(change), now()).0
    }

    #[test]
    fn progress_is_healthy() {
        assert_eq!(health(|_| ()), Health::Healthy);
        assert_eq!(health(|s| s.phase = Phase::Standby), Health::Healthy);
        assert_eq!(health(|s| s.phase = Phase::Starting), Health::Healthy);
        assert_eq!(
            health(|s| s.deadline = Some(now() + SignedDuration::from_secs(1))),
            Health::Healthy
        );
    }

    #[test]
    fn working_in_part_is_degraded() {
        for phase in [Phase::Throttled, Phase::BackPressure] {
            assert_eq!(health(|s| s.phase = phase), Health::Degraded);
        }
        assert_eq!(health(|s| s.consecutive_failures = 2), Health::Degraded);
        let one_stream = |s: &mut ConnectorStatus| {
            s.streams = 2;
            s.consecutive_failures = 9;
            s.failing_streams
                .insert("pulls".to_owned(), "permission refused".to_owned());
        };
        assert_eq!(health(one_stream), Health::Degraded);
        assert_eq!(
            assess(&status(one_stream), now()).1,
            ["stream pulls cannot be read: permission refused"]
        );
    }

    #[test]
    fn no_progress_is_unhealthy() {
        assert_eq!(health(|s| s.phase = Phase::Parked), Health::Unhealthy);
        assert_eq!(health(|s| s.consecutive_failures = 3), Health::Unhealthy);
        assert_eq!(
            health(|s| s.deadline = Some(seconds_ago(1))),
            Health::Unhealthy
        );
        let failing_for_long = |s: &mut ConnectorStatus| {
            s.consecutive_failures = 1;
            s.last_success_time = None;
        };
        assert_eq!(health(failing_for_long), Health::Unhealthy);
        let without_store = |s: &mut ConnectorStatus| {
            s.phase = Phase::Starting;
            s.last_error = Some("cannot reach the store".to_owned());
        };
        assert_eq!(health(without_store), Health::Degraded);
        let without_store_for_long = |s: &mut ConnectorStatus| {
            without_store(s);
            s.last_success_time = Some(seconds_ago(400));
        };
        assert_eq!(health(without_store_for_long), Health::Unhealthy);
    }

    #[test]
    fn a_slow_connector_has_more_patience() {
        let change = |s: &mut ConnectorStatus| {
            s.poll_interval_ms = 3_600_000;
            s.last_success_time = Some(seconds_ago(3600));
            s.consecutive_failures = 1;
        };
        assert_eq!(health(change), Health::Degraded);
    }

    #[test]
    fn a_stopped_connector_is_nobodys_concern() {
        let change = |s: &mut ConnectorStatus| {
            s.phase = Phase::Stopped;
            s.consecutive_failures = 9;
            s.deadline = Some(seconds_ago(100));
        };
        assert_eq!(health(change), Health::Healthy);
    }

    #[test]
    fn a_reason_names_the_error_once() {
        let parked = status(|s| {
            s.phase = Phase::Parked;
            s.consecutive_failures = 5;
            s.last_error = Some("credentials refused: 401".to_owned());
        });
        assert_eq!(
            assess(&parked, now()).1,
            ["parked until its credentials or configuration are mended: credentials refused: 401"]
        );
    }
}
