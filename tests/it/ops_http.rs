//! The operations listener, over real sockets: what probes, scrapers and people get.

use std::net::SocketAddr;
use std::time::Duration;

use connector_worker::registry::{ConnectorRegistry, ConnectorStatus, Phase, ReloadProblem};
use connector_worker::server::{HttpAddress, IfTaken, Ops, Server};
use connector_worker::telemetry::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longer than any answer takes, shorter than anybody waits for a hanging test.
const PATIENCE: Duration = Duration::from_secs(20);

struct Listener {
    address: SocketAddr,
    registry: ConnectorRegistry,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Listener {
    async fn start() -> Self {
        let address = HttpAddress::Explicit(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = Server::bind(address, IfTaken::RunWithout)
            .await
            .unwrap()
            .unwrap();
        let listener = Self {
            address: server.address(),
            registry: ConnectorRegistry::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let ops = Ops {
            registry: listener.registry.clone(),
            metrics: Metrics::install().unwrap(),
        };
        listener
            .tasks
            .spawn(server.serve(ops, listener.shutdown.clone()));
        listener
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).await
    }

    async fn request(&self, method: &str, path: &str) -> Answer {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text))
            .await
            .expect("the connection ends")
            .unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .map_or(0, |code| code.parse().unwrap()),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn insert(&self, name: &str, change: impl FnOnce(&mut ConnectorStatus)) {
        let mut status = ConnectorStatus::new(name, "GITHUB");
        status.phase = Phase::Waiting;
        change(&mut status);
        self.registry.insert(status);
    }
}

fn past_deadline(status: &mut ConnectorStatus) {
    status.deadline = Some(Timestamp::now() - SignedDuration::from_secs(5));
}

#[tokio::test]
async fn a_stalled_loop_fails_liveness_and_is_named() {
    let listener = Listener::start().await;
    listener.insert("github", |_| ());
    assert_eq!(listener.get("/livez").await.status, 200);

    listener.insert("jira-prod", past_deadline);
    let answer = listener.get("/livez").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["stalled"][0]["connector"], "jira-prod");
}

#[tokio::test]
async fn failing_connectors_are_alive_and_ready() {
    let listener = Listener::start().await;
    listener.registry.set_configured();
    listener.insert("jira-prod", |status| {
        status.phase = Phase::Parked;
        status.last_error = Some("credentials refused: 401".to_owned());
    });
    listener.insert("standby", |status| status.phase = Phase::Standby);
    assert_eq!(listener.get("/livez").await.status, 200);
    let ready = listener.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let details = ready.json();
    assert_eq!(details["connectors"], 2);
    assert_eq!(details["degraded"][0]["connector"], "jira-prod");
    assert_eq!(details["degraded"][0]["status"], "unhealthy");
    assert_eq!(details["degraded"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn readiness_begins_with_the_configuration_and_ends_with_draining() {
    let listener = Listener::start().await;
    assert_eq!(listener.get("/readyz").await.status, 503);
    listener.registry.set_configured();
    assert_eq!(listener.get("/readyz").await.json()["status"], "ready");
    listener.registry.set_draining();
    listener.insert("late", past_deadline);
    let draining = listener.get("/readyz").await;
    assert_eq!(draining.status, 503);
    assert_eq!(draining.json()["status"], "draining");
    assert_eq!(listener.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_refused_reload_shows_in_readiness_and_metrics() {
    let listener = Listener::start().await;
    listener.registry.set_configured();
    listener.registry.set_reload_problem(Some(ReloadProblem {
        at: Timestamp::now(),
        problems: vec!["connectors.json:3:5: unknown field".to_owned()],
    }));
    let ready = listener.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.json()["reload"]["problems"][0],
        "connectors.json:3:5: unknown field"
    );
    let metrics = listener.get("/metrics").await;
    assert!(
        metrics
            .body
            .contains("\nconnector_worker_config_reload_failed 1\n")
    );
}

#[tokio::test]
async fn health_is_503_only_when_a_connector_is_unhealthy() {
    let listener = Listener::start().await;
    listener.insert("a", |_| ());
    listener.insert("b", |status| status.consecutive_failures = 1);
    for path in ["/connectors/health", "/health/connectors"] {
        let answer = listener.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["healthy"], true);
        assert_eq!(answer.json()["status"], "degraded");
    }
    listener.insert("c", |status| status.consecutive_failures = 3);
    for path in [
        "/connectors/health",
        "/connectors/c/health",
        "/health/connectors/c",
    ] {
        let answer = listener.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.json()["healthy"], false, "{path}");
    }
    assert_eq!(listener.get("/connectors/b/health").await.status, 200);
}

#[tokio::test]
async fn connectors_and_their_metrics_are_listed_under_familiar_names() {
    let listener = Listener::start().await;
    listener.insert("weather-noaa", |status| {
        status.totals.total_polls = 1234;
        status.totals.average_latency_ms = 233.6;
        status.last_poll_time = Some("2025-02-24T10:30:00Z".parse().unwrap());
    });
    let one = listener.get("/connectors/weather-noaa").await.json();
    assert_eq!(
        (&one["name"], &one["type"]),
        (&"weather-noaa".into(), &"GITHUB".into())
    );
    assert_eq!(one["phase"], "waiting");
    assert_eq!(
        listener.get("/connectors").await.json()["connectors"][0],
        one
    );

    let metrics = listener
        .get("/metrics/connectors/weather-noaa")
        .await
        .json();
    assert_eq!(
        metrics,
        serde_json::json!({
            "connectorName": "weather-noaa",
            "lastPollTime": "2025-02-24T10:30:00Z",
            "lastSuccessTime": null,
            "totalPolls": 1234,
            "successfulPolls": 0,
            "failedPolls": 0,
            "itemsFetched": 0,
            "itemsPublished": 0,
            "averageLatencyMs": 234
        })
    );
    let all = listener.get("/metrics/connectors").await.json();
    assert_eq!(all["connectors"][0], metrics);
}

#[tokio::test]
async fn an_unknown_name_is_told_the_known_ones() {
    let listener = Listener::start().await;
    listener.insert("weather-noaa", |_| ());
    for path in [
        "/connectors/weather",
        "/connectors/weather/health",
        "/metrics/connectors/weather",
        "/health/connectors/weather",
        "/connectors/%2e%2e%2f%22%3E",
    ] {
        let answer = listener.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"], "unknown_connector", "{path}");
        assert_eq!(answer.json()["connectors"][0], "weather-noaa", "{path}");
    }
    let nowhere = listener.get("/nowhere").await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(nowhere.json()["error"], "not_found");
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let listener = Listener::start().await;
    let head = listener.request("HEAD", "/connectors").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), Some("application/json"));
    for method in ["POST", "DELETE", "OPTIONS"] {
        let answer = listener.request(method, "/livez").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
        assert_eq!(answer.json()["error"], "method_not_allowed");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let listener = Listener::start().await;
    listener.insert("github", |status| status.epoch = Some(4));
    let answer = listener.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        answer
            .body
            .contains("connector_worker_lease_held{connector=\"github\"} 1")
    );
    assert!(
        answer
            .body
            .contains("connector_worker_connector_health{connector=\"github\"} 0")
    );
    assert!(answer.body.contains("connector_worker_build_info{version="));
}

#[tokio::test]
async fn the_page_is_guarded_and_escaped() {
    let listener = Listener::start().await;
    listener.insert("<b>x</b>", |_| ());
    let page = listener.get("/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.body.contains("&lt;b&gt;x") && !page.body.contains("<b>"));
}

#[tokio::test]
async fn nonsense_and_oversized_heads_are_refused() {
    let listener = Listener::start().await;
    assert_eq!(listener.raw("nonsense\r\n\r\n").await.status, 400);
    let long = "x".repeat(64 * 1024);
    let request = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n");
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    // The listener may close before everything is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the connection ends");
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert_eq!(listener.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off() {
    let listener = Listener::start().await;
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nx-slow: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("the listener ends the connection by itself")
        .unwrap();
}

#[tokio::test]
async fn serving_ends_soon_after_the_token() {
    let listener = Listener::start().await;
    let idle = TcpStream::connect(listener.address).await.unwrap();
    listener.get("/livez").await;
    listener.shutdown.cancel();
    listener.tasks.close();
    timeout(PATIENCE, listener.tasks.wait())
        .await
        .expect("serving ends");
    assert!(TcpStream::connect(listener.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_taken_explicit_address_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let refused = Server::bind(HttpAddress::Explicit(address), IfTaken::FreePort)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains(&address.to_string()));
    let none = Server::bind(HttpAddress::None, IfTaken::RunWithout).await;
    assert!(none.unwrap().is_none());
}

#[tokio::test]
async fn a_taken_default_port_is_no_error() {
    // Whoever holds the port, this test or another program: it is taken.
    let _held = TcpListener::bind("127.0.0.1:9090").await;
    let without = Server::bind(HttpAddress::Default, IfTaken::RunWithout).await;
    assert!(without.unwrap().is_none());
    let elsewhere = Server::bind(HttpAddress::Default, IfTaken::FreePort)
        .await
        .unwrap()
        .unwrap();
    assert_ne!(elsewhere.address().port(), 9090);
}
