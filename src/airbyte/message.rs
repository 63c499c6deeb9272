//! The messages of the protocol, one JSON object a line.

use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::{Failure, FailureType};
use crate::clock::Clock;
use crate::json::Value;

/// A message. Records have a [path of their own](super::output::Output::record): there are many.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Message {
    Spec {
        spec: Spec,
    },
    #[serde(rename_all = "camelCase")]
    ConnectionStatus {
        connection_status: ConnectionStatus,
    },
    Catalog {
        catalog: Catalog,
    },
    State {
        state: State,
    },
    Trace {
        trace: Trace,
    },
    Log {
        log: Log,
    },
    Control {
        control: Control,
    },
}

/// A configuration that replaces the one that was given.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "CONNECTOR_CONFIG")]
pub(super) struct Control {
    emitted_at: f64,
    #[serde(rename = "connectorConfig")]
    connector_config: ConnectorConfig,
}

#[derive(Debug, Serialize)]
struct ConnectorConfig {
    config: Box<RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) documentation_url: Option<String>,
    pub(super) connection_specification: serde_json::Value,
}

#[derive(Debug, Serialize)]
pub(super) struct ConnectionStatus {
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Succeeded,
    Failed,
}

#[derive(Debug, Serialize)]
pub(super) struct Catalog {
    pub(super) streams: Vec<Stream>,
}

/// A stream in a catalog.
#[derive(Debug, Serialize)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) json_schema: Box<RawValue>,
    pub(super) supported_sync_modes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_defined_cursor: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default_cursor_field: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_defined_primary_key: Option<Vec<Vec<String>>>,
    pub(super) is_resumable: bool,
    pub(super) is_file_based: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct State {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) stream: StreamState,
    #[serde(rename = "sourceStats")]
    pub(super) source_stats: SourceStats,
}

#[derive(Debug, Serialize)]
pub(super) struct StreamState {
    pub(super) stream_descriptor: Descriptor,
    pub(super) stream_state: Box<RawValue>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Descriptor {
    pub(super) name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceStats {
    /// Records since the stream's last state; a float in the protocol.
    pub(super) record_count: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Trace {
    /// Milliseconds since 1970.
    emitted_at: f64,
    #[serde(flatten)]
    about: About,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum About {
    Error { error: TracedError },
    StreamStatus { stream_status: StreamStatus },
}

#[derive(Debug, Serialize)]
struct TracedError {
    message: String,
    internal_message: String,
    failure_type: FailureType,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_descriptor: Option<Descriptor>,
}

#[derive(Debug, Serialize)]
struct StreamStatus {
    stream_descriptor: Descriptor,
    status: Progress,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

/// Why a stream is where it is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Reason {
    /// The provider limits requests, and the source waits.
    RateLimited,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Progress {
    Started,
    /// Its first record was read.
    Running,
    Complete,
    Incomplete,
}

#[derive(Debug, Serialize)]
pub(super) struct Log {
    level: Level,
    message: String,
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Level {
    Warn,
    Info,
}

impl Message {
    /// A failure of the command, or of one stream.
    pub(super) fn error(failure: &Failure, stream: Option<&str>, clock: Clock) -> Self {
        Self::trace(
            clock,
            About::Error {
                error: TracedError {
                    message: failure.words.clone(),
                    internal_message: failure.words.clone(),
                    failure_type: failure.kind,
                    stream_descriptor: stream.map(Descriptor::of),
                },
            },
        )
    }

    pub(super) fn status(stream: &str, status: Progress, clock: Clock) -> Self {
        Self::status_because(stream, status, Vec::new(), clock)
    }

    /// The provider limits the requests of a stream.
    pub(super) fn limited(stream: &str, clock: Clock) -> Self {
        Self::status_because(stream, Progress::Running, vec![Reason::RateLimited], clock)
    }

    fn status_because(stream: &str, status: Progress, reasons: Vec<Reason>, clock: Clock) -> Self {
        let stream_descriptor = Descriptor::of(stream);
        Self::trace(
            clock,
            About::StreamStatus {
                stream_status: StreamStatus {
                    stream_descriptor,
                    status,
                    reasons,
                },
            },
        )
    }

    fn trace(clock: Clock, about: About) -> Self {
        let emitted_at = now(clock);
        Self::Trace {
            trace: Trace { emitted_at, about },
        }
    }

    /// The configuration has changed: a token in it was replaced.
    pub(super) fn control(config: &Value, clock: Clock) -> Self {
        let mut config = config.clone();
        if let Value::Object(map) = &mut config {
            // As in every message of the reference.
            map.retain(|_, value| *value != Value::Null);
        }
        Self::Control {
            control: Control {
                emitted_at: now(clock),
                connector_config: ConnectorConfig {
                    config: raw(&config),
                },
            },
        }
    }

    pub(super) fn log(level: Level, message: impl Into<String>) -> Self {
        Self::Log {
            log: Log {
                level,
                message: message.into(),
            },
        }
    }
}

/// Milliseconds since 1970; a float in the protocol.
fn now(clock: Clock) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this age fit a float"
    )]
    let millis = clock.now().as_millisecond() as f64;
    millis
}

impl Descriptor {
    pub(super) fn of(stream: &str) -> Self {
        Self {
            name: stream.to_owned(),
        }
    }
}

/// A value as it is written, its numbers as they are.
pub(super) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap_or_default()
}
