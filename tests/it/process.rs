//! The process as its operator meets it: signals, deadlines, and what a sudden death leaves.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant as Clock};

use redis::Commands;
use serde_json::json;

use crate::support::items::{Items, MANIFEST};
use crate::support::ops::Ops;
use crate::support::redis::RedisServer;
use crate::support::worker::{Process, Worker};

const SOON: Duration = Duration::from_secs(20);

fn configure(directory: &Path, items: &Items) {
    fs::write(directory.join("items.yaml"), MANIFEST).unwrap();
    let config = json!({ "connectors": [{
        "name": "a", "type": "MANIFEST", "manifest": "items.yaml",
        "pollIntervalMs": 200, "leaseTtlSeconds": 1,
        "providerConfig": { "baseUrl": items.url() },
    }]});
    fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
}

fn ends_with(process: &mut Process, code: i32) {
    let status = process.wait(SOON);
    let got = status.and_then(|status| status.code());
    assert_eq!(got, Some(code), "{status:?}\n{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_gives_its_lease_back() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(50).await;
    configure(directory.path(), &items);
    let worker = Worker::new(directory.path()).env("REDIS_URL", &redis.url());
    for signal in ["TERM", "INT"] {
        let mut process = worker.start(signal);
        process.wait_for_log("poll completed", SOON);
        assert!(redis.connection().exists::<_, bool>("lease:a").unwrap());
        process.signal(signal);
        ends_with(&mut process, 0);
        assert!(!redis.connection().exists::<_, bool>("lease:a").unwrap());
        assert!(process.log().contains("shut down cleanly"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_count_from_the_first_moment() {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(1).await;
    configure(directory.path(), &items);
    let worker = Worker::new(directory.path());
    for round in 0..5 {
        let mut process = worker.start(&round.to_string());
        process.wait_for_handlers();
        process.signal("HUP");
        process.signal("TERM");
        ends_with(&mut process, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_hangup_reloads_and_the_state_of_each_loop_is_logged_on_demand() {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(1).await;
    configure(directory.path(), &items);
    let mut process = Worker::new(directory.path()).start("worker");
    process.wait_for_handlers();
    process.signal("HUP");
    process.wait_for_log("configuration reloaded", SOON);
    process.wait_for_log("poll completed", SOON);
    process.signal("USR1");
    process.wait_for_log("state of connector a", SOON);
    process.signal("TERM");
    ends_with(&mut process, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_holds_a_stop_no_longer_than_the_deadline_or_a_second_signal() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(50).await;
    configure(directory.path(), &items);
    let worker = Worker::new(directory.path()).env("REDIS_URL", &redis.url());

    let short = worker.clone().arg("--shutdown-timeout").arg("300ms");
    let mut process = short.start("deadline");
    process.wait_for_log("poll completed", SOON);
    redis.pause();
    items.bump(0);
    sleep(Duration::from_millis(300));
    let started = Clock::now();
    process.signal("TERM");
    let status = process.wait(SOON);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(status.is_some_and(|status| status.code().is_some()));
    redis.resume();

    let mut process = worker.start("twice");
    process.wait_for_log("poll completed", SOON);
    redis.pause();
    items.bump(0);
    sleep(Duration::from_millis(300));
    process.signal("TERM");
    process.wait_for_log("shutting down", SOON);
    let started = Clock::now();
    process.signal("TERM");
    let status = process.wait(SOON);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(status.is_some_and(|status| status.code().is_some()));
    redis.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_poll_killed_half_way_goes_on_where_it_was() {
    const COUNT: usize = 5000;
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(COUNT).await;
    configure(directory.path(), &items);
    let worker = Worker::new(directory.path()).env("REDIS_URL", &redis.url());
    let mut connection = redis.connection();
    let mut length = || connection.xlen::<_, usize>("raw-input-signals").unwrap();

    let mut process = worker.start("first");
    let started = Clock::now();
    while length() < 500 {
        assert!(started.elapsed() < SOON, "{}", process.log());
        sleep(Duration::from_millis(1));
    }
    process.kill();
    let published = length();
    assert!(published < COUNT, "the poll was over before it was hurt");

    let ops = Ops::reserve();
    let worker = worker.env("CONNECTOR_WORKER_HTTP_ADDR", &ops.address());
    let mut process = worker.start("second");
    ops.wait_until("two further polls", || {
        ops.connector("a")["totals"]["successfulPolls"]
            .as_u64()
            .is_some_and(|polls| polls >= 2)
    });
    let entries: redis::streams::StreamRangeReply =
        redis.connection().xrange_all("raw-input-signals").unwrap();
    let subjects: HashSet<String> = entries
        .ids
        .iter()
        .map(|entry| entry.get("subject").unwrap())
        .collect();
    assert_eq!((entries.ids.len(), subjects.len()), (COUNT, COUNT));
    process.signal("TERM");
    ends_with(&mut process, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_output_stream_is_seen_and_nothing_is_lost_when_its_group_reads_on() {
    const COUNT: usize = 50;
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(COUNT).await;
    fs::write(directory.path().join("items.yaml"), MANIFEST).unwrap();
    let config = json!({ "connectors": [{
        "name": "a", "type": "MANIFEST", "manifest": "items.yaml",
        "pollIntervalMs": 200, "outputStream": "out", "outputMaxLen": 20,
        "providerConfig": { "baseUrl": items.url() },
    }]});
    fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let mut connection = redis.connection();
    let _: () = connection
        .xgroup_create_mkstream("p:out", "readers", "0")
        .unwrap();
    let ops = Ops::reserve();
    let mut process = Worker::new(directory.path())
        .env("REDIS_URL", &redis.url())
        .env("CONNECTOR_KEY_PREFIX", "p:")
        .env("CONNECTOR_WORKER_HTTP_ADDR", &ops.address())
        .start("worker");
    ops.wait_until("publishing waits", || {
        let connector = ops.connector("a");
        connector["phase"] == "back_pressure" && connector["health"] == "degraded"
    });
    let metrics = ops.get("/metrics").unwrap().1;
    assert!(metrics.contains("connector_worker_output_stream_full_total{connector=\"a\"}"));
    // So that `status` says it too.
    let started = Clock::now();
    while connection
        .hget::<_, _, Option<String>>("p:metrics:connector:a", "phase")
        .unwrap()
        != Some("back_pressure".to_owned())
    {
        assert!(started.elapsed() < SOON, "{}", process.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(connection.xlen::<_, usize>("p:out").unwrap() <= 20);

    let mut read = Vec::new();
    let options = redis::streams::StreamReadOptions::default()
        .group("readers", "one")
        .count(7);
    let started = Clock::now();
    while read.len() < COUNT {
        assert!(started.elapsed() < SOON * 2, "{read:?}\n{}", process.log());
        let batch: Option<redis::streams::StreamReadReply> = connection
            .xread_options(&["p:out"], &[">"], &options)
            .unwrap();
        let keys = batch.map(|batch| batch.keys).unwrap_or_default();
        for entry in keys.iter().flat_map(|key| &key.ids) {
            read.push(entry.get::<String>("subject").unwrap());
            let _: u64 = connection.xack("p:out", "readers", &[&entry.id]).unwrap();
        }
        sleep(Duration::from_millis(20));
    }
    let all: HashSet<_> = read.iter().collect();
    assert_eq!((read.len(), all.len()), (COUNT, COUNT));
    ops.wait_until("it is healthy again", || {
        ops.connector("a")["health"] == "healthy"
    });
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert!(keys.iter().all(|key| key.starts_with("p:")), "{keys:?}");

    // Without its key the holder stops, lets others go first, and comes back with a new epoch.
    let epoch = ops.connector("a")["epoch"].as_u64();
    let _: u64 = connection.del("p:lease:a").unwrap();
    ops.wait_until("a new epoch", || {
        ops.connector("a")["epoch"].as_u64() > epoch
    });
    process.signal("TERM");
    ends_with(&mut process, 0);
}
