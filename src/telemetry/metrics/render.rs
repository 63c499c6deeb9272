//! What scrapers get: everything recorded, and gauges read from the board when somebody asks.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Unit, counter, describe_counter, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    BUILD_INFO, CIRCUIT_OPEN, CONFIG_RELOAD_FAILED, CONFIG_RELOADS, CONNECTOR_HEALTH,
    CONSECUTIVE_FAILURES,
    Kind::{Counter, Gauge, Histogram},
    LAST_SUCCESS, LEASE_EPOCH, LEASE_HELD, METRICS, NEXT_POLL, OUTPUT_STREAM_LENGTH,
    RATE_PROCESSES, THROTTLED_UNTIL, VERSIONS_TRACKED, WEBHOOK_DEAD, WEBHOOK_OLDEST,
    WEBHOOK_QUEUE_BYTES, WEBHOOK_QUEUE_LENGTH,
};
use crate::registry::{ConnectorRegistry, ConnectorStatus, Health, Phase};
use crate::telemetry::process;

/// How often [`Metrics::upkeep`] should run, so that histograms nobody scrapes do not grow.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(15);

/// Everything recorded so far in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Starts recording. Later calls answer the same handle: a process has one recorder.
    pub fn install() -> Result<Self, BuildError> {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        if let Some(handle) = INSTALLED.get() {
            return Ok(Self(handle.clone()));
        }
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            if let Histogram(buckets) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        match metrics::set_global_recorder(recorder) {
            Ok(()) => {
                describe();
                for outcome in ["applied", "refused"] {
                    counter!(CONFIG_RELOADS, "outcome" => outcome).increment(0);
                }
                Ok(Self(INSTALLED.get_or_init(|| handle).clone()))
            }
            // Somebody else was first; if that was another thread in here, its handle counts.
            Err(_) => Ok(Self(INSTALLED.get().cloned().unwrap_or(handle))),
        }
    }

    /// Folds recorded histogram samples together; call every [`UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// Prometheus text exposition of everything recorded, of the board and of the process.
    pub fn render(&self, registry: &ConnectorRegistry) -> String {
        let mut out = self.0.render();
        render_board(&mut out, registry);
        process::render(&mut out);
        out
    }
}

fn describe() {
    for metric in METRICS {
        let unit = metric.unit.unwrap_or(Unit::Count);
        match metric.kind {
            Counter => describe_counter!(metric.name, unit, metric.help),
            Histogram(_) => describe_histogram!(metric.name, unit, metric.help),
            Gauge => {}
        }
    }
}

/// Appends the gauges.
fn render_board(out: &mut String, registry: &ConnectorRegistry) {
    let mut connectors = registry.all();
    // Of one that is not to run nothing is expected, so no alert shall see it.
    connectors.retain(|status| status.phase != Phase::Stopped);
    for metric in METRICS.iter().filter(|metric| metric.kind == Gauge) {
        let name = metric.name;
        // Writing to a `String` cannot fail.
        let _ = write!(out, "# HELP {name} {}\n# TYPE {name} gauge\n", metric.help);
        match name {
            BUILD_INFO => {
                let _ = writeln!(out, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
            }
            CONFIG_RELOAD_FAILED => {
                let _ = writeln!(
                    out,
                    "{name} {}",
                    u8::from(registry.reload_problem().is_some())
                );
            }
            _ => {
                for status in &connectors {
                    if let Some(value) = gauge(name, status) {
                        let connector = escaped(&status.name);
                        let _ = writeln!(out, "{name}{{connector=\"{connector}\"}} {value}");
                    }
                }
            }
        }
        out.push('\n');
    }
}

fn gauge(name: &str, status: &ConnectorStatus) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53; no count gets there"
    )]
    let count = |value: u64| value as f64;
    match name {
        CONNECTOR_HEALTH => Some(match status.health {
            Health::Healthy => 0.0,
            Health::Degraded => 1.0,
            Health::Unhealthy => 2.0,
        }),
        CIRCUIT_OPEN => Some(count(status.suspended_until.len() as u64)),
        THROTTLED_UNTIL => status.throttled_until.map(unix_seconds),
        RATE_PROCESSES => status.rate_processes.map(f64::from),
        CONSECUTIVE_FAILURES => Some(f64::from(status.consecutive_failures)),
        LEASE_HELD => Some(if status.epoch.is_some() { 1.0 } else { 0.0 }),
        LEASE_EPOCH => status.epoch.map(count),
        VERSIONS_TRACKED => status.versions_tracked.map(count),
        OUTPUT_STREAM_LENGTH => status.output_length.map(count),
        WEBHOOK_QUEUE_LENGTH => status.queue.map(|queue| count(queue.queued)),
        WEBHOOK_QUEUE_BYTES => status.queue.map(|queue| count(queue.bytes)),
        WEBHOOK_OLDEST => status
            .queue
            .and_then(|queue| queue.oldest_time)
            .map(unix_seconds),
        WEBHOOK_DEAD => status.queue.map(|queue| count(queue.dead)),
        LAST_SUCCESS => status.last_success_time.map(unix_seconds),
        NEXT_POLL => status.next_poll_time.map(unix_seconds),
        _ => None,
    }
}

fn unix_seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::client::Observer as _;
    use crate::signal::ChangeKind;
    use crate::telemetry::metrics::{CommitOutcome, ConnectorMetrics, PollOutcome};

    #[test]
    fn every_gauge_is_rendered_for_a_connector_that_has_it() {
        let mut status = ConnectorStatus::new("a", "JIRA");
        status.epoch = Some(7);
        status.versions_tracked = Some(3);
        status.output_length = Some(9);
        status.queue = Some(crate::registry::QueueStatus {
            oldest_time: Some(Timestamp::UNIX_EPOCH),
            ..crate::registry::QueueStatus::default()
        });
        status.last_success_time = Some(Timestamp::UNIX_EPOCH);
        status.throttled_until = Some(Timestamp::UNIX_EPOCH);
        status.rate_processes = Some(3);
        status.next_poll_time = Some(Timestamp::UNIX_EPOCH);
        let registry = ConnectorRegistry::default();
        registry.insert(status);
        let mut out = String::new();
        render_board(&mut out, &registry);
        for metric in METRICS.iter().filter(|metric| metric.kind == Gauge) {
            let shown = out
                .lines()
                .any(|line| line.starts_with(metric.name) && !line.starts_with('#'));
            assert!(shown, "{} is missing from\n{out}", metric.name);
        }
        assert!(out.contains("connector_worker_lease_epoch{connector=\"a\"} 7\n"));
    }

    #[test]
    fn what_was_recorded_is_rendered_with_its_help() {
        let metrics = Metrics::install().unwrap();
        let jira = ConnectorMetrics::new("recorded-here", "jira");
        jira.poll_ended(PollOutcome::Success, Duration::from_millis(300));
        jira.published("issues", ChangeKind::Deleted, 2);
        jira.answered(StatusCode::TOO_MANY_REQUESTS, Duration::from_millis(5), 10);
        for _ in 0..3 {
            jira.throttled(Duration::from_millis(500));
        }
        jira.committed(CommitOutcome::Full, Duration::from_micros(700));
        let text = metrics.render(&ConnectorRegistry::default());
        for line in [
            "# HELP connector_worker_polls_total Polls that ended",
            "connector_worker_polls_total{connector=\"recorded-here\",outcome=\"success\"} 1",
            "connector_worker_poll_duration_seconds_bucket{connector=\"recorded-here\",le=\"0.5\"} 1",
            "connector_worker_deletions_total{connector=\"recorded-here\",stream=\"issues\"} 2",
            "connector_worker_http_requests_total{connector=\"recorded-here\",provider=\"jira\",status=\"4xx\"} 1",
            "connector_worker_throttled_seconds_total{connector=\"recorded-here\",provider=\"jira\"} 2",
            "connector_worker_output_stream_full_total{connector=\"recorded-here\"} 1",
            "connector_worker_config_reload_failed 0",
            "connector_worker_connector_restarts_total{connector=\"recorded-here\"} 0",
        ] {
            assert!(text.contains(line), "{line}\nis missing from\n{text}");
        }
    }
}
