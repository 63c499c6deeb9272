//! The HTTP client against servers that are slow, broken or hostile.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use connector_worker::client::{
    AddressPolicy, Client, ClientConfig, FetchError, HttpJudge, Judge, Observer, Request, Response,
    TransportError, TransportKind, Verdict, set_header,
};
use connector_worker::connector::RetryConfig;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use url::Url;

use crate::support::raw_http::{RawServer, Step, answer};

const CANARY: &str = "canary-5f3a91";

fn config() -> ClientConfig {
    ClientConfig {
        request_timeout: Duration::from_secs(5),
        max_retries: 2,
        retry: RetryConfig {
            base_delay: Duration::from_millis(40),
            max_delay: Duration::from_secs(1),
            jitter_ratio: 0.1,
        },
        ..ClientConfig::default()
    }
}

fn client(config: ClientConfig) -> Client {
    Client::new(config).unwrap()
}

fn get(url: &Url, path: &str) -> Request {
    let mut headers = HeaderMap::new();
    set_header(&mut headers, "Authorization", &format!("Bearer {CANARY}")).unwrap();
    set_header(&mut headers, "X-Api-Key", CANARY).unwrap();
    set_header(&mut headers, "Accept", "application/json").unwrap();
    let mut url = url.join(path).unwrap();
    url.query_pairs_mut().append_pair("token", CANARY);
    Request {
        method: Method::GET,
        url,
        headers,
        body: None,
    }
}

async fn fetch(config: ClientConfig, request: &Request) -> Result<Response, FetchError> {
    let client = client(config);
    let outcome = client.send(request, &HttpJudge::default()).await;
    let error = outcome.as_ref().err();
    let said = format!(
        "{client:?} {request:?} {error:?} {}",
        error.map_or(String::new(), ToString::to_string)
    );
    assert!(!said.contains(CANARY), "a secret got out: {said}");
    outcome
}

/// Accepts every answer; keeps the failures of the network and gives up at the first.
#[derive(Default)]
struct Witness(Mutex<Option<TransportError>>);

impl Judge for Witness {
    fn judge(&self, answer: Result<&Response, &TransportError>, _attempt: u32) -> Verdict {
        *self.0.lock().unwrap() = answer.err().cloned();
        Verdict::Accept
    }
}

/// What kind of failure `request` meets, and how it reads.
async fn failure(config: ClientConfig, request: &Request) -> TransportError {
    let witness = Witness::default();
    let outcome = client(config).send(request, &witness).await;
    assert!(outcome.is_err());
    let error = witness
        .0
        .into_inner()
        .unwrap()
        .expect("no failure of the network");
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    error
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn connections_are_reused_and_the_worker_names_itself() {
    let server = RawServer::start(|number, _| match number {
        1 => answer("304 Not Modified", "ETag: \"a\"\r\n", ""),
        _ => answer("200 OK", "", "[1]"),
    })
    .await;
    let client = client(config());
    for _ in 0..5 {
        client
            .send(&get(&server.url, "a"), &HttpJudge::default())
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 1);
    let head = server.requests()[0].to_lowercase();
    let agent = concat!("user-agent: connector-worker/", env!("CARGO_PKG_VERSION"));
    assert!(head.contains(agent), "{head}");
    assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
}

#[tokio::test]
async fn a_body_arrives_whole_however_it_is_cut() {
    let data: Vec<u8> = (0..300_000u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let body = data.clone();
    let server = RawServer::start(move |_, head| {
        if head.contains("/zip") {
            return answer("200 OK", "Content-Encoding: gzip\r\n", gzip(&body));
        }
        if head.contains("/chunked") {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in body.chunks(7_777) {
                bytes.extend(format!("{:x}\r\n", part.len()).bytes());
                bytes.extend_from_slice(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            return vec![Step::Write(bytes)];
        }
        answer("200 OK", "", &body)
    })
    .await;
    for path in ["plain", "zip", "chunked"] {
        let response = fetch(config(), &get(&server.url, path)).await.unwrap();
        assert_eq!(response.body, Bytes::from(data.clone()), "{path}");
    }
}

#[tokio::test]
async fn a_compressed_answer_without_a_body_is_an_empty_one() {
    let server = RawServer::start(|_, _| answer("200 OK", "Content-Encoding: gzip\r\n", "")).await;
    let response = fetch(config(), &get(&server.url, "a")).await.unwrap();
    assert!(response.body.is_empty());
}

#[tokio::test]
async fn a_body_is_bounded_after_decompression() {
    let bomb = gzip(&vec![b' '; 20 * 1024 * 1024]);
    let server = RawServer::start(move |_, head| {
        if head.contains("/bomb") {
            answer("200 OK", "Content-Encoding: gzip\r\n", &bomb)
        } else {
            answer("200 OK", "", vec![b' '; 2 * 1024 * 1024])
        }
    })
    .await;
    let config = ClientConfig {
        max_body_bytes: 1024 * 1024,
        ..config()
    };
    for path in ["bomb", "plain"] {
        let error = failure(config.clone(), &get(&server.url, path)).await;
        assert_eq!(error.kind, TransportKind::TooLarge, "{path}: {error}");
    }
    let error = fetch(config, &get(&server.url, "bomb"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, FetchError::Bound(_)), "{error}");
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let whole = gzip(&vec![7; 100_000]);
    let server = RawServer::start(move |_, head| {
        let bytes = if head.contains("/length") {
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,2".to_vec()
        } else if head.contains("/chunked") {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n".to_vec()
        } else if head.contains("/gzip") {
            let cut = &whole[..whole.len() / 2];
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                cut.len()
            );
            [head.as_bytes(), cut].concat()
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n[42]".to_vec()
        };
        vec![Step::Write(bytes), Step::Close]
    })
    .await;
    for path in ["length", "chunked", "gzip", "not-gzip"] {
        let error = failure(config(), &get(&server.url, path)).await;
        assert_eq!(error.kind, TransportKind::Truncated, "{path}: {error}");
    }
}

#[tokio::test]
async fn an_encoding_nobody_asked_for_is_named() {
    let server = RawServer::start(|_, _| answer("200 OK", "Content-Encoding: br\r\n", "xx")).await;
    let error = failure(config(), &get(&server.url, "a")).await;
    assert!(error.message.contains("content encoding br"), "{error}");
}

#[tokio::test]
async fn one_deadline_holds_for_head_and_body() {
    let server = RawServer::start(|_, head| {
        if head.contains("/silent") {
            return vec![Step::Pause(Duration::from_secs(30))];
        }
        // Never silent for long, never done.
        let mut steps = vec![Step::Write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n".to_vec(),
        )];
        for _ in 0..300 {
            steps.push(Step::Pause(Duration::from_millis(100)));
            steps.push(Step::Write(b".".to_vec()));
        }
        steps
    })
    .await;
    let config = ClientConfig {
        request_timeout: Duration::from_millis(400),
        ..config()
    };
    for path in ["silent", "slow"] {
        let began = Instant::now();
        let error = failure(config.clone(), &get(&server.url, path)).await;
        assert_eq!(error.kind, TransportKind::Timeout, "{path}: {error}");
        assert!(error.message.contains("400 ms"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(3), "{path}");
    }
}

#[tokio::test]
async fn a_body_may_not_fall_silent() {
    let server = RawServer::start(|_, _| {
        vec![
            Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[".to_vec()),
            Step::Pause(Duration::from_secs(30)),
        ]
    })
    .await;
    let config = ClientConfig {
        read_timeout: Duration::from_millis(200),
        ..config()
    };
    let error = failure(config, &get(&server.url, "a")).await;
    assert_eq!(error.kind, TransportKind::Timeout);
    assert!(error.message.contains("sent nothing more"), "{error}");
}

#[tokio::test]
async fn failures_to_connect_are_told_apart() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let hangs_up = RawServer::start(|_, _| vec![Step::Close]).await;
    let speaks_other = RawServer::start(|_, _| vec![Step::Write(b"220 smtp\r\n".to_vec())]).await;
    for (url, kind, words) in [
        (
            format!("http://{closed}/"),
            TransportKind::Connect,
            "refuses the connection",
        ),
        (
            hangs_up.url.to_string(),
            TransportKind::Lost,
            "without an answer",
        ),
        (
            speaks_other.url.to_string(),
            TransportKind::Lost,
            "does not speak HTTP",
        ),
        (
            "http://no-such-host.invalid/".to_owned(),
            TransportKind::Dns,
            "no-such-host.invalid",
        ),
    ] {
        let error = failure(config(), &get(&url.parse().unwrap(), "a")).await;
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(error.message.contains(words), "{url}: {error}");
    }
}

#[tokio::test]
async fn https_to_a_server_of_plain_http_says_so() {
    // Answers whatever comes, a TLS handshake included.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = failure(config(), &get(&url.parse().unwrap(), "a")).await;
    assert_eq!(error.kind, TransportKind::Tls);
    assert!(error.message.contains("plain http"), "{error}");
}

#[tokio::test]
async fn server_errors_are_repeated_with_growing_waits() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = RawServer::start(move |_, _| {
        seen.lock().unwrap().push(Instant::now());
        answer("500 Internal Server Error", "", "")
    })
    .await;
    let error = fetch(config(), &get(&server.url, "a")).await.err().unwrap();
    assert!(
        matches!(&error, FetchError::Unavailable(text) if text.contains("500")),
        "{error}"
    );
    let times = times.lock().unwrap().clone();
    assert_eq!(times.len(), 3, "one request and two repetitions");
    assert!(times[1] - times[0] >= Duration::from_millis(40));
    assert!(times[2] - times[1] >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_repetition_that_works_is_the_answer() {
    let server = RawServer::start(|number, _| match number {
        0 => vec![Step::Close],
        1 => answer("503 Service Unavailable", "", ""),
        _ => answer("200 OK", "", "[]"),
    })
    .await;
    let response = fetch(config(), &get(&server.url, "a")).await.unwrap();
    assert_eq!(response.body, "[]");
    assert_eq!(server.requests().len(), 3);
}

#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

impl Observer for Waits {
    fn throttled(&self, wait: Duration) {
        self.0.lock().unwrap().push(wait);
    }
    fn answered(&self, _status: StatusCode, _took: Duration, _bytes: usize) {}
}

#[tokio::test]
async fn a_429_is_a_wait_and_costs_no_retry() {
    let server = RawServer::start(|number, _| match number {
        0..=2 => answer("429 Too Many Requests", "Retry-After: 0.2\r\n", ""),
        _ => answer("200 OK", "", "[]"),
    })
    .await;
    let waits = Arc::new(Waits::default());
    let config = ClientConfig {
        max_retries: 0,
        observer: Some(Arc::clone(&waits) as Arc<dyn Observer>),
        ..config()
    };
    let began = Instant::now();
    fetch(config, &get(&server.url, "a")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(600));
    let waits = waits.0.lock().unwrap();
    assert_eq!(waits.len(), 3);
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_millis(200)),
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_wait_too_long_for_a_poll_is_handed_up() {
    let server =
        RawServer::start(|_, _| answer("429 Too Many Requests", "Retry-After: 120\r\n", "")).await;
    let error = fetch(config(), &get(&server.url, "a")).await.err().unwrap();
    let FetchError::RateLimited { retry_after } = error else {
        panic!("{error}")
    };
    let hint = Duration::from_mins(2);
    assert!(retry_after >= hint && retry_after < hint + Duration::from_secs(2));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_provider_that_says_now_and_refuses_again_is_not_hammered() {
    let server =
        RawServer::start(|_, _| answer("429 Too Many Requests", "Retry-After: 0\r\n", "")).await;
    let config = ClientConfig {
        max_wait: Duration::from_millis(700),
        ..config()
    };
    let error = fetch(config, &get(&server.url, "a")).await.err().unwrap();
    assert!(matches!(error, FetchError::RateLimited { .. }), "{error}");
    // 40 + 80 + 160 + 320 ms and no room for 640.
    assert!(server.requests().len() <= 5, "{}", server.requests().len());
}

#[tokio::test]
async fn the_cap_on_waits_shortens_them_and_keeps_their_number_bounded() {
    let server =
        RawServer::start(|_, _| answer("429 Too Many Requests", "Retry-After: 20\r\n", "")).await;
    let config = ClientConfig {
        max_backoff: Some(Duration::from_millis(5)),
        ..config()
    };
    let began = Instant::now();
    let error = fetch(config, &get(&server.url, "a")).await.err().unwrap();
    assert_eq!(
        error,
        FetchError::RateLimited {
            retry_after: Duration::from_millis(5)
        }
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(server.requests().len() <= 4, "{}", server.requests().len());
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let other = RawServer::start(|_, _| answer("200 OK", "", "[]")).await;
    let to = other.url.to_string();
    let server = RawServer::start(move |_, head| {
        if head.contains("/same") {
            answer("302 Found", "Location: /next?x=1\r\n", "")
        } else if head.contains("/next") {
            answer("200 OK", "", "[]")
        } else {
            answer("302 Found", &format!("Location: {to}\r\n"), "")
        }
    })
    .await;
    let response = fetch(config(), &get(&server.url, "same")).await.unwrap();
    assert_eq!(response.url.path(), "/next");
    assert!(
        server.requests()[1].contains(CANARY),
        "the same host still gets them"
    );

    fetch(config(), &get(&server.url, "away")).await.unwrap();
    let head = &other.requests()[0];
    assert!(!head.contains(CANARY), "{head}");
    assert!(
        head.to_lowercase().contains("accept: application/json"),
        "{head}"
    );

    let post = Request {
        method: Method::POST,
        body: Some("{}".into()),
        ..get(&server.url, "away")
    };
    let error = fetch(config(), &post).await.err().unwrap();
    assert!(matches!(&error, FetchError::Misconfigured(_)), "{error}");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let server = RawServer::start(|_, _| answer("302 Found", "Location: /again\r\n", "")).await;
    let error = failure(config(), &get(&server.url, "a")).await;
    assert_eq!(error.kind, TransportKind::Refused);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn metadata_addresses_are_refused_directly_and_by_redirect() {
    let server = RawServer::start(|_, _| {
        answer(
            "302 Found",
            "Location: http://169.254.169.254/latest/meta-data/\r\n",
            "",
        )
    })
    .await;
    for url in [
        server.url.clone(),
        "http://[fd00:ec2::254]/".parse().unwrap(),
    ] {
        let error = failure(config(), &get(&url, "a")).await;
        assert_eq!(error.kind, TransportKind::Refused, "{error}");
        assert!(error.message.contains("metadata"), "{error}");
    }
}

#[tokio::test]
async fn a_tenants_connector_reaches_no_private_address() {
    let server = RawServer::start(|_, _| answer("200 OK", "", "[]")).await;
    let config = ClientConfig {
        address_policy: AddressPolicy::Tenant,
        ..config()
    };
    // A name is checked too, once it is resolved: `localhost.` by itself, others by their address.
    let by_name = server.url.as_str().replace("127.0.0.1", "localhost");
    for url in [server.url.clone(), by_name.parse().unwrap()] {
        let error = failure(config.clone(), &get(&url, "a")).await;
        assert_eq!(error.kind, TransportKind::Refused, "{error}");
    }
    assert_eq!(server.connections(), 0);
}
