//! No setting is inert: each field of a connector's entry and each option changes what happens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use redis::Commands;
use serde_json::{Value, json};

use crate::support::items::{Items, MANIFEST};
use crate::support::raw_http::{RawServer, answer};
use crate::support::redis::RedisServer;
use crate::support::worker::{Ran, Worker};

/// An entry named `a`, with these fields over the usual ones.
fn configure(directory: &Path, address: &str, fields: &Value) {
    fs::write(directory.join("items.yaml"), MANIFEST).unwrap();
    let mut entry = json!({
        "name": "a", "type": "MANIFEST", "manifest": "items.yaml", "maxRetries": 0,
        "providerConfig": { "baseUrl": address },
    });
    for (name, value) in fields.as_object().unwrap() {
        entry[name] = value.clone();
    }
    let config = json!({ "connectors": [entry] });
    fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
}

fn poll(worker: &Worker) -> Ran {
    let ran = worker.run(&["poll", "a"]);
    assert!(ran.out.starts_with('{'), "{ran:?}");
    ran
}

fn published(worker: &Worker) -> (u64, u64) {
    let summary = poll(worker).json();
    let number = |name: &str| summary[name].as_u64().unwrap();
    (number("published"), number("deleted"))
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_about_signals_show_in_the_output_stream() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(5).await;
    let worker = Worker::new(directory.path()).env("REDIS_URL", &redis.url());
    let mut connection = redis.connection();
    let mut entries = |stream: &str| -> Vec<redis::streams::StreamId> {
        let read: redis::streams::StreamRangeReply = connection.xrange_all(stream).unwrap();
        read.ids
    };

    configure(directory.path(), items.url(), &json!({}));
    assert_eq!(published(&worker), (5, 0));
    assert!(
        entries("raw-input-signals")[0]
            .get::<String>("tenant")
            .is_none()
    );

    let fields = json!({ "outputStream": "out", "tenantId": "acme" });
    configure(directory.path(), items.url(), &fields);
    items.bump(1);
    assert_eq!(published(&worker), (1, 0));
    assert_eq!(entries("out")[0].get("tenant"), Some("acme".to_owned()));

    let fields = json!({ "name": "b", "streams": ["items"] });
    configure(directory.path(), items.url(), &fields);
    let ran = worker.run(&["--key-prefix", "p:", "poll", "b"]);
    assert_eq!(ran.json()["published"], 5);
    assert_eq!(
        entries("p:raw-input-signals")[4].get("connector"),
        Some("b".to_owned())
    );
    configure(
        directory.path(),
        items.url(),
        &json!({ "streams": ["nope"] }),
    );
    assert_eq!(worker.run(&["validate"]).code, Some(78));
    configure(directory.path(), items.url(), &json!({ "enabled": false }));
    assert!(
        worker
            .run(&["validate"])
            .out
            .contains("0 connectors to run")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_about_changes_decide_what_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(5).await;
    let worker = Worker::new(directory.path());
    configure(
        directory.path(),
        items.url(),
        &json!({ "changeDetection": { "ignore": ["/v"] } }),
    );
    assert_eq!(published(&worker), (5, 0));
    items.bump(1);
    assert_eq!(published(&worker), (0, 0));

    let fewer = Items::start(4).await;
    configure(
        directory.path(),
        fewer.url(),
        &json!({ "changeDetection": { "ignore": ["/v"], "deletions": false } }),
    );
    assert_eq!(published(&worker), (0, 0));
    let fewer = Items::start(3).await;
    configure(
        directory.path(),
        fewer.url(),
        &json!({ "changeDetection": { "ignore": ["/v"] } }),
    );
    assert_eq!(published(&worker), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_about_requests_decide_how_often_and_how_long() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(directory.path());
    let spent = |ran: &Ran| ran.json()["durationMs"].as_u64().unwrap();

    for (retries, requests) in [(0, 1), (2, 3)] {
        let server = RawServer::start(|_, _| answer("500 Oops", "", "")).await;
        let retry = json!({ "baseDelayMs": 1, "maxDelayMs": 2 });
        let fields = json!({ "maxRetries": retries, "retryConfig": retry });
        configure(directory.path(), server.url.as_str(), &fields);
        assert_eq!(poll(&worker).code, Some(69));
        assert_eq!(server.requests().len(), requests);
    }

    let server = RawServer::start(|_, _| answer("500 Oops", "", "")).await;
    for (base, most, jitter, least) in [(300, 300, 0.0, 600), (300, 900, 0.0, 900), (1, 1, 0.0, 0)]
    {
        let retry = json!({ "baseDelayMs": base, "maxDelayMs": most, "jitterRatio": jitter });
        let fields = json!({ "maxRetries": 2, "retryConfig": retry });
        configure(directory.path(), server.url.as_str(), &fields);
        let took = spent(&poll(&worker));
        // The shortest must stay below what the others add; a busy machine adds to all.
        let most = if least == 0 { 600 } else { u64::MAX };
        assert!((least..most).contains(&took), "{fields}: {took} ms");
    }

    let slow = RawServer::start(|_, _| {
        let mut steps = vec![crate::support::raw_http::Step::Pause(
            Duration::from_millis(600),
        )];
        steps.extend(answer("200 OK", "", "[]"));
        steps
    })
    .await;
    for (timeout, code) in [(100, 69), (5000, 0)] {
        configure(
            directory.path(),
            slow.url.as_str(),
            &json!({ "requestTimeoutMs": timeout }),
        );
        assert_eq!(poll(&worker).code, Some(code), "{timeout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_lives_as_long_as_its_field_says() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(1).await;
    configure(
        directory.path(),
        items.url(),
        &json!({ "leaseTtlSeconds": 77 }),
    );
    let worker = Worker::new(directory.path()).env("REDIS_URL", &redis.url());
    let process = worker.start("worker");
    process.wait_for_log("poll completed", Duration::from_secs(20));
    let left: i64 = redis.connection().pttl("lease:a").unwrap();
    assert!((60_000..=77_000).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_every_command_has_are_heeded() {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(5).await;
    configure(directory.path(), items.url(), &json!({}));
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::rename(path("connectors.json"), path("other.json")).unwrap();
    let worker = Worker::new(directory.path());
    assert_eq!(worker.run(&["validate"]).code, Some(78));
    assert_eq!(
        worker.run(&["--config", "other.json", "validate"]).code,
        Some(0)
    );
    let worker = worker.env("CONNECTORS_CONFIG_PATH", "other.json");

    let store = format!("sqlite:{}", path("mine.db"));
    assert_eq!(worker.run(&["poll", "a", "--store", &store]).code, Some(0));
    assert!(fs::exists(path("mine.db")).unwrap());
    assert!(!fs::exists(path(".connector-worker")).unwrap());

    fs::create_dir(path("types")).unwrap();
    fs::copy(path("items.yaml"), path("types/items.yaml")).unwrap();
    let listed = worker.run(&["connectors", "list", "--manifests-dir", &path("types")]);
    assert!(listed.out.contains("ITEMS"), "{listed:?}");

    let pretty = worker.run(&["poll", "a", "--store", "memory:", "--log-format", "pretty"]);
    let json = worker.run(&["poll", "a", "--store", "memory:", "--log-format", "json"]);
    let is_json = |ran: &Ran| ran.log.lines().all(|line| line.starts_with('{'));
    assert!(is_json(&json) && !is_json(&pretty), "{pretty:?}");
}
