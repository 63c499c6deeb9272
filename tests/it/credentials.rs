//! Tokens of real workers against an issuer that forgives nothing: a refresh token is good once,
//! and one that comes again ends the whole family.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::support::issuer::{CANARY, Family, configure, refresh_token, strict, until, worker};
use crate::support::redis::RedisServer;
use crate::support::worker::{Ran, Worker};

async fn run(worker: &Worker, arguments: &'static [&'static str]) -> Ran {
    let worker = worker.clone();
    tokio::task::spawn_blocking(move || worker.run(arguments))
        .await
        .unwrap()
}

/// Two processes, each with a connector of its own, and one credential that lives two seconds.
async fn two_workers_share_a_credential(store: &str) {
    let (party, family) = strict(2, Duration::from_millis(150)).await;
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &party, &["one", "two"], &refresh_token(0));
    let start = |name: &str| {
        worker(directory.path(), store)
            .arg("--name")
            .arg(name)
            .start(name)
    };
    let (mut one, mut two) = (start("one"), start("two"));
    until("five rotations", || {
        let family = family.lock().unwrap();
        family.revoked || family.generation >= 5
    })
    .await;
    {
        let family = family.lock().unwrap();
        assert!(!family.revoked, "{}\n{}", one.log(), two.log());
    }
    for process in [&one, &two] {
        process.signal("TERM");
    }
    for process in [&mut one, &mut two] {
        let log = process.log();
        let status = process.wait(Duration::from_secs(30)).expect("it ends");
        assert!(status.success(), "{log}");
        assert!(!log.contains(CANARY), "{log}");
        // Each has read, and none was ever refused.
        assert!(log.contains("poll completed for connector"), "{log}");
        assert!(!log.contains("credentials refused"), "{log}");
    }
}

#[tokio::test]
async fn two_workers_rotate_one_token_through_redis() {
    let server = RedisServer::start();
    two_workers_share_a_credential(&server.url()).await;
}

#[tokio::test]
async fn two_workers_rotate_one_token_through_a_file() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("store.db").display());
    two_workers_share_a_credential(&store).await;
}

#[tokio::test]
async fn a_crash_between_the_answer_and_its_use_loses_no_token() {
    let (party, family) = strict(3600, Duration::ZERO).await;
    let server = RedisServer::start_durable();
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &party, &["one"], &refresh_token(0));
    let mut process = worker(directory.path(), &server.url()).start("one");
    // The first use comes after the token is stored: whenever it is killed from here on.
    until("the first request", || {
        !party.asked_at("/things").is_empty()
    })
    .await;
    process.kill();
    assert_eq!(family.lock().unwrap().generation, 1);

    // Another worker uses what was stored, and asks for nothing.
    let ran = run(&worker(directory.path(), &server.url()), &["check", "one"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    assert_eq!(family.lock().unwrap().generation, 1);
    // When the provider has ended the access token, the stored refresh token buys another.
    family.lock().unwrap().access += 5;
    // One that was issued only now is not replaced.
    sleep(Duration::from_millis(2500)).await;
    let ran = run(&worker(directory.path(), &server.url()), &["check", "one"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
    let family = family.lock().unwrap();
    assert_eq!((family.generation, family.revoked), (2, false));
}

#[tokio::test]
async fn a_worker_that_dies_while_it_asks_holds_nobody_up_for_long() {
    let (party, family) = strict(3600, Duration::from_secs(3)).await;
    let server = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &party, &["one"], &refresh_token(0));
    let mut process = worker(directory.path(), &server.url()).start("one");
    until("the request", || !party.asked_at("/token").is_empty()).await;
    process.kill();
    // This issuer has rotated all the same, and ends the family of who comes again with the old
    // one. Nothing can mend that; what matters is that it is said, and soon.
    let began = Instant::now();
    let ran = run(&worker(directory.path(), &server.url()), &["check", "one"]).await;
    assert_eq!(ran.code, Some(77), "{}", ran.log);
    assert!(ran.log.contains("authorise again"), "{}", ran.log);
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );

    // The operator authorises again and configures the new token: a new credential.
    *family.lock().unwrap() = Family {
        generation: 100,
        ..Family::default()
    };
    configure(directory.path(), &party, &["one"], &refresh_token(100));
    let ran = run(&worker(directory.path(), &server.url()), &["check", "one"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.log);
}

// The issuer must answer while this test waits for the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_being_renewed_is_stored_though_the_worker_is_told_to_stop() {
    let (party, family) = strict(3600, Duration::from_secs(1)).await;
    let server = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &party, &["one"], &refresh_token(0));
    let mut process = worker(directory.path(), &server.url()).start("one");
    until("the request", || !party.asked_at("/token").is_empty()).await;
    process.signal("TERM");
    process.wait(Duration::from_secs(30)).expect("it ends");
    let ran = run(&worker(directory.path(), &server.url()), &["check", "one"]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", process.log(), ran.log);
    let family = family.lock().unwrap();
    assert_eq!((family.generation, family.revoked), (1, false));
}

#[tokio::test]
async fn no_token_is_shown_or_stored_in_the_clear() {
    let (party, _) = strict(3600, Duration::ZERO).await;
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("store.db").display());
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), &party, &["one"], &refresh_token(0));
    let worker = worker(directory.path(), &store);
    for arguments in [
        &["check", "one"][..],
        &["poll", "one"],
        &["preview", "one"],
        &["state", "show", "one"],
        &["state", "export", "one"],
        &["status"],
    ] {
        let ran = run(&worker, arguments).await;
        // Nobody runs the connector, which its status may find fault with.
        let is_fine = ran.code == Some(0) || arguments == ["status"];
        assert!(is_fine, "{arguments:?}: {}", ran.log);
        assert!(!ran.out.contains(CANARY), "{arguments:?}: {}", ran.out);
        assert!(!ran.log.contains(CANARY), "{arguments:?}: {}", ran.log);
    }
    assert_eq!(
        party.asked_at("/token").len(),
        1,
        "commands share the token"
    );
    let needle = CANARY.as_bytes();
    let mut files = 0;
    for file in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        files += 1;
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
    assert!(files > 0);
}
