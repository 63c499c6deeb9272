//! Logs and metrics.
//!
//! Logs go to stderr, because stdout belongs to a command's data: JSON lines when a machine reads
//! them, plain lines on a terminal. Every line passes through [`redact`] before it is written.
//! Fields keep one name everywhere: `connector.id`, `provider`, `stream`, `epoch`, `duration_ms`,
//! `error`.

pub mod metrics;
mod process;
pub mod redact;

use std::fmt::Display;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub use redact::{KeptOut, PassingSecret, redacted, register_secret};

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// How log lines look (`--log-format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// `pretty` on a terminal, `json` elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// One line for people, in colour unless `NO_COLOR` is set.
    Pretty,
}

/// What [`init`] needs to know.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// `--log-format`.
    pub format: LogFormat,
    /// `RUST_LOG`, as given; `None` or empty: `info`.
    pub filter: Option<String>,
    /// Whether `NO_COLOR` is set to anything but the empty string.
    pub no_color: bool,
}

/// Starts logging to stderr, and logs panics as events instead of loose text.
///
/// A process that already has a subscriber keeps it (tests start several workers in one process).
pub fn init(options: &LogOptions) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, complaint) = filter(options.filter.as_deref());
    let layer = layer(options, terminal, redact::Stderr).with_filter(filter);
    if tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_err()
    {
        return;
    }
    std::panic::set_hook(Box::new(log_panic));
    if let Some(complaint) = complaint {
        tracing::warn!(
            error = complaint,
            "RUST_LOG cannot be read and is ignored; logging at {DEFAULT_FILTER}"
        );
    }
}

/// The filter, and what was wrong with the text if it could not be used.
fn filter(text: Option<&str>) -> (EnvFilter, Option<String>) {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => (EnvFilter::new(DEFAULT_FILTER), None),
        Some(text) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(error.to_string())),
        },
    }
}

fn layer<W>(
    options: &LogOptions,
    terminal: bool,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = match options.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    if json {
        layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed()
    } else {
        layer
            .with_target(false)
            .with_ansi(terminal && !options.no_color)
            .boxed()
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(tracing::field::display);
    tracing::error!(
        error = panic_text(info.payload()),
        location = location.as_ref().map(|at| at as &dyn tracing::Value),
        "a task panicked"
    );
}

/// The message a panic carried, for logs.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// An error with all its causes on one line, for the `error` field of an event.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> impl Display {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Libraries often repeat their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(options: &LogOptions, terminal: bool, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::registry().with(layer(options, terminal, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, act);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn options(format: LogFormat) -> LogOptions {
        LogOptions {
            format,
            ..LogOptions::default()
        }
    }

    #[test]
    fn off_a_terminal_each_event_is_one_json_object_with_fields_at_the_top() {
        let text = logged(&options(LogFormat::Auto), false, || {
            tracing::info!(connector.id = "github", duration_ms = 5, "poll done");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "poll done");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["connector.id"], "github");
        assert_eq!(line["duration_ms"], 5);
    }

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        let event = || tracing::warn!("careful");
        let escape = '\u{1b}';
        let on_terminal = logged(&options(LogFormat::Auto), true, event);
        assert!(on_terminal.contains(escape), "{on_terminal}");
        let piped = logged(&options(LogFormat::Pretty), false, event);
        assert!(!piped.contains(escape), "{piped}");
        let objected = LogOptions {
            no_color: true,
            ..options(LogFormat::Auto)
        };
        let plain = logged(&objected, true, event);
        assert!(!plain.contains(escape), "{plain}");
        assert!(plain.contains("careful"));
    }

    #[test]
    fn an_unusable_filter_is_reported_and_replaced() {
        let (used, complaint) = filter(Some("info=no=level"));
        assert_eq!(used.to_string(), DEFAULT_FILTER);
        assert!(complaint.is_some());
        assert!(filter(Some("  ")).1.is_none());
        assert_eq!(filter(Some("debug")).0.to_string(), "debug");
    }

    #[test]
    fn a_chain_names_each_cause_once() {
        let cause = std::io::Error::other("connection refused");
        let error = crate::store::StoreError::Unavailable {
            address: "redis://localhost".to_owned(),
            cause: Box::new(cause),
        };
        assert_eq!(
            chain(&error).to_string(),
            "cannot reach the store at redis://localhost: connection refused"
        );
    }
}
