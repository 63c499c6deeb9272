//! The HTTP client keeps to limits: its manifest's, and those that a provider tells of. A server
//! that fails is left alone. Everything is measured at the server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_worker::client::budget::{Budget, Limit, Policy, Rate};
use connector_worker::client::{
    Client, ClientConfig, FetchError, HttpJudge, Observer, RateLimits, Request,
};
use connector_worker::connector::RetryConfig;
use http::{HeaderMap, Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::raw_http::{RawServer, Step, answer};

fn config() -> ClientConfig {
    ClientConfig {
        max_retries: 0,
        retry: RetryConfig {
            base_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(50),
            jitter_ratio: 0.1,
        },
        ..ClientConfig::default()
    }
}

fn get(server: &RawServer, path: &str) -> Request {
    Request {
        method: Method::GET,
        url: server.url.join(path).unwrap(),
        headers: HeaderMap::new(),
        body: None,
    }
}

/// When requests arrived.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

async fn server_noting_arrivals() -> (RawServer, Arrivals) {
    let arrivals = Arrivals::default();
    let seen = arrivals.clone();
    let server = RawServer::start(move |_, _| {
        seen.lock().unwrap().push(Instant::now());
        answer("200 OK", "", "{}")
    })
    .await;
    (server, arrivals)
}

/// Fails if a request arrived sooner than `earliest` says, counted from `began`, which was before
/// the first. A busy machine makes requests late, never early, so this needs no tolerance.
fn assert_none_is_early(arrivals: &Arrivals, began: Instant, earliest: impl Fn(u32) -> Duration) {
    let arrivals = arrivals.lock().unwrap();
    for (number, at) in (0..).zip(arrivals.iter()) {
        let (took, least) = (*at - began, earliest(number));
        assert!(
            took >= least,
            "request {number} after {took:?}, not {least:?}"
        );
    }
}

#[tokio::test]
async fn the_manifests_rate_holds_at_the_server() {
    let (server, arrivals) = server_noting_arrivals().await;
    let limits = RateLimits {
        requests_per_second: Some(20.0),
        burst: Some(2.0),
        ..RateLimits::default()
    };
    let limits = Arc::new(limits);
    let client = Client::new(ClientConfig { limits, ..config() }).unwrap();
    let began = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..12 {
        let (client, request) = (client.clone(), get(&server, "/"));
        all.spawn(async move { client.send(&request, &HttpJudge::default()).await.unwrap() });
    }
    all.join_all().await;
    // Two at once, then one every 50 ms.
    assert_none_is_early(&arrivals, began, |number| {
        Duration::from_millis(50) * number.saturating_sub(1)
    });
}

#[tokio::test]
async fn no_more_requests_are_on_their_way_than_the_manifest_allows() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (now.clone(), most.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move || {
        let (now, most) = seen.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            "{}"
        }
    });
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let limits = RateLimits {
        concurrent_requests: Some(3),
        ..RateLimits::default()
    };
    let limits = Arc::new(limits);
    let client = Client::new(ClientConfig { limits, ..config() }).unwrap();
    let mut all = JoinSet::new();
    for _ in 0..12 {
        let client = client.clone();
        let request = Request {
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
        };
        all.spawn(async move { client.send(&request, &HttpJudge::default()).await.unwrap() });
    }
    all.join_all().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// A provider that lets ten requests through in each window of a second, says so, and notes who
/// does not heed it.
struct Window {
    began: Instant,
    left: u32,
}

#[tokio::test]
async fn a_limit_that_the_provider_tells_of_is_never_overrun() {
    const LIMIT: u32 = 10;
    let refused = Arc::new(AtomicUsize::new(0));
    let window = Mutex::new(None::<Window>);
    let overruns = refused.clone();
    let server = RawServer::start(move |_, _| {
        let mut window = window.lock().unwrap();
        let now = Instant::now();
        let length = Duration::from_secs(1);
        let current = match window.take() {
            Some(window) if now < window.began + length => window,
            _ => Window {
                began: now,
                left: LIMIT,
            },
        };
        let reset = (current.began + length - now).as_secs_f64();
        if current.left == 0 {
            overruns.fetch_add(1, Ordering::SeqCst);
            *window = Some(current);
            return answer("429 Too Many Requests", "", "");
        }
        let left = current.left - 1;
        let headers = format!(
            "X-RateLimit-Limit: {LIMIT}\r\nX-RateLimit-Remaining: {left}\r\nX-RateLimit-Reset: {reset:.3}\r\n"
        );
        *window = Some(Window { left, ..current });
        answer("200 OK", &headers, "{}")
    })
    .await;
    let client = Client::new(config()).unwrap();
    let began = Instant::now();
    for _ in 0..25 {
        client
            .send(&get(&server, "/"), &HttpJudge::default())
            .await
            .unwrap();
    }
    assert_eq!(refused.load(Ordering::SeqCst), 0);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "needlessly slow: {took:?}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_ends_the_poll_and_leaves_room_for_a_check() {
    let server = RawServer::start(|_, _| {
        let headers =
            "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 1\r\nX-RateLimit-Reset: 600\r\n";
        answer("200 OK", headers, "{}")
    })
    .await;
    let client = Client::new(config()).unwrap();
    let request = get(&server, "/");
    client.send(&request, &HttpJudge::default()).await.unwrap();
    match client.send(&request, &HttpJudge::default()).await {
        Err(FetchError::RateLimited { retry_after }) => {
            let wait = retry_after.as_secs();
            assert!((598..=601).contains(&wait), "{wait} s");
        }
        other => panic!("{:?}", other.map(|response| response.status)),
    }
    assert_eq!(server.requests().len(), 1, "the provider was not asked");
    let urgent = client.from_reserve();
    urgent.send(&request, &HttpJudge::default()).await.unwrap();
}

#[tokio::test]
async fn a_budget_of_the_low_code_format_holds_at_the_server() {
    let (server, arrivals) = server_noting_arrivals().await;
    let interval = Duration::from_millis(300);
    let rate = Rate { calls: 3, interval };
    let budget = Budget {
        policies: vec![Policy::new(Vec::new(), Limit::Moving(vec![rate]))],
        remaining_header: "ratelimit-remaining".to_owned(),
        reset_header: "ratelimit-reset".to_owned(),
        hit_statuses: vec![429],
    };
    let client = Client::new(config()).unwrap().within(Some(budget));
    let began = Instant::now();
    for _ in 0..8 {
        client
            .send(&get(&server, "/"), &HttpJudge::default())
            .await
            .unwrap();
    }
    assert_none_is_early(&arrivals, began, |number| interval * (number / 3));
}

/// Notes what is told.
#[derive(Default)]
struct Notes(Mutex<Vec<Option<Duration>>>);

impl Observer for Notes {
    fn throttled(&self, _wait: Duration) {}
    fn answered(&self, _status: StatusCode, _took: Duration, _bytes: usize) {}
    fn suspended(&self, _server: &str, pause: Option<Duration>) {
        self.0.lock().unwrap().push(pause);
    }
}

#[tokio::test]
async fn a_server_that_fails_again_and_again_is_left_alone_and_probed() {
    let healthy = Arc::new(AtomicUsize::new(0));
    let is_healthy = healthy.clone();
    let server = RawServer::start(move |_, _| match is_healthy.load(Ordering::SeqCst) {
        0 => answer("503 Service Unavailable", "", ""),
        1 => vec![Step::Close],
        _ => answer("200 OK", "", "{}"),
    })
    .await;
    let notes = Arc::new(Notes::default());
    let pause = Duration::from_secs(1);
    let client = Client::new(ClientConfig {
        max_backoff: Some(pause),
        observer: Some(notes.clone()),
        ..config()
    })
    .unwrap();
    let request = get(&server, "/");
    let send = async || client.send(&request, &HttpJudge::default()).await;
    for failures in 1..=20 {
        assert!(matches!(send().await, Err(FetchError::Unavailable(_))));
        // The connection that is closed counts as well.
        healthy.store(usize::from(failures % 2 == 1), Ordering::SeqCst);
    }
    let asked = server.requests().len();
    assert_eq!(asked, 5, "after that it is left alone");
    let error = send().await.err().unwrap().to_string();
    assert!(error.contains("failed again and again"), "{error}");
    assert!(!client.wants_probe());

    tokio::time::sleep(pause).await;
    assert!(client.wants_probe());
    healthy.store(0, Ordering::SeqCst);
    assert!(send().await.is_err() && send().await.is_err());
    assert_eq!(server.requests().len(), asked + 1, "one probe");

    tokio::time::sleep(pause).await;
    healthy.store(2, Ordering::SeqCst);
    send().await.unwrap();
    send().await.unwrap();
    assert!(!client.wants_probe());
    let told = notes.0.lock().unwrap().clone();
    assert_eq!(told, [Some(pause), Some(pause), None]);
}

#[tokio::test]
async fn refusals_are_answers_and_leave_the_circuit_closed() {
    let server = RawServer::start(|number, _| {
        let status = ["429 Too Many Requests", "404 Not Found", "401 Unauthorized"][number % 3];
        answer(status, "", "")
    })
    .await;
    let client = Client::new(ClientConfig {
        max_backoff: Some(Duration::from_millis(1)),
        max_wait: Duration::ZERO,
        ..config()
    })
    .unwrap();
    for _ in 0..20 {
        let refused = client.send(&get(&server, "/"), &HttpJudge::default()).await;
        assert!(refused.is_err());
        // Until the wait of the 429 is over.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.requests().len(), 20);
}

#[tokio::test]
async fn all_waits_of_a_poll_are_bounded_together() {
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let server = RawServer::start(move |_, _| answer(status, "", "")).await;
        let client = Client::new(ClientConfig {
            max_retries: 1000,
            max_repeating: Duration::from_millis(250),
            ..config()
        })
        .unwrap();
        let request = get(&server, "/");
        let send = async || client.send(&request, &HttpJudge::default()).await;
        client.begin_poll();
        match (status, send().await) {
            ("503 Service Unavailable", Err(FetchError::Unavailable(_)))
            | ("429 Too Many Requests", Err(FetchError::RateLimited { .. })) => {}
            (_, other) => panic!("{status}: {:?}", other.map(|response| response.status)),
        }
        let first = server.requests().len();
        // 10, 20, 40, 50, 50, 50, 50 ms, or what the circuit breaker lets through of them.
        assert!((4..=9).contains(&first), "{status}: {first} requests");
        if status.starts_with("429") {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(send().await.is_err());
            assert_eq!(
                server.requests().len(),
                first + 1,
                "the poll has waited enough"
            );
            client.begin_poll();
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(send().await.is_err());
            assert!(
                server.requests().len() > first + 3,
                "another poll waits anew"
            );
        }
    }
}
