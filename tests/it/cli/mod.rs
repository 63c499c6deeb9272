//! Every command from the outside: what it prints, what it changes, and its exit code.

mod state;
mod usage;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use redis::Commands;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::items::{Items, MANIFEST};
use crate::support::raw_http::{RawServer, answer};
use crate::support::redis::RedisServer;
use crate::support::worker::{BINARY, Process, Worker};

const SOON: Duration = Duration::from_secs(20);

/// Names of the summary's fields, in the order in which documentation shows them.
const SUMMARY: [&str; 8] = [
    "fetched",
    "published",
    "skipped_unchanged",
    "failed",
    "deleted",
    "durationMs",
    "pages",
    "notModified",
];

/// Fields of a signal without a tenant, in their order.
const FIELDS: [&str; 14] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "version",
    "time",
    "datacontenttype",
    "connector",
    "stream",
    "via",
    "epoch",
    "sequence",
    "data",
];

fn configure(directory: &Path, address: &str) {
    fs::write(directory.join("items.yaml"), MANIFEST).unwrap();
    let config = json!({ "connectors": [{
        "name": "a", "type": "MANIFEST", "manifest": "items.yaml", "maxRetries": 0,
        "pollIntervalMs": 200, "providerConfig": { "baseUrl": address },
    }]});
    fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
}

/// A connector `a` of 50 items and the embedded store.
fn keep_a_cursor(directory: &Path) {
    let cursor = "incremental_sync: { type: DatetimeBasedCursor, cursor_field: at, \
                  datetime_format: '%s', start_datetime: '0' }";
    let text = MANIFEST.replace("primary_key: id", &format!("primary_key: id\n    {cursor}"));
    assert_ne!(text, MANIFEST);
    fs::write(directory.join("items.yaml"), text).unwrap();
}

async fn site() -> (TempDir, Items, Worker) {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(50).await;
    configure(directory.path(), items.url());
    let worker = Worker::new(directory.path());
    (directory, items, worker)
}

fn running(worker: &Worker) -> Process {
    let process = worker.start("worker");
    process.wait_for_log("poll completed", SOON);
    process
}

#[track_caller]
fn code(worker: &Worker, arguments: &str, expected: i32) -> crate::support::worker::Ran {
    let ran = worker.run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, Some(expected), "{arguments}: {ran:#?}");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_prints_a_summary_that_adds_up_and_the_next_publishes_nothing() {
    let (_directory, items, worker) = site().await;
    let numbers = |ran: crate::support::worker::Ran| {
        let summary = ran.json();
        let names: Vec<_> = summary.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, SUMMARY);
        let number = |name: &str| summary[name].as_u64().unwrap();
        let [fetched, published, skipped, failed, deleted] = [
            number("fetched"),
            number("published"),
            number("skipped_unchanged"),
            number("failed"),
            number("deleted"),
        ];
        assert_eq!(fetched, published - deleted + skipped + failed);
        (fetched, published, skipped)
    };
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 50, 0));
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 0, 50));
    items.bump(7);
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 1, 49));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_prints_signals_and_writes_nothing() {
    let redis = RedisServer::start();
    let (_directory, items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let dump = || {
        let mut connection = redis.connection();
        let keys: Vec<String> = connection.keys("*").unwrap();
        let dumped = keys.into_iter().map(|key| {
            let bytes: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
            (key, bytes)
        });
        dumped.collect::<HashMap<_, _>>()
    };
    let lines = |arguments: &str| -> Vec<Value> {
        let ran = code(&worker, arguments, 0);
        let parse = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            let names: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, FIELDS);
            event
        };
        ran.out.lines().map(parse).collect()
    };
    assert_eq!(lines("preview a").len(), 50);
    assert!(dump().is_empty());
    assert_eq!(lines("preview a --limit 3 --stream items").len(), 3);
    code(&worker, "poll a", 0);
    let before = dump();
    assert!(lines("preview a").is_empty());
    items.bump(3);
    let changed = lines("preview a");
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["type"], "items.items.updated");
    assert_eq!(changed[0]["subject"], "3");
    assert_eq!(dump(), before);
    code(&worker, "preview a --stream itemz", 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_was_published() {
    let (_directory, _items, worker) = site().await;
    code(&worker, "poll a", 0);
    let ran = code(&worker, "tail --from-start --count 2", 0);
    let subjects: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["subject"].clone())
        .collect();
    assert_eq!(subjects, ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_lease_is_respected_and_can_be_taken_away() {
    let redis = RedisServer::start();
    let (directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let process = running(&worker);
    let owner: String = redis.connection().get("lease:a").unwrap();
    fs::write(
        directory.path().join("state.json"),
        code(&worker, "state export a", 0).out,
    )
    .unwrap();
    for command in [
        "poll a",
        "state reset a --yes",
        "state import a state.json --yes",
        "run --no-wait",
        "--no-wait",
    ] {
        let ran = code(&worker, command, 75);
        let holder = owner
            .split('|')
            .find(|part| part.contains('/'))
            .unwrap_or(&owner);
        assert!(ran.log.contains(holder), "{command}: {}", ran.log);
        assert!(ran.log.contains(" ms"), "{command}: {}", ran.log);
    }
    keep_a_cursor(directory.path());
    code(&worker, "state set a --stream items --cursor 1 --yes", 75);
    let listed = code(&worker, "leases list -o json", 0).json();
    assert_eq!(listed[0]["connector"], "a");

    let standby = worker.start("standby");
    standby.wait_for_log("standby", SOON);
    code(&worker, "leases release a --yes", 0);
    standby.wait_for_log("lease acquired", SOON);
    process.wait_for_log("lease lost", SOON);
    assert_eq!(
        redis.connection().xlen::<_, u64>("raw-input-signals"),
        Ok(50)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_answers_by_its_exit_code() {
    let (_directory, items, worker) = site().await;
    let never = code(&worker, "status -o json", 1).json();
    assert_eq!(never[0]["health"], "degraded");
    let process = running(&worker);
    let status = code(&worker, "status", 0).json();
    assert_eq!(status[0]["health"], "healthy");
    assert!(status[0]["leaseHolder"].is_string());
    assert!(
        code(&worker, "status -o table", 0)
            .out
            .starts_with("CONNECTOR")
    );
    drop((process, items));

    let server = RawServer::start(|_, _| answer("401 Unauthorized", "", "")).await;
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), server.url.as_str());
    let worker = Worker::new(directory.path());
    let process = worker.start("worker");
    process.wait_for_log("poll failed", SOON);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(code(&worker, "status", 2).json()[0]["health"], "unhealthy");
    code(&worker, "--name a status", 2);
    code(&worker, "status --name b", 78);
}
