//! A provider that does everything wrong, against the real worker: it is not asked more than it
//! allows, nothing is lost or invented, the worker goes on, and whoever looks sees what is wrong.

mod answers;
mod limits;
mod network;
mod refusals;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::ops::Ops;
use crate::support::raw_http::{RawServer, Step, answer};
use crate::support::worker::{Process, Worker};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lists items page by page, each naming the next.
const MANIFEST: &str = r#"
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
        authenticator: { type: BearerAuthenticator, api_token: "{{ config['token'] }}" }
      record_selector:
        type: RecordSelector
        extractor: { type: DpathExtractor, field_path: [items] }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ response.next }}"
          stop_condition: "{{ not response.next }}"
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base_url, token]
    properties:
      base_url: { type: string, title: Address }
      token: { type: string, title: Token, airbyte_secret: true }
metadata:
  connector:
    id: items
    version: 1.0.0
    rate_limits: RATE_LIMITS
"#;

/// A running worker and the directory it lives in.
struct Scene {
    ops: Ops,
    process: Process,
    _directory: TempDir,
}

/// A connector of the manifest, as configuration.
fn connector(name: &str, server: &RawServer, token: &str) -> Value {
    connector_at(name, server.url.as_str(), token)
}

/// The same at any address.
fn connector_at(name: &str, url: &str, token: &str) -> Value {
    json!({
        "name": name, "type": "MANIFEST", "manifest": "items.yaml",
        "pollIntervalMs": 100, "requestTimeoutMs": 700, "maxRetries": 1,
        "retryConfig": { "baseDelayMs": 50, "maxDelayMs": 2000, "jitterRatio": 0.1 },
        "providerConfig": { "baseUrl": url, "token": token },
    })
}

/// A directory with the configuration of these connectors, whose manifest has these `rate_limits`.
fn configured(connectors: &[Value], rate_limits: &str) -> TempDir {
    configured_by(connectors, &MANIFEST.replace("RATE_LIMITS", rate_limits))
}

/// The same of another manifest.
fn configured_by(connectors: &[Value], manifest: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("items.yaml"), manifest).unwrap();
    let text = json!({ "connectors": connectors }).to_string();
    std::fs::write(directory.path().join("connectors.json"), text).unwrap();
    directory
}

/// A worker that runs these connectors.
fn start(connectors: &[Value], rate_limits: &str) -> Scene {
    start_on("memory:", connectors, rate_limits)
}

/// The same on a store that it may share.
fn start_on(store: &str, connectors: &[Value], rate_limits: &str) -> Scene {
    start_in(configured(connectors, rate_limits), store)
}

/// A worker that runs these connectors of another manifest.
fn start_manifest(connectors: &[Value], manifest: &str) -> Scene {
    start_in(configured_by(connectors, manifest), "memory:")
}

fn start_in(directory: TempDir, store: &str) -> Scene {
    let ops = Ops::reserve();
    let process = Worker::new(directory.path())
        .env("CONNECTOR_STORE", store)
        .env("CONNECTOR_WORKER_HTTP_ADDR", &ops.address())
        .start("worker");
    Scene {
        ops,
        process,
        _directory: directory,
    }
}

impl Scene {
    /// Waits until the connector is as wanted; blocks, so tests need threads of their own.
    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let all = self.ops.connectors();
            if let Some(found) = all.iter().find(|connector| is_so(connector)) {
                return found.clone();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "never: {what}\n{all:#?}\n{}",
                self.process.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a poll was without fault.
    fn until_well(&self) -> Value {
        self.until("a poll without fault", |connector| {
            connector["lastError"].is_null()
                && connector["failingStreams"] == json!({})
                && connector["phase"] == "waiting"
                && !connector["lastSummary"].is_null()
        })
    }

    /// Waits until the last poll failed, and the reason says this.
    fn until_ill(&self, words: &str) -> Value {
        self.until(words, |connector| {
            let reasons = connector["reasons"].to_string();
            connector["health"] != "healthy" && reasons.contains(words)
        })
    }

    /// The sum of a counter's or gauge's series whose labels hold `label`.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let (_, text) = self.ops.get("/metrics").expect("the worker listens");
        let name = format!("connector_worker_{name}{{");
        text.lines()
            .filter(|line| line.starts_with(&name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

/// A page of items.
fn page(ids: std::ops::Range<usize>, next: Option<&str>) -> Vec<Step> {
    let items: Vec<Value> = ids.map(|id| json!({ "id": id })).collect();
    let body = json!({ "items": items, "next": next });
    answer(
        "200 OK",
        "Content-Type: application/json\r\n",
        body.to_string(),
    )
}

/// When requests arrived.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Instant>>>);

impl Arrivals {
    /// Notes one.
    fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    fn all(&self) -> Vec<Instant> {
        self.0.lock().unwrap().clone()
    }

    /// Fails if a request arrived sooner than `rate` a second after a burst of `burst` allows,
    /// counted from `began`, which was before the first. A busy machine makes requests late, never
    /// early, so this needs no tolerance.
    fn assert_paced(&self, began: Instant, rate: f64, burst: f64) {
        for (number, at) in (1..).zip(self.all()) {
            let least = (f64::from(number) - burst) / rate;
            let took = (at - began).as_secs_f64();
            assert!(
                took >= least,
                "request {number} after {took} s, not {least} s"
            );
        }
    }
}
