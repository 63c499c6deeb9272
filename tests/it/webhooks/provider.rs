//! A provider that lists its items and delivers their changes, and a worker that serves it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Clock};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use connector_worker::connector::WebhookSecret;
use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::{Delivery, sign};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::ops::Ops;
use crate::support::worker::{Process, Worker};

pub const SECRET: &str = "a secret of the tests";

/// How long anything may take on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

pub const MANIFEST: &str = r#"
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{ config['base_url'] }}"
        path: /items
        http_method: GET
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [] }
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base_url]
    properties:
      base_url: { type: string, title: Address }
metadata:
  connector:
    id: items
    version: 1.0.0
    signals:
      items: { subject: /id, time: /at, version: [/v], ordered: true }
    webhooks:
      signature: { type: hmac, header: X-Signature }
      id: header:X-Delivery
      event: /event
      max_body_bytes: 100000
      handshake: { when: { /event: hello }, answer: /challenge }
      select: "{{ delivery.get('team', 'ours') == 'ours' }}"
      details: { items: "/items/{{ record['id'] }}" }
      streams:
        commands: { subject: /trigger, version: [/trigger] }
        events: {}
      routes:
        changed: { stream: items, record: /item }
        gone: { stream: items, record: /item, change: delete }
        thin: { stream: items, record: /item, refetch: true }
        command: { stream: commands }
        event: { stream: events }
        look: wake
        quiet: ignore
"#;

/// What the provider holds.
#[derive(Default)]
pub struct Items {
    pub held: Mutex<HashMap<u64, u64>>,
    /// Answers every request with this status instead.
    pub broken: Mutex<Option<u16>>,
    pub listed: Mutex<u64>,
    /// Items of which nothing is answered.
    pub hanging: Mutex<HashSet<u64>>,
    /// How often one of those was asked for.
    pub hung: AtomicUsize,
}

/// One version of an item; versions are instants.
pub fn item(id: u64, v: u64) -> Value {
    let at = Timestamp::from_second(1_700_000_000 + i64::try_from(v).unwrap()).unwrap();
    json!({ "id": id, "v": v, "at": at.to_string(), "text": "x".repeat(50) })
}

async fn list(
    State(items): State<Arc<Items>>,
    _: Query<HashMap<String, String>>,
) -> impl IntoResponse {
    *items.listed.lock().unwrap() += 1;
    let status = items.broken.lock().unwrap().unwrap_or(200);
    let held = items.held.lock().unwrap();
    let all: Vec<Value> = held.iter().map(|(id, v)| item(*id, *v)).collect();
    (
        http::StatusCode::from_u16(status).unwrap(),
        Value::from(all).to_string(),
    )
}

async fn one(
    State(items): State<Arc<Items>>,
    axum::extract::Path(id): axum::extract::Path<u64>,
) -> impl IntoResponse {
    if items.hanging.lock().unwrap().contains(&id) {
        items.hung.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let status = *items.broken.lock().unwrap();
    let found = items.held.lock().unwrap().get(&id).copied();
    let status = status.unwrap_or(if found.is_some() { 200 } else { 404 });
    let body = found.map(|v| item(id, v).to_string()).unwrap_or_default();
    (http::StatusCode::from_u16(status).unwrap(), body)
}

/// Provider, configuration and addresses.
pub struct Site {
    pub home: tempfile::TempDir,
    pub items: Arc<Items>,
    pub public: String,
    pub store: String,
    listen: Ops,
    _api: Api,
}

impl Site {
    pub async fn new(store: Option<&str>, webhook: Value) -> Self {
        let items = Arc::new(Items::default());
        let router = Router::new()
            .route("/items", get(list))
            .route("/items/{id}", get(one))
            .with_state(items.clone());
        let api = Api::start(router).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("items.yaml"), MANIFEST).unwrap();
        let mut settings = json!({ "secrets": [SECRET] });
        for (key, value) in webhook.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let config = json!({ "connectors": [{
            "name": "c", "type": "MANIFEST", "manifest": "items.yaml", "maxRetries": 0,
            "pollIntervalMs": 60000, "leaseTtlSeconds": 2, "requestTimeoutMs": 2000, "tenantId": "acme",
            "outputMaxLen": 0, "webhook": settings, "providerConfig": { "baseUrl": api.url },
        }]});
        std::fs::write(home.path().join("connectors.json"), config.to_string()).unwrap();
        let listen = Ops::reserve();
        let store = store.map_or_else(
            || format!("sqlite:{}", home.path().join("store.db").display()),
            str::to_owned,
        );
        Self {
            public: format!("http://{}/webhooks/c", listen.address()),
            home,
            items,
            store,
            listen,
            _api: api,
        }
    }

    /// Another time between polls.
    pub fn poll_every(&self, millis: u64) {
        let path = self.home.path().join("connectors.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["connectors"][0]["pollIntervalMs"] = millis.into();
        std::fs::write(path, config.to_string()).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    pub fn worker(&self) -> Worker {
        Worker::new(self.path())
            .env("CONNECTOR_STORE", &self.store)
            .env("CONNECTOR_WORKER_MAX_BACKOFF_MS", "200")
    }

    pub fn manifest(&self) -> PathBuf {
        self.path().join("items.yaml")
    }

    /// Starts `serve` and waits until it listens.
    pub async fn serve(&self, name: &str, more: &[&str]) -> Process {
        let mut worker = self
            .worker()
            .arg("serve")
            .arg("--listen")
            .arg(&self.listen.address());
        for argument in more {
            worker = worker.arg(argument);
        }
        let process = worker.start(name);
        let ready = format!("http://{}/readyz", self.listen.address());
        let started = Clock::now();
        loop {
            if let Ok(answer) = reqwest::get(&ready).await
                && answer.status() == 200
            {
                return process;
            }
            assert!(
                started.elapsed() < SOON,
                "does not listen:\n{}",
                process.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts a worker that processes what others receive.
    pub fn consume(&self, name: &str) -> Process {
        self.worker().arg("run").start(name)
    }

    /// Where deliveries are received.
    pub fn address(&self) -> String {
        self.listen.address()
    }

    /// Headers and body of a signed delivery.
    pub fn signed(&self, id: &str, body: &Value) -> (HeaderMap, Bytes) {
        let body = Bytes::from(body.to_string());
        (self.sign_bytes(id, body.clone()), body)
    }

    /// Headers of a signed delivery.
    pub fn sign_bytes(&self, id: &str, body: Bytes) -> HeaderMap {
        let manifest = Catalog::load_file(&self.manifest()).unwrap();
        let scheme = manifest.metadata.webhooks.as_ref().unwrap().schemes[0].clone();
        let mut headers = HeaderMap::new();
        headers.insert("x-delivery", id.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let now = Timestamp::now();
        let delivery = Delivery::new(Method::POST, ("/webhooks/c", None), headers, body, now);
        let signed = sign(&scheme, &WebhookSecret::from(SECRET), &delivery, now).unwrap();
        signed.headers
    }

    /// Delivers once; the status, 0 when there was no answer.
    pub async fn deliver(&self, client: &reqwest::Client, id: &str, body: &Value) -> u16 {
        let (headers, body) = self.signed(id, body);
        let sent = client
            .post(&self.public)
            .headers(headers)
            .body(body)
            .send()
            .await;
        sent.map_or(0, |answer| answer.status().as_u16())
    }

    /// Signals so far, as events.
    pub fn signals(&self, least: usize) -> Vec<Value> {
        let count = least.to_string();
        let started = Clock::now();
        loop {
            let ran = self
                .worker()
                .run(&["tail", "--from-start", "--count", &count]);
            let found: Vec<Value> = ran
                .out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if found.len() >= least {
                return found;
            }
            assert!(
                started.elapsed() < SOON,
                "{} of {least} signals",
                found.len()
            );
        }
    }
}
