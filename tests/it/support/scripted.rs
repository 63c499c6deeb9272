//! A source that plays what a test wrote down, and a connector around it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use connector_worker::client::FetchError;
use connector_worker::clock::Clock;
use connector_worker::connector::{ChangeDetection, ConnectorConfig, RetryConfig, WebhookConfig};
use connector_worker::document::{Kind, Node};
use connector_worker::pipeline::{CycleError, CycleReport, Pipeline, Session};
use connector_worker::registry::{ConnectorRegistry, ConnectorStatus};
use connector_worker::source::{
    CheckReport, Event, Events, Outcome, Page, ReadState, SignalRule, Source, Stopped, StreamSpec,
};
use connector_worker::store::{Acquired, MemoryStore, Owner, Store};
use connector_worker::telemetry::KeptOut;
use connector_worker::telemetry::metrics::ConnectorMetrics;
use tokio_util::sync::CancellationToken;

/// A connector named `c` with defaults.
pub fn config() -> ConnectorConfig {
    ConnectorConfig {
        name: "c".into(),
        kind: "SCRIPTED".into(),
        manifest: None,
        enabled: true,
        poll_interval: Some(Duration::from_millis(100)),
        request_timeout: Duration::from_secs(5),
        max_retries: 2,
        retry: RetryConfig::default(),
        output_stream: "raw-input-signals".into(),
        output_max_len: 1_000_000,
        lease_ttl: Duration::from_secs(30),
        streams: Vec::new(),
        tenant: None,
        change_detection: ChangeDetection::default(),
        webhook: WebhookConfig::default(),
        provider: Node::synthetic(Kind::Map(Vec::new())),
        kept_out: KeptOut::default(),
    }
}

/// One stream, `s`, whose reads are queued by the test.
pub struct ScriptedSource {
    streams: Vec<StreamSpec>,
    reads: Mutex<Vec<Vec<Event>>>,
    /// What each read started from.
    pub started_from: Mutex<Vec<ReadState>>,
}

impl ScriptedSource {
    /// A stream keyed by `/id`, complete listing or incremental.
    pub fn new(rule: SignalRule, lists_everything: bool) -> Arc<Self> {
        let spec = StreamSpec {
            name: "s".into(),
            signal: rule,
            lists_everything,
            later_counts: false,
            asks_for_missing: false,
            unavailable: None,
        };
        Arc::new(Self {
            streams: vec![spec],
            reads: Mutex::default(),
            started_from: Mutex::default(),
        })
    }

    /// Queues one read.
    pub fn push(&self, events: Vec<Event>) {
        self.reads.lock().unwrap().push(events);
    }
}

/// A rule keyed by `/id`.
pub fn by_id() -> SignalRule {
    SignalRule {
        subject: vec!["/id".parse().unwrap()],
        ..SignalRule::default()
    }
}

/// A page of these records.
pub fn page(records: &[&str]) -> Event {
    let records = records
        .iter()
        .map(|text| Bytes::copy_from_slice(text.as_bytes()).into())
        .collect();
    Event::Page(Page {
        records,
        ..Page::default()
    })
}

/// The end of stream `s`.
pub fn end(outcome: Outcome) -> Event {
    Event::End {
        stream: 0,
        outcome,
        state: Vec::new(),
    }
}

/// A failure.
pub fn cut() -> Outcome {
    Outcome::Incomplete(FetchError::Unusable("cut".to_owned()))
}

#[async_trait]
impl Source for ScriptedSource {
    fn streams(&self) -> &[StreamSpec] {
        &self.streams
    }

    fn provider(&self) -> &'static str {
        "scripted"
    }

    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    async fn read(&self, state: &ReadState, events: &Events) -> Result<(), Stopped> {
        self.started_from.lock().unwrap().push(state.clone());
        let read = {
            let mut reads = self.reads.lock().unwrap();
            if reads.is_empty() {
                vec![end(Outcome::Unchanged)]
            } else {
                reads.remove(0)
            }
        };
        for event in read {
            events.send(event).await?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<CheckReport, FetchError> {
        Ok(CheckReport::default())
    }
}

/// A pipeline over memory, with its lease held.
pub struct Bench {
    pub source: Arc<ScriptedSource>,
    pub store: Arc<MemoryStore>,
    pub pipeline: Pipeline,
    pub session: Session,
    after: Option<String>,
}

impl Bench {
    pub async fn new(source: Arc<ScriptedSource>, config: ConnectorConfig) -> Self {
        let store = Arc::new(MemoryStore::new());
        let registry = ConnectorRegistry::default();
        registry.insert(ConnectorStatus::new("c", "SCRIPTED"));
        let pipeline = Pipeline {
            config: Arc::new(config),
            source: source.clone(),
            store: store.clone(),
            clock: Clock::System,
            registry,
            metrics: ConnectorMetrics::new("c", "scripted"),
            limit: None,
        };
        let session = session(&store).await;
        Self {
            source,
            store,
            pipeline,
            session,
            after: None,
        }
    }

    /// One cycle over these events.
    pub async fn cycle(&mut self, events: Vec<Event>) -> Result<CycleReport, CycleError> {
        self.source.push(events);
        let stop = CancellationToken::new();
        let report = self.pipeline.run_cycle(&mut self.session, &stop).await?;
        assert!(report.summary.adds_up(), "{:?}", report.summary);
        Ok(report)
    }

    /// How often the source was read.
    pub fn reads(&self) -> usize {
        self.source.started_from.lock().unwrap().len()
    }

    /// Drops everything in memory, as a crash would, and loads again.
    pub async fn restart(&mut self) {
        self.session = session(&self.store).await;
    }

    /// Signals published since the last call, as `kind:subject`.
    pub async fn published(&mut self) -> Vec<String> {
        let entries = self
            .store
            .read_stream(
                "raw-input-signals",
                self.after.as_deref(),
                100_000,
                Duration::ZERO,
            )
            .await
            .unwrap();
        if let Some(last) = entries.last() {
            self.after = Some(last.id.clone());
        }
        entries
            .iter()
            .map(|entry| {
                let field = |wanted: &str| {
                    let value = &entry
                        .fields
                        .iter()
                        .find(|(name, _)| name == wanted)
                        .unwrap()
                        .1;
                    String::from_utf8(value.to_vec()).unwrap()
                };
                let kind = field("type").rsplit('.').next().unwrap().to_owned();
                format!("{kind}:{}", field("subject"))
            })
            .collect()
    }
}

async fn session(store: &MemoryStore) -> Session {
    let owner = Owner::new("test");
    store.break_lease("c").await.unwrap();
    let acquired = store
        .acquire("c", &owner, None, Duration::from_secs(30))
        .await
        .unwrap();
    let Acquired::Held(lease, state) = acquired else {
        panic!("held by another")
    };
    Session::load(store, lease, state, std::iter::once("s".into()))
        .await
        .unwrap()
}
