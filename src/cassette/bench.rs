//! A connector over memory, polled as often as a cassette says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::script::Script;
use crate::client::{Client, ClientConfig};
use crate::clock::Clock;
use crate::config::{LoadOptions, load_tree};
use crate::connector::ConnectorConfig;
use crate::document::{Entry, Kind, Node, Problem};
use crate::pipeline::{Pipeline, Session};
use crate::registry::{ConnectorRegistry, ConnectorStatus};
use crate::source::Source;
use crate::source::manifest::catalog::{Catalog, Manifest};
use crate::source::manifest::{ManifestSource, Mode};
use crate::store::{Acquired, MemoryStore, Owner, Store};
use crate::telemetry::metrics::ConnectorMetrics;

/// Name of the connector.
const NAME: &str = "cassette";
/// Longest wait before a request is repeated: the answers are there already.
const MAX_BACKOFF: Duration = Duration::from_millis(5);
/// Signals of one poll.
const MAX_SIGNALS: usize = 1_000_000;

pub(super) struct Bench {
    pipeline: Pipeline,
    session: Session,
    store: Arc<MemoryStore>,
    base: String,
    /// The last signal that was seen.
    after: Option<String>,
}

impl Bench {
    /// A connector as the cassette configures it, checked as `connectors.json` is.
    pub(super) async fn new(
        script: &Script,
        manifest: &Arc<Manifest>,
        base: &str,
    ) -> Result<Self, Failure> {
        let config = configuration(script, manifest, base).map_err(Failure::Unreadable)?;
        Self::start(script, manifest, base, config)
            .await
            .map_err(|error| Failure::Broken(format!("{error:#}")))
    }

    async fn start(
        script: &Script,
        manifest: &Arc<Manifest>,
        base: &str,
        config: Arc<ConnectorConfig>,
    ) -> Result<Self> {
        let clock = script.now.map_or(Clock::System, Clock::Frozen);
        let client = Client::new(ClientConfig {
            max_backoff: Some(MAX_BACKOFF),
            ..ClientConfig::default()
        })
        .context("cannot make requests")?;
        let source: Arc<dyn Source> = Arc::new(ManifestSource::build(
            manifest.clone(),
            &config,
            client,
            clock,
            Mode::Worker,
        ));
        let store = Arc::new(MemoryStore::new());
        let registry = ConnectorRegistry::default();
        registry.insert(ConnectorStatus::new(NAME, &config.kind));
        let owner = Owner::new(NAME);
        let ttl = Duration::from_hours(24);
        let Acquired::Held(lease, state) = store.acquire(NAME, &owner, None, ttl).await? else {
            bail!("a new store is held by somebody");
        };
        let names = source.streams().iter().map(|spec| spec.name.clone());
        let session = Session::load(&*store, lease, state, names).await?;
        Ok(Self {
            pipeline: Pipeline {
                config,
                source,
                store: store.clone(),
                clock,
                registry,
                metrics: ConnectorMetrics::new(NAME, NAME),
                limit: None,
            },
            session,
            store,
            base: base.to_owned(),
            after: None,
        })
    }

    /// What `check` finds out.
    pub(super) async fn check(&self) -> Value {
        match self.pipeline.source.check().await {
            Ok(report) => {
                let failed: Vec<_> = report.failed.iter().map(ToString::to_string).collect();
                let mut check = json!({
                    "proven": self.shown(report.proven),
                    "warnings": self.shown(report.warnings),
                });
                if !failed.is_empty() {
                    check["failed"] = json!(self.shown(failed));
                }
                check
            }
            Err(error) => json!({ "error": self.without_base(&error.to_string()) }),
        }
    }

    /// One cycle: what it published, and how it ended.
    pub(super) async fn poll(&mut self) -> Result<Value> {
        let stop = CancellationToken::new();
        let report = self.pipeline.run_cycle(&mut self.session, &stop).await?;
        if !report.summary.adds_up() {
            bail!("the poll's summary does not add up: {:?}", report.summary);
        }
        let mut poll = json!({
            "fetched": report.summary.fetched,
            "notModified": report.summary.not_modified,
            "signals": self.signals().await?,
        });
        let failures = report.failures.iter();
        let failures: Vec<String> = failures
            .map(|(stream, error)| self.without_base(&format!("{stream}: {error}")))
            .collect();
        if !failures.is_empty() {
            poll["failures"] = json!(failures);
        }
        if !report.warnings.is_empty() {
            poll["warnings"] = json!(self.shown(report.warnings));
        }
        Ok(poll)
    }

    /// What was published since the last poll, as `type subject`.
    async fn signals(&mut self) -> Result<Vec<String>> {
        let output = self.pipeline.config.output_stream.clone();
        let read =
            self.store
                .read_stream(&output, self.after.as_deref(), MAX_SIGNALS, Duration::ZERO);
        let entries = read.await?;
        if let Some(last) = entries.last() {
            self.after = Some(last.id.clone());
        }
        let mut signals: Vec<String> = entries
            .iter()
            .map(|entry| {
                let fields: BTreeMap<&str, &[u8]> = entry
                    .fields
                    .iter()
                    .map(|(name, value)| (&**name, &**value))
                    .collect();
                let text = |name: &str| {
                    let value = fields.get(name).copied().unwrap_or_default();
                    String::from_utf8_lossy(value).into_owned()
                };
                format!("{} {}", text("type"), text("subject"))
            })
            .collect();
        // Deletions come in no order.
        let is_deleted = |signal: &String| signal.contains(".deleted ");
        if let Some(first) = signals.iter().position(is_deleted) {
            signals[first..].sort();
        }
        Ok(signals)
    }

    fn without_base(&self, text: &str) -> String {
        let host = self.base.trim_start_matches("http://");
        text.replace(&self.base, "{base}").replace(host, "{host}")
    }

    fn shown(&self, texts: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
        let texts = texts.into_iter();
        texts
            .map(|text| self.without_base(&text.to_string()))
            .collect()
    }
}

/// The cassette's `providerConfig` as that of a connector in `connectors.json`.
fn configuration(
    script: &Script,
    manifest: &Arc<Manifest>,
    base: &str,
) -> Result<Arc<ConnectorConfig>, Vec<Problem>> {
    let text = |text: &str| Node::synthetic(Kind::String(text.to_owned()));
    let mut members = vec![
        ("name", text(NAME)),
        ("type", text(&manifest.kind)),
        ("providerConfig", filled(&script.provider, base)),
    ];
    members.extend(script.streams.clone().map(|streams| ("streams", streams)));
    let connector = map(members);
    let root = map(vec![(
        "connectors",
        Node::synthetic(Kind::List(vec![connector])),
    )]);
    let options = LoadOptions {
        catalog: Arc::new(Catalog::from_manifests([Manifest::clone(manifest)])),
        ..LoadOptions::default()
    };
    let loaded = load_tree(&root, &script.file, PathBuf::new(), &options)?;
    loaded.connectors.into_iter().next().ok_or_else(Vec::new)
}

fn map(members: Vec<(&str, Node)>) -> Node {
    let entries = members.into_iter().map(|(key, value)| Entry {
        key: key.to_owned(),
        key_at: value.at,
        value,
    });
    Node::synthetic(Kind::Map(entries.collect()))
}

/// The node with the provider's address in its texts.
fn filled(node: &Node, base: &str) -> Node {
    let kind = match &node.kind {
        Kind::String(text) => Kind::String(text.replace("{base}", base)),
        Kind::List(items) => Kind::List(items.iter().map(|item| filled(item, base)).collect()),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    value: filled(&entry.value, base),
                    ..entry.clone()
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { kind, at: node.at }
}
