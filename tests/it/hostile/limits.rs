//! Limits: a provider that says "not so fast" without saying when, bursts of failures, and a rate
//! that two connectors share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Arrivals, MANIFEST, Scene, configured_by, connector, page, start, start_in, start_on};
use crate::support::raw_http::{RawServer, Step, answer};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_429_without_a_hint_is_waited_for_ever_longer() {
    let (arrivals, is_limited) = (Arrivals::default(), Arc::new(AtomicBool::new(true)));
    let (seen, limited) = (arrivals.clone(), is_limited.clone());
    let server = RawServer::start(move |_, _| {
        seen.note();
        if limited.load(Ordering::SeqCst) {
            answer("429 Too Many Requests", "", "slow down")
        } else {
            page(0..3, None)
        }
    })
    .await;
    let scene = start(&[connector("items", &server, "t0ken")], "{}");
    let found = scene.until("throttled", |connector| {
        connector["phase"] == "throttled" && connector["throttledUntil"].is_string()
    });
    assert_eq!(found["consecutiveFailures"], json!(0));
    assert_eq!(found["health"], "degraded");
    let reasons = found["reasons"].to_string();
    assert!(reasons.contains("asked to wait until"), "{reasons}");
    std::thread::sleep(Duration::from_secs(4));
    // 50, 100, 200, 400, 800, 1600, 2000, 2000 ms: no more than these.
    let asked = arrivals.all();
    assert!(asked.len() <= 9, "{} requests", asked.len());
    for pair in asked.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(49), "hammered");
    }
    assert!(scene.metric("throttled_seconds_total", "items") >= 1);
    assert_eq!(scene.metric("circuit_opened_total", "items"), 0);
    is_limited.store(false, Ordering::SeqCst);
    scene.until_well();
    assert_eq!(scene.metric("polls_total", "outcome=\"failure\""), 0);
    let log = scene.process.log();
    assert!(log.contains("asked connector items to wait"), "{log}");
    assert!(
        !log.contains("poll failed"),
        "throttled is not failed:\n{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_retry_after_is_heeded_by_every_connector_of_the_credential() {
    let (arrivals, count) = (Arrivals::default(), Arc::new(AtomicUsize::new(0)));
    let seen = arrivals.clone();
    let server = RawServer::start(move |_, head| {
        if head.contains("other-token") {
            return page(0..3, None);
        }
        seen.note();
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => answer("429 Too Many Requests", "Retry-After: 300\r\n", ""),
            _ => page(0..3, None),
        }
    })
    .await;
    let scene = start(
        &[
            connector("one", &server, "t0ken"),
            connector("two", &server, "t0ken"),
            connector("other", &server, "other-token"),
        ],
        "{}",
    );
    for name in ["one", "two"] {
        scene.until("throttled", |connector| {
            connector["name"] == name
                && connector["phase"] == "throttled"
                && connector["throttledUntil"].is_string()
        });
    }
    std::thread::sleep(Duration::from_secs(2));
    // Both may have been on their way at once; nobody asks after the answer.
    assert!(arrivals.all().len() <= 2, "{}", arrivals.all().len());
    // Another credential is another matter.
    scene.until("the other", |connector| {
        connector["name"] == "other" && connector["totals"]["totalPolls"].as_u64() > Some(3)
    });
    assert_eq!(scene.metric("polls_total", "outcome=\"failure\""), 0);
}

/// A server that notes when each request arrives.
async fn noted(
    answer: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
) -> (RawServer, Arrivals) {
    let arrivals = Arrivals::default();
    let seen = arrivals.clone();
    let server = RawServer::start(move |number, head| {
        seen.note();
        answer(number, head)
    })
    .await;
    (server, arrivals)
}

/// The page that is asked for, of so many.
fn one_of_pages(head: &str, pages: usize) -> Vec<Step> {
    let asked = head.split("page=").nth(1);
    let asked = asked.and_then(|rest| rest.split(' ').next()?.parse().ok());
    let number = asked.unwrap_or(0);
    let next = (number + 1 < pages).then(|| (number + 1).to_string());
    page(number * 3..number * 3 + 3, next.as_deref())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connectors_of_one_credential_stay_under_its_limit_together() {
    let (server, arrivals) = noted(move |_, head| one_of_pages(head, 20)).await;
    let began = Instant::now();
    let scene = start(
        &[
            connector("one", &server, "t0ken"),
            connector("two", &server, "t0ken"),
        ],
        "{ requests_per_second: 20, burst: 4 }",
    );
    for name in ["one", "two"] {
        scene.until("two polls", |connector| {
            connector["name"] == name && connector["totals"]["totalPolls"].as_u64() >= Some(2)
        });
    }
    assert!(arrivals.all().len() >= 80);
    arrivals.assert_paced(began, 20.0, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_redirect_leads_to_takes_its_turn_as_well() {
    let (server, arrivals) = noted(move |number, head| {
        if head.starts_with("GET /items") {
            let location = format!("Location: /moved?{number}\r\n");
            return answer("302 Found", &location, "elsewhere");
        }
        page(0..3, None)
    })
    .await;
    let began = Instant::now();
    let scene = start(
        &[connector("items", &server, "t0ken")],
        "{ requests_per_second: 10, burst: 2 }",
    );
    scene.until("ten polls", |connector| {
        connector["totals"]["totalPolls"].as_u64() >= Some(10)
    });
    assert!(arrivals.all().len() >= 20);
    arrivals.assert_paced(began, 10.0, 2.0);
    assert!(scene.metric("http_requests_total", "status=\"3xx\"") >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_share_a_store_stay_under_the_limit_together() {
    let redis = RedisServer::start();
    let sqlite = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", sqlite.path().join("store.db").display());
    for store in [redis.url(), file] {
        let (server, arrivals) = noted(move |_, head| one_of_pages(head, 15)).await;
        let began = Instant::now();
        let workers: Vec<_> = ["one", "two", "three"]
            .map(|name| {
                let connectors = [connector(name, &server, "t0ken")];
                start_on(&store, &connectors, "{ requests_per_second: 20, burst: 4 }")
            })
            .into();
        for worker in &workers {
            worker.until("a poll, and the others", |connector| {
                connector["totals"]["totalPolls"].as_u64() >= Some(2)
                    && connector["rateProcesses"] == json!(3)
            });
            assert_eq!(worker.metric("rate_processes", ""), 3);
        }
        assert!(arrivals.all().len() >= 60, "{}", arrivals.all().len());
        arrivals.assert_paced(began, 20.0, 4.0);
        let log = workers[0].process.log();
        assert!(!log.contains("t0ken"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_lost_store_nor_a_killed_worker_lets_the_others_exceed_the_rate() {
    let mut redis = RedisServer::start_durable();
    let (server, arrivals) = noted(move |_, head| one_of_pages(head, 15)).await;
    let began = Instant::now();
    let mut workers: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            let connectors = [connector(name, &server, "t0ken")];
            let limits = "{ requests_per_second: 20, burst: 4 }";
            start_on(&redis.url(), &connectors, limits)
        })
        .into();
    for worker in &workers {
        worker.until("all", |connector| connector["rateProcesses"] == json!(3));
    }
    redis.kill();
    std::thread::sleep(Duration::from_secs(2));
    redis.restart();
    let polls = |worker: &Scene| worker.metric("polls_total", "outcome=\"success\"");
    let before: Vec<_> = workers.iter().map(polls).collect();
    for (worker, before) in workers.iter().zip(before) {
        worker.until("it reads again", |_| polls(worker) > before + 1);
    }
    let killed = workers.pop().unwrap();
    killed.process.signal("KILL");
    let (before, asked) = (polls(&workers[0]), arrivals.all().len());
    workers[0].until("it goes on", |_| polls(&workers[0]) > before + 2);
    assert!(arrivals.all().len() > asked);
    arrivals.assert_paced(began, 20.0, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_share_a_store_divide_a_budget() {
    let redis = RedisServer::start();
    let (server, arrivals) = noted(move |_, head| one_of_pages(head, 15)).await;
    let budget = "api_budget: { type: HTTPAPIBudget, policies: [{ type: MovingWindowCallRatePolicy, \
                  rates: [{ limit: 10, interval: PT1S }], matchers: [] }] }\nspec:\n";
    let manifest = MANIFEST.replace("RATE_LIMITS", "{}");
    let manifest = manifest.replace("spec:\n", budget);
    let workers = ["one", "two"].map(|name| {
        let connectors = [connector(name, &server, "t0ken")];
        start_in(configured_by(&connectors, &manifest), &redis.url())
    });
    for worker in &workers {
        worker.until("both", |connector| connector["rateProcesses"] == json!(2));
    }
    let (began, before) = (Instant::now(), arrivals.all().len());
    workers[0].until("fifty requests", |_| arrivals.all().len() >= before + 50);
    // What was taken before they knew of each other may still come, once.
    for (number, at) in (1..).zip(&arrivals.all()[before..]) {
        let least = (f64::from(number) - 20.0) / 10.0;
        let took = (*at - began).as_secs_f64();
        assert!(
            took >= least,
            "request {number} after {took} s, not {least} s"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_server_errors_open_the_circuit_and_one_request_probes() {
    let (arrivals, failing) = (Arrivals::default(), Arc::new(Mutex::new(true)));
    let (seen, is_failing) = (arrivals.clone(), failing.clone());
    let server = RawServer::start(move |number, _| {
        seen.note();
        if *is_failing.lock().unwrap() {
            let status = ["500 Oops", "502 Bad Gateway", "503 Service Unavailable"][number % 3];
            answer(status, "", "<html>")
        } else {
            page(0..3, None)
        }
    })
    .await;
    let scene = start(
        &[
            connector("one", &server, "t0ken"),
            connector("two", &server, "t0ken"),
        ],
        "{}",
    );
    for name in ["one", "two"] {
        scene.until("left alone", |connector| {
            connector["name"] == name
                && connector["reasons"]
                    .to_string()
                    .contains("is left alone until")
        });
    }
    let began = Instant::now();
    while arrivals.all().len() < 6 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = arrivals.all();
    // Five failures, or as many more as were on their way; then silence, then one probe.
    let pause = asked
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap();
    assert!(pause >= Duration::from_millis(4900), "{pause:?}");
    assert!(asked.len() <= 8, "{} requests", asked.len());
    *failing.lock().unwrap() = false;
    for name in ["one", "two"] {
        scene.until("well again", |connector| {
            connector["name"] == name
                && connector["lastError"].is_null()
                && connector["suspendedUntil"] == json!({})
                && connector["health"] == "healthy"
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_heeds_what_another_was_told() {
    let redis = RedisServer::start();
    let sqlite = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", sqlite.path().join("store.db").display());
    for store in [redis.url(), file] {
        let server =
            RawServer::start(|_, _| answer("429 Too Many Requests", "Retry-After: 300\r\n", ""))
                .await;
        let one = start_on(&store, &[connector("one", &server, "t0ken")], "{}");
        one.until("throttled", |connector| connector["phase"] == "throttled");
        let asked = server.requests().len();
        let two = start_on(&store, &[connector("two", &server, "t0ken")], "{}");
        let found = two.until("throttled as well", |connector| {
            connector["phase"] == "throttled" && connector["throttledUntil"].is_string()
        });
        assert_eq!(found["lastSummary"]["fetched"], json!(0));
        assert_eq!(server.requests().len(), asked, "{store}: nobody asks again");
        // Another credential is another matter.
        let other = start_on(&store, &[connector("three", &server, "0ther")], "{}");
        other.until("it asks", |_| server.requests().len() > asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_told_in_the_providers_own_way_is_never_overrun() {
    const LIMIT: u32 = 10;
    let overruns = Arc::new(AtomicUsize::new(0));
    let (window, refused) = (Mutex::new((Instant::now(), LIMIT)), overruns.clone());
    let server = RawServer::start(move |number, _| {
        let mut window = window.lock().unwrap();
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), LIMIT);
        }
        if window.1 == 0 {
            refused.fetch_add(1, Ordering::SeqCst);
            return answer("429 Too Many Requests", "", "");
        }
        window.1 -= 1;
        let ends = Duration::from_secs(1).saturating_sub(window.0.elapsed());
        let next = (number % 8 != 7).then(|| format!("page-{number}"));
        let body = json!({
            "items": [{ "id": number }], "next": next,
            "limit": { "left": window.1, "of": LIMIT },
        });
        let headers = format!("X-Ends-In: {}\r\n", ends.as_millis() + 1);
        answer("200 OK", &headers, body.to_string())
    })
    .await;
    let scene = start(
        &[connector("items", &server, "t0ken")],
        "{ quotas: [{ remaining: /limit/left, limit: /limit/of, reset: X-Ends-In, reset_format: milliseconds }] }",
    );
    scene.until("four polls", |connector| {
        connector["totals"]["totalPolls"].as_u64() >= Some(4)
    });
    assert_eq!(
        overruns.load(Ordering::SeqCst),
        0,
        "{}",
        scene.process.log()
    );
}

/// A window of some length that lets so many requests through.
struct Window {
    length: Duration,
    of: u32,
    began: Instant,
    left: u32,
}

impl Window {
    fn new(length: Duration, of: u32) -> Self {
        Self {
            length,
            of,
            began: Instant::now(),
            left: of,
        }
    }

    /// Counts a request; `false` where none is left.
    fn count(&mut self) -> bool {
        if self.began.elapsed() >= self.length {
            *self = Self::new(self.length, self.of);
        }
        let fits = self.left > 0;
        self.left = self.left.saturating_sub(1);
        fits
    }

    fn headers(&self) -> String {
        let ends = self.length.saturating_sub(self.began.elapsed());
        format!(
            "X-RateLimit-Limit: {}\r\nX-RateLimit-Remaining: {}\r\nX-RateLimit-Reset: {}\r\n",
            self.of,
            self.left,
            ends.as_secs_f64() + 0.01
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_windows_that_are_told_in_turns_neither_is_overrun() {
    let overruns = Arc::new(AtomicUsize::new(0));
    let windows = Mutex::new([
        Window::new(Duration::from_millis(500), 8),
        Window::new(Duration::from_secs(4), 30),
    ]);
    let refused = overruns.clone();
    let server = RawServer::start(move |number, _| {
        let mut windows = windows.lock().unwrap();
        // Not `all`: each counts.
        if windows
            .iter_mut()
            .filter_map(|window| window.count().then_some(()))
            .count()
            < 2
        {
            refused.fetch_add(1, Ordering::SeqCst);
            return answer("429 Too Many Requests", "", "");
        }
        let next = (number % 8 != 7).then(|| format!("page-{number}"));
        let body = json!({ "items": [{ "id": number }], "next": next });
        answer("200 OK", &windows[number % 2].headers(), body.to_string())
    })
    .await;
    let scene = start(&[connector("items", &server, "t0ken")], "{}");
    scene.until("eight polls", |connector| {
        connector["totals"]["totalPolls"].as_u64() >= Some(8)
    });
    assert_eq!(
        overruns.load(Ordering::SeqCst),
        0,
        "{}",
        scene.process.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_conditional_requests_spare_is_counted() {
    let server = RawServer::start(|_, head| {
        let headers = "ETag: \"1\"\r\nX-RateLimit-Limit: 5000\r\n\
                       X-RateLimit-Remaining: 4999\r\nX-RateLimit-Reset: 600\r\n";
        if head.to_ascii_lowercase().contains("if-none-match: \"1\"") {
            answer("304 Not Modified", headers, "")
        } else {
            answer("200 OK", headers, r#"{"items": [{"id": 1}], "next": null}"#)
        }
    })
    .await;
    let scene = start(&[connector("items", &server, "t0ken")], "{}");
    scene.until("five polls", |connector| {
        connector["totals"]["totalPolls"].as_u64() >= Some(5)
    });
    assert!(scene.metric("not_modified_total", "items") >= 3);
    assert!(scene.metric("quota_saved_total", "items") >= 2);
    assert_eq!(scene.metric("signals_published_total", ""), 1);
}
