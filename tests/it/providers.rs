//! Every case under `tests/fixtures/providers/<provider>/<case>/`, played by one test.
//!
//! `responses.json` says what the provider is asked, in order, and what it answers, poll by poll;
//! `signals.json` says what each poll publishes and how it ends. A case needs no Rust. An exchange
//! may name `requestHeaders`, and of a JSON body the members that matter as `requestJson`. `check`
//! says the same of the `check` command. `{base}`
//! stands for the address of the provider everywhere. A case of type `MANIFEST` names a manifest
//! beside it. Bodies are files under
//! `<provider>/bodies/`, where `PROVENANCE.md` says where they come from.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use connector_worker::client::{Client, ClientConfig};
use connector_worker::clock::Clock;
use connector_worker::connector::ConnectorConfig;
use connector_worker::document::{Node, parse_json};
use connector_worker::pipeline::{Pipeline, Session};
use connector_worker::registry::{ConnectorRegistry, ConnectorStatus};
use connector_worker::source::Source;
use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::source::manifest::{ManifestSource, Mode};
use connector_worker::store::{Acquired, MemoryStore, Owner, Store};
use connector_worker::telemetry::metrics::ConnectorMetrics;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::scripted::config as defaults;

/// Set to write `signals.json` anew instead of comparing; what changed is then to be read.
const UPDATE: Option<&str> = option_env!("UPDATE_SIGNALS");

/// Cases that every built-in provider must have.
const REQUIRED: [&str; 9] = [
    "first_poll",
    "unchanged",
    "changed",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "server_error",
    "truncated",
    "bad_request",
];

#[tokio::test]
async fn providers_are_read_as_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers");
    let mut failures = Vec::new();
    let mut played = 0;
    for provider in directories(&root) {
        for case in directories(&provider).filter(|case| case.join("responses.json").exists()) {
            played += 1;
            if let Err(how) = play(&case).await {
                failures.push(format!("{}:\n{how}", case.display()));
            }
        }
    }
    assert!(played > 0);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_built_in_provider_has_the_cases_that_go_wrong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers");
    let catalog = Catalog::load(None).unwrap();
    for manifest in catalog.kinds() {
        let provider = root.join(manifest.kind.to_lowercase());
        for case in REQUIRED {
            let file = provider.join(case).join("signals.json");
            assert!(file.exists(), "{} is missing", file.display());
        }
    }
}

fn directories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.into_iter()
}

/// Plays one case; the error says what was different.
async fn play(case: &Path) -> Result<(), String> {
    let read = |name: &str| std::fs::read_to_string(case.join(name));
    let script: Value = serde_json::from_str(&read("responses.json").unwrap())
        .map_err(|error| format!("responses.json: {error}"))?;
    let provider = Provider::start(case).await;
    let mut bench = Bench::new(case, &script, &provider.base).await;
    let mut polls = Vec::new();
    for poll in script["polls"].as_array().into_iter().flatten() {
        provider.expect(poll.as_array().unwrap());
        polls.push(bench.poll(&provider.base).await);
        let problems = provider.problems();
        if !problems.is_empty() {
            let ended = &polls[polls.len() - 1]["failures"];
            return Err(format!(
                "poll {}: {}\nand ended with {ended}",
                polls.len(),
                problems.join("\n")
            ));
        }
    }
    let mut ours = json!({ "polls": polls });
    if let Some(exchanges) = script["check"].as_array() {
        provider.expect(exchanges);
        ours["check"] = bench.check(&provider.base).await;
        let problems = provider.problems();
        if !problems.is_empty() {
            return Err(format!("check: {}", problems.join("\n")));
        }
    }
    if UPDATE.is_some() {
        let text = serde_json::to_string_pretty(&ours).unwrap() + "\n";
        std::fs::write(case.join("signals.json"), text).unwrap();
        return Ok(());
    }
    let expected: Value = serde_json::from_str(&read("signals.json").unwrap_or_default())
        .map_err(|error| format!("signals.json: {error}"))?;
    if ours == expected {
        return Ok(());
    }
    let polls = |value: &Value| value["polls"].as_array().cloned().unwrap_or_default();
    let pairs = polls(&ours).into_iter().zip(polls(&expected));
    let different = pairs.enumerate().find(|(_, (ours, theirs))| ours != theirs);
    Err(match different {
        Some((poll, (ours, theirs))) => {
            format!("poll {}: got {ours:#}\ninstead of {theirs:#}", poll + 1)
        }
        None if ours["check"] != expected["check"] => format!(
            "check: got {:#}\ninstead of {:#}",
            ours["check"], expected["check"]
        ),
        None => "another number of polls".to_owned(),
    })
}

/// A connector over memory.
struct Bench {
    pipeline: Pipeline,
    session: Session,
    store: Arc<MemoryStore>,
    after: Option<String>,
}

impl Bench {
    async fn new(case: &Path, script: &Value, base: &str) -> Self {
        let kind = script["type"].as_str().unwrap();
        let manifest = match script["manifest"].as_str() {
            Some(file) => Catalog::load_file(&case.join("..").join(file)).unwrap(),
            None => Catalog::load(None).unwrap().get(kind).unwrap().clone(),
        };
        let text = script["providerConfig"].to_string().replace("{base}", base);
        let config = ConnectorConfig {
            kind: kind.into(),
            provider: in_snake_case(parse_json("responses.json", &text).unwrap()),
            streams: script["streams"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|name| name.as_str().unwrap().into())
                .collect(),
            ..defaults()
        };
        let client = ClientConfig {
            max_backoff: Some(Duration::from_millis(5)),
            ..ClientConfig::default()
        };
        let client = Client::new(client).unwrap();
        let source: Arc<dyn Source> = Arc::new(ManifestSource::build(
            manifest,
            &config,
            client,
            Clock::System,
            Mode::Worker,
        ));
        let store = Arc::new(MemoryStore::new());
        let registry = ConnectorRegistry::default();
        registry.insert(ConnectorStatus::new("c", kind));
        let owner = Owner::new("test");
        let lease = store
            .acquire("c", &owner, None, Duration::from_mins(10))
            .await;
        let Ok(Acquired::Held(lease, state)) = lease else {
            panic!("a new store has no lease")
        };
        let names = source.streams().iter().map(|spec| spec.name.clone());
        let session = Session::load(&*store, lease, state, names).await.unwrap();
        Self {
            pipeline: Pipeline {
                config: Arc::new(config),
                source,
                store: store.clone(),
                clock: Clock::System,
                registry,
                metrics: ConnectorMetrics::new("c", "test"),
                limit: None,
            },
            session,
            store,
            after: None,
        }
    }

    /// What `check` finds out.
    async fn check(&self, base: &str) -> Value {
        let shown = |texts: Vec<String>| -> Vec<String> {
            texts
                .iter()
                .map(|text| text.replace(base, "{base}"))
                .collect()
        };
        match self.pipeline.source.check().await {
            Ok(report) => json!({
                "proven": shown(report.proven),
                "warnings": shown(report.warnings),
            }),
            Err(error) => json!({ "error": shown(vec![error.to_string()])[0] }),
        }
    }

    /// One cycle: what it published, and how it ended.
    async fn poll(&mut self, base: &str) -> Value {
        let stop = CancellationToken::new();
        let report = self
            .pipeline
            .run_cycle(&mut self.session, &stop)
            .await
            .unwrap();
        assert!(report.summary.adds_up(), "{:?}", report.summary);
        let mut poll = json!({
            "fetched": report.summary.fetched,
            "notModified": report.summary.not_modified,
            "signals": self.signals().await,
        });
        let failures: Vec<String> = report
            .failures
            .iter()
            .map(|(stream, error)| format!("{stream}: {error}").replace(base, "{base}"))
            .collect();
        if !failures.is_empty() {
            poll["failures"] = json!(failures);
        }
        if !report.warnings.is_empty() {
            poll["warnings"] = json!(report.warnings);
        }
        poll
    }

    /// What was published since the last poll, as `type subject`.
    async fn signals(&mut self) -> Vec<String> {
        let output = "raw-input-signals";
        let after = self.after.as_deref();
        let read = self
            .store
            .read_stream(output, after, 100_000, Duration::ZERO);
        let entries = read.await.unwrap();
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
                let text = |name: &str| String::from_utf8_lossy(fields[name]).into_owned();
                format!("{} {}", text("type"), text("subject"))
            })
            .collect();
        // Deletions come in no order.
        if let Some(first) = signals
            .iter()
            .position(|signal| signal.contains(".deleted "))
        {
            signals[first..].sort();
        }
        signals
    }
}

/// The configuration hands keys over as the manifest spells them.
fn in_snake_case(mut node: Node) -> Node {
    if let connector_worker::document::Kind::Map(entries) = &mut node.kind {
        for entry in entries {
            entry.key = entry
                .key
                .chars()
                .flat_map(|c| {
                    let snake = c.is_ascii_uppercase().then_some('_');
                    snake.into_iter().chain(c.to_lowercase())
                })
                .collect();
        }
    }
    node
}

/// A provider that answers what it is told, in order.
struct Provider {
    base: String,
    script: Arc<Mutex<Script>>,
    bodies: PathBuf,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Script {
    exchanges: VecDeque<Exchange>,
    problems: Vec<String>,
}

struct Exchange {
    request: String,
    request_headers: BTreeMap<String, Value>,
    /// The body, or those of its members that matter.
    request_json: Value,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Provider {
    async fn start(case: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let router = axum::Router::new()
            .fallback(answer)
            .with_state((base.clone(), script.clone()));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            base,
            script,
            bodies: case.parent().unwrap().join("bodies"),
            _server: server,
        }
    }

    /// What the next poll shall ask.
    fn expect(&self, exchanges: &[Value]) {
        let exchanges = exchanges
            .iter()
            .map(|exchange| self.exchange(exchange))
            .collect();
        self.script.lock().unwrap().exchanges = exchanges;
    }

    fn exchange(&self, value: &Value) -> Exchange {
        let body = match (&value["body"], &value["json"]) {
            (Value::String(file), _) => {
                let path = self.bodies.join(file);
                std::fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            }
            (_, Value::Null) => value["text"].as_str().unwrap_or_default().to_owned(),
            (_, json) => json.to_string(),
        };
        // The same server under another name.
        let other = self.base.replace("127.0.0.1", "localhost");
        let body = body
            .replace("{base}", &self.base)
            .replace("{other}", &other);
        let mut body = body.into_bytes();
        if let Some(length) = value["cutAfter"].as_u64() {
            body.truncate(usize::try_from(length).unwrap());
        }
        let pairs = value["headers"].as_object();
        Exchange {
            request: value["request"].as_str().unwrap().to_owned(),
            request_headers: value["requestHeaders"]
                .as_object()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            request_json: value["requestJson"].clone(),
            status: value["status"]
                .as_u64()
                .map_or(200, |status| u16::try_from(status).unwrap()),
            headers: pairs
                .into_iter()
                .flatten()
                .map(|(name, value)| {
                    let value = value.as_str().unwrap().replace("{base}", &self.base);
                    (name.clone(), value)
                })
                .collect(),
            body,
        }
    }

    /// What went otherwise than expected since the last call.
    fn problems(&self) -> Vec<String> {
        let mut script = self.script.lock().unwrap();
        let mut problems = std::mem::take(&mut script.problems);
        let left: Vec<String> = script
            .exchanges
            .drain(..)
            .map(|left| left.request)
            .collect();
        problems.extend(
            left.iter()
                .map(|request| format!("was not asked {request}")),
        );
        problems
    }
}

async fn answer(
    State((base, script)): State<(String, Arc<Mutex<Script>>)>,
    request: Request,
) -> Response {
    let asked = canonical(&format!("{} {}", request.method(), request.uri()));
    let (request, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut script = script.lock().unwrap();
    let Some(exchange) = script.exchanges.pop_front() else {
        script
            .problems
            .push(format!("was asked {asked} and nothing was expected"));
        return Response::builder().status(418).body(Body::empty()).unwrap();
    };
    let expected = canonical(&exchange.request.replace("{base}", &base));
    if asked != expected {
        script
            .problems
            .push(format!("was asked {asked}\n instead of {expected}"));
        return Response::builder().status(418).body(Body::empty()).unwrap();
    }
    for (name, expected) in &exchange.request_headers {
        let sent = request
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap());
        if sent != expected.as_str() {
            let problem = format!("{asked}: header {name} is {sent:?} instead of {expected}");
            script.problems.push(problem);
        }
    }
    if !exchange.request_json.is_null() {
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !holds(&sent, &exchange.request_json) {
            let expected = &exchange.request_json;
            let problem = format!("{asked}: the body is {sent} instead of {expected}");
            script.problems.push(problem);
        }
    }
    let mut response = Response::builder().status(exchange.status);
    for (name, value) in &exchange.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(exchange.body)).unwrap()
}

/// Whether `sent` has every member that `expected` has, at every level.
fn holds(sent: &Value, expected: &Value) -> bool {
    match (sent, expected) {
        (Value::Object(sent), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| holds(sent.get(name).unwrap_or(&Value::Null), value)),
        _ => sent == expected,
    }
}

/// Method, path and decoded query in one order.
fn canonical(request: &str) -> String {
    let (target, query) = request.split_once('?').unwrap_or((request, ""));
    let mut pairs: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    format!("{target} {}", pairs.join(" & "))
}
