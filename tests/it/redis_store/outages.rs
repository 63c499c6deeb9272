//! Connections that are cut, and servers that are silent, gone, killed or replaced.

use std::time::Duration;

use bytes::Bytes;
use connector_worker::store::{Acquired, Committed, Owner, Renewed, StoreError, StoreOptions};
use tokio::time::{Instant, sleep};

use super::{HELD, NAME, acquire, ask, commit, open, subjects, try_open};
use crate::support::proxy::{Cut, Proxy};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_connection_cut_in_a_commit_neither_loses_nor_repeats() {
    let server = RedisServer::start();
    for cut in [Cut::MidRequest, Cut::BeforeReply, Cut::Silence] {
        let mut redis = server.connection();
        let _: String = ask(&mut redis, "FLUSHALL");
        let proxy = Proxy::start(server.address());
        let store = open(&proxy.url()).await;
        let (lease, _) = acquire(&*store).await;
        proxy.cut_at(cut, b"marked");
        for (sequence, key) in [(1, "first"), (2, "marked"), (3, "last")] {
            let answer = store.commit(&lease, &commit(sequence, &[key])).await;
            assert_eq!(answer.unwrap(), HELD, "{cut:?}");
        }
        assert!(proxy.has_cut());
        assert_eq!(
            subjects(&*store).await,
            ["first", "marked", "last"],
            "{cut:?}"
        );
    }
}

#[tokio::test]
async fn a_large_commit_may_be_cut_at_any_byte() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let store = open(&proxy.url()).await;
    let (lease, _) = acquire(&*store).await;
    let seed: u64 = rand::random();
    let mut random = seed;
    let mut expected = Vec::new();
    for sequence in 1..=40 {
        let marker = format!("marked-{sequence}-");
        let keys: Vec<String> = (0..100).map(|key| format!("{marker}{key}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut large = commit(sequence, &keys);
        for signal in &mut large.signals {
            signal.data = Bytes::from(format!("\"{}\"", "x".repeat(2000)));
        }
        // Any step of a full-period generator will do; the request has about 240,000 bytes.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let cut = usize::try_from(random >> 40).unwrap() % 240_000;
        proxy.cut_at(Cut::AfterBytes(cut), marker.as_bytes());
        let answer = store.commit(&lease, &large).await.unwrap();
        assert_eq!(answer, HELD, "cut at {cut}, seed {seed}");
        expected.extend(keys.iter().map(|key| (*key).to_owned()));
    }
    assert_eq!(subjects(&*store).await, expected);
}

#[tokio::test]
async fn a_redis_that_stays_silent_leaves_the_commit_in_doubt() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let store = open(&proxy.url()).await;
    let owner = Owner::new("host");
    let ttl = Duration::from_secs(1);
    let Acquired::Held(lease, _) = store.acquire(NAME, &owner, None, ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    // The transaction arrives, and nothing is heard from then on.
    proxy.cut_at(Cut::Silence, b"marked");
    let started = Instant::now();
    let second = commit(2, &["marked"]);
    let (answer, ()) = tokio::join!(store.commit(&lease, &second), async {
        while !proxy.has_cut() {
            sleep(Duration::from_millis(5)).await;
        }
        server.pause();
    });
    assert_eq!(answer.unwrap(), Committed::InDoubt);
    assert!(started.elapsed() < ttl * 8, "{:?}", started.elapsed());
    server.resume();
    // Executed once or not at all; a new epoch shows what came of it.
    let Acquired::Held(_, state) = store
        .acquire(NAME, &Owner::new("host"), Some(&owner), ttl)
        .await
        .unwrap()
    else {
        panic!("the previous owner may be replaced");
    };
    assert_eq!(
        subjects(&*store).await.len(),
        usize::try_from(state.sequence).unwrap()
    );
}

#[tokio::test]
async fn a_redis_that_is_gone_is_an_error_and_no_doubt() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    let owner = Owner::new("host");
    let ttl = Duration::from_millis(500);
    let Acquired::Held(lease, _) = store.acquire(NAME, &owner, None, ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    server.kill();
    let error = store.commit(&lease, &commit(1, &["a"])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&server.url()), "{error}");
}

#[tokio::test]
async fn a_durable_redis_may_be_killed_between_and_during_commits() {
    let mut server = RedisServer::start_durable();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let key = |sequence: u64| format!("k{sequence}");
    for sequence in 1..=3 {
        let answer = store
            .commit(&lease, &commit(sequence, &[&key(sequence)]))
            .await;
        assert_eq!(answer.unwrap(), HELD);
        server.restart();
        assert_eq!(store.renew(&lease, sequence).await.unwrap(), Renewed::Held);
    }
    server.kill();
    let fourth = commit(4, &["k4"]);
    let (answer, server) = tokio::join!(
        store.commit(&lease, &fourth),
        tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(500));
            server.restart();
            server
        })
    );
    assert_eq!(answer.unwrap(), HELD);
    assert_eq!(subjects(&*store).await, ["k1", "k2", "k3", "k4"]);
    drop(server);
}

#[tokio::test]
async fn a_failover_by_sentinel_goes_on_with_the_new_master() {
    let mut master = RedisServer::start();
    let replica_of = [
        "--replicaof",
        "127.0.0.1",
        &master.address().port().to_string(),
    ]
    .join(" ");
    let words: Vec<&str> = replica_of.split(' ').collect();
    let replica = RedisServer::start_with(&words);
    let sentinel = RedisServer::start_sentinel(master.address());
    let address = format!("redis+sentinel://127.0.0.1:1,{}/main", sentinel.address());
    let store = open(&address).await;
    let (lease, _) = acquire(&*store).await;
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    // The replica has everything, and the sentinel knows of the replica.
    let mut seen = false;
    for _ in 0..150 {
        let copied: i64 = ask(&mut replica.connection(), "XLEN raw-input-signals");
        let known: redis::Value = ask(&mut sentinel.connection(), "SENTINEL REPLICAS main");
        seen = copied == 1 && matches!(known, redis::Value::Array(replicas) if replicas.len() == 1);
        if seen {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(seen, "replication works");

    master.kill();
    let mut moved = false;
    for _ in 0..40 {
        // Each call gives up after fifteen seconds at most; the failover takes about three.
        match store.commit(&lease, &commit(2, &["b"])).await {
            Ok(Committed::Applied { .. }) => {
                moved = true;
                break;
            }
            Ok(Committed::InDoubt) | Err(StoreError::Unavailable { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(moved);
    let copied: i64 = ask(&mut replica.connection(), "XLEN raw-input-signals");
    assert_eq!(copied, 2);
    assert_eq!(subjects(&*store).await, ["a", "b"]);
    let wrong = address.replace("/main", "/other");
    let error = try_open(&wrong, &StoreOptions::default())
        .await
        .unwrap_err();
    assert!(
        format!("{error:?}").contains("no such service"),
        "{error:?}"
    );
}
