//! Limits: a provider that says "not so fast" without saying when, bursts of failures, and a rate
//! that two connectors share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Arrivals, connector, page, start};
use crate::support::raw_http::{RawServer, answer};

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

#[tokio::test(flavor = "multi_thread")]
async fn two_connectors_of_one_credential_stay_under_its_limit_together() {
    let arrivals = Arrivals::default();
    let seen = arrivals.clone();
    let server = RawServer::start(move |_, head| {
        seen.note();
        match head
            .split("page=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        {
            Some(19) => page(57..60, None),
            number => {
                let number = number.unwrap_or(0);
                page(number * 3..number * 3 + 3, Some(&(number + 1).to_string()))
            }
        }
    })
    .await;
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
