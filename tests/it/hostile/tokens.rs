//! Tokens and whatever can happen to them: an issuer that is down, cuts its answers, lies about
//! their life; a store that is gone between the answer and the save.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::issuer::{
    CANARY, Family, Trouble, configure, refresh_token, strict, until, worker,
};
use crate::support::ops::Ops;
use crate::support::party::Party;
use crate::support::redis::RedisServer;
use crate::support::worker::Process;

/// A worker with one connector, on a store.
fn start(directory: &std::path::Path, party: &Party, store: &str) -> (Process, Ops) {
    configure(directory, party, &["one"], &refresh_token(0));
    let ops = Ops::reserve();
    let process = worker(directory, store)
        .env("CONNECTOR_WORKER_HTTP_ADDR", &ops.address())
        .start("one");
    (process, ops)
}

fn trouble(family: &Mutex<Family>, trouble: Trouble) {
    family.lock().unwrap().trouble = trouble;
}

/// Polls that succeeded.
fn successes(ops: Ops) -> u64 {
    ops.connector("one")["totals"]["successfulPolls"]
        .as_u64()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_while_a_token_is_due_costs_nothing() {
    for ill in [Trouble::Down, Trouble::Page, Trouble::Limits] {
        let (party, family) = strict(8, Duration::ZERO).await;
        let directory = tempfile::tempdir().unwrap();
        let (process, ops) = start(directory.path(), &party, "memory:");
        until("the first token", || successes(ops) > 0).await;
        trouble(&family, ill);
        // Due after four fifths of its life; asked for, and not given.
        until("a renewal that fails", || {
            party.asked_at("/token").len() > 1
        })
        .await;
        trouble(&family, Trouble::None);
        until("the second token", || {
            family.lock().unwrap().generation >= 2
        })
        .await;
        let before = successes(ops);
        until("polls with it", || successes(ops) > before + 2).await;
        let log = process.log();
        assert!(!family.lock().unwrap().revoked, "{ill:?}\n{log}");
        assert!(!log.contains("credentials refused"), "{ill:?}\n{log}");
        assert!(!log.contains(CANARY), "{ill:?}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_stays_down_is_told_and_not_hammered() {
    let (party, family) = strict(3, Duration::ZERO).await;
    let directory = tempfile::tempdir().unwrap();
    let (process, ops) = start(directory.path(), &party, "memory:");
    until("the first token", || successes(ops) > 0).await;
    trouble(&family, Trouble::Down);
    until("the failure in health", || {
        let reasons = ops.connector("one")["reasons"].to_string();
        reasons.contains("/token answered 503")
    })
    .await;
    let asked = party.asked_at("/token").len();
    sleep(Duration::from_secs(3)).await;
    let asked = party.asked_at("/token").len() - asked;
    assert!(asked <= 12, "{asked} requests in three seconds");
    // Its circuit is one of the connector's.
    until("it is left alone", || {
        let found = ops.connector("one");
        let servers = found["suspendedUntil"].to_string();
        servers.contains("(tokens)") && found["reasons"].to_string().contains("is left alone")
    })
    .await;
    let (_, metrics) = ops.get("/metrics").unwrap();
    assert!(metrics.contains("connector_worker_circuit_open{connector=\"one\"} 1"));
    trouble(&family, Trouble::None);
    let before = successes(ops);
    until("polls again", || successes(ops) > before + 1).await;
    assert!(!family.lock().unwrap().revoked, "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_is_asked_for_once_more_and_no_more() {
    // Many issuers forgive the last refresh token for a moment.
    let (party, family) = strict(3600, Duration::ZERO).await;
    family.lock().unwrap().forgives = true;
    trouble(&family, Trouble::CutOnce);
    let directory = tempfile::tempdir().unwrap();
    let (process, ops) = start(directory.path(), &party, "memory:");
    until("polls", || successes(ops) > 1).await;
    let family = family.lock().unwrap();
    assert_eq!(
        (family.generation, family.revoked),
        (1, false),
        "{}",
        process.log()
    );
    assert_eq!(party.asked_at("/token").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_strict_issuer_a_lost_answer_is_told_in_words() {
    let (party, family) = strict(3600, Duration::ZERO).await;
    trouble(&family, Trouble::Cut);
    let directory = tempfile::tempdir().unwrap();
    let (process, ops) = start(directory.path(), &party, "memory:");
    until("it parks", || ops.connector("one")["phase"] == "parked").await;
    let reasons = ops.connector("one")["reasons"].to_string();
    assert!(reasons.contains("authorise again"), "{reasons}");
    assert_eq!(party.asked_at("/token").len(), 2, "{}", process.log());
    // And it stays with that: an issuer that is asked again and again locks the client.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(party.asked_at("/token").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_between_answer_and_save_loses_no_token() {
    let (party, family) = strict(3600, Duration::ZERO).await;
    let server = Arc::new(Mutex::new(RedisServer::start_durable()));
    let url = server.lock().unwrap().url();
    let killed = server.clone();
    family.lock().unwrap().issued = Some(Box::new(move || killed.lock().unwrap().kill()));
    let directory = tempfile::tempdir().unwrap();
    let (process, ops) = start(directory.path(), &party, &url);
    until("the token", || family.lock().unwrap().generation == 1).await;
    let log = || process.log();
    until("the save that fails", || {
        log().contains("cannot store a renewed token yet")
    })
    .await;
    assert!(
        party.asked_at("/things").is_empty(),
        "it is not used before it is stored"
    );
    server.lock().unwrap().restart();
    until("polls", || successes(ops) > 0).await;
    {
        let family = family.lock().unwrap();
        assert_eq!((family.generation, family.revoked), (1, false), "{}", log());
    }
    // It is the stored one: another process goes on with it.
    let other = worker(directory.path(), &url);
    let ran = tokio::task::spawn_blocking(move || other.run(&["check", "one"]));
    let ran = ran.await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert_eq!(family.lock().unwrap().generation, 1);
    assert!(!log().contains(CANARY), "{}", log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_refuses_every_token_does_not_empty_the_issuer() {
    let (party, family) = strict(3600, Duration::ZERO).await;
    let directory = tempfile::tempdir().unwrap();
    let (process, ops) = start(directory.path(), &party, "memory:");
    until("the first token", || successes(ops) > 0).await;
    // From here on every token is an old one.
    until("it parks", || {
        family.lock().unwrap().access += 1000;
        ops.connector("one")["phase"] == "parked"
    })
    .await;
    let reasons = ops.connector("one")["reasons"].to_string();
    assert!(reasons.contains("401"), "{reasons}");
    assert!(party.asked_at("/token").len() <= 3, "{}", process.log());
    assert!(!family.lock().unwrap().revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_that_makes_no_sense_makes_no_flood() {
    for claim in [
        json!(0),
        json!(-5),
        json!("0"),
        json!(1e12),
        json!("soon"),
        Value::Null,
    ] {
        let (party, family) = strict(3600, Duration::ZERO).await;
        family.lock().unwrap().claims = Some(claim.clone());
        let directory = tempfile::tempdir().unwrap();
        let (process, ops) = start(directory.path(), &party, "memory:");
        until("polls", || successes(ops) > 5).await;
        let asked = party.asked_at("/token").len();
        sleep(Duration::from_secs(2)).await;
        let more = party.asked_at("/token").len() - asked;
        assert!(
            more <= 3,
            "{claim}: {more} requests in two seconds\n{}",
            process.log()
        );
        assert!(
            !family.lock().unwrap().revoked,
            "{claim}\n{}",
            process.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_issuer_is_not_used_after_the_configuration_changed() {
    let ((one, _), (two, family)) = (
        strict(3600, Duration::ZERO).await,
        strict(3600, Duration::ZERO).await,
    );
    family.lock().unwrap().access = 50;
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("store.db").display());
    let directory = tempfile::tempdir().unwrap();
    for party in [&one, &two] {
        configure(directory.path(), party, &["one"], &refresh_token(0));
        let worker = worker(directory.path(), &store);
        let ran = tokio::task::spawn_blocking(move || worker.run(&["check", "one"]));
        let ran = ran.await.unwrap();
        assert_eq!(ran.code, Some(0), "{}", ran.log);
    }
    let asked = two.asked_at("/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].field("refresh_token"), Some(refresh_token(0)));
    for request in two.asked_at("/things") {
        let shown = request.header("authorization").unwrap();
        assert_eq!(shown, format!("Bearer access-{CANARY}-51"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_is_revoked_is_told_by_every_worker_and_mended_by_a_new_token() {
    let redis = RedisServer::start();
    let (party, family) = strict(600, Duration::from_millis(100)).await;
    let directory = tempfile::tempdir().unwrap();
    let names = ["one", "two"];
    configure(directory.path(), &party, &names, &refresh_token(0));
    let workers = names.map(|name| {
        let ops = Ops::reserve();
        let process = worker(directory.path(), &redis.url())
            .env("CONNECTOR_WORKER_HTTP_ADDR", &ops.address())
            .arg("--name")
            .arg(name)
            .start(name);
        (name, process, ops)
    });
    let polls = |name: &str, ops: &Ops| {
        let totals = &ops.connector(name)["totals"];
        totals["successfulPolls"].as_u64().unwrap_or_default()
    };
    until("both read", || {
        workers.iter().all(|(name, _, ops)| polls(name, ops) > 1)
    })
    .await;
    // Somebody else used the grant: the issuer ends the family. The token is no new one, so that
    // another is asked for.
    sleep(Duration::from_millis(2500)).await;
    family.lock().unwrap().revoked = true;
    until("both are parked", || {
        let parked =
            |(name, _, ops): &(&str, Process, Ops)| ops.connector(name)["phase"] == "parked";
        workers.iter().all(parked)
    })
    .await;
    for (name, process, ops) in &workers {
        let found = ops.connector(name);
        assert_eq!(found["health"], "unhealthy");
        let reasons = found["reasons"].to_string();
        assert!(reasons.contains("authorise again"), "{reasons}");
        assert!(!process.log().contains(CANARY), "{}", process.log());
    }
    let asked = party.asked_at("/token").len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(party.asked_at("/token").len(), asked, "it is not hammered");
    // The operator authorises again.
    {
        let mut family = family.lock().unwrap();
        family.revoked = false;
        family.generation += 100;
    }
    let token = refresh_token(family.lock().unwrap().generation);
    configure(directory.path(), &party, &names, &token);
    let before = workers.each_ref().map(|(name, _, ops)| polls(name, ops));
    for (_, process, _) in &workers {
        process.signal("HUP");
    }
    until("both read again", || {
        let mut all = workers.iter().zip(before);
        all.all(|((name, _, ops), before)| polls(name, ops) > before)
    })
    .await;
    assert!(!family.lock().unwrap().revoked);
}
