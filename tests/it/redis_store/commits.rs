//! What a commit writes, and when it writes nothing.

use std::time::Duration;

use bytes::Bytes;
use connector_worker::store::{
    Acquired, Committed, DeadLetter, Lease, Owner, Renewed, StoreError, StoreOptions,
};

use super::{HELD, NAME, acquire, ask, commit, open, subjects, try_open};
use crate::support::proxy::{Cut, Proxy};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_commit_writes_the_documented_keys() {
    let server = RedisServer::start();
    let options = StoreOptions {
        key_prefix: "acme:".to_owned(),
        ..StoreOptions::default()
    };
    let store = try_open(&server.url(), &options).await.unwrap();
    let (lease, _) = acquire(&*store).await;
    let mut first = commit(1, &["a"]);
    first.dead_letters.push(DeadLetter {
        stream: "issues".to_owned(),
        reason: "no key".to_owned(),
        data: Bytes::from_static(b"{}"),
    });
    assert_eq!(store.commit(&lease, &first).await.unwrap(), HELD);
    store
        .record_metrics(
            NAME,
            &[("totalPolls", 1)],
            &[("lastPollTime", "now".to_owned())],
        )
        .await
        .unwrap();

    let mut redis = server.connection();
    let mut keys: Vec<String> = ask(&mut redis, "KEYS *");
    keys.sort();
    assert_eq!(
        keys,
        [
            "acme:connector:dlq:jira-prod",
            "acme:connector:state:jira-prod",
            "acme:connector:versions:jira-prod",
            "acme:lease:jira-prod",
            "acme:metrics:connector:jira-prod",
            "acme:raw-input-signals",
        ]
    );
    let owner: String = ask(&mut redis, "GET acme:lease:jira-prod");
    assert_eq!(owner, lease.owner.as_str());
    let state: Vec<String> = ask(
        &mut redis,
        "HMGET acme:connector:state:jira-prod schema epoch seq cursor:issues",
    );
    assert_eq!(state, ["1", "1", "1", "1"]);
    let entries: Vec<(String, Vec<String>)> = ask(&mut redis, "XRANGE acme:raw-input-signals - +");
    assert_eq!(
        entries[0].1,
        [
            "specversion",
            "1.0",
            "id",
            "jira-prod/issues/a@30313233343536373839616263646566.1",
            "source",
            "/connectors/jira-prod/streams/issues",
            "type",
            "jira.issues.created",
            "subject",
            "a",
            "version",
            "30313233343536373839616263646566",
            "time",
            "2026-02-24T10:30:00Z",
            "datacontenttype",
            "application/json",
            "connector",
            "jira-prod",
            "stream",
            "issues",
            "via",
            "poll",
            "epoch",
            "1",
            "sequence",
            "000000000001",
            "data",
            "{\"id\":\"a\"}",
        ]
    );
    assert_eq!(store.leases().await.unwrap()[0].connector, NAME);
}

#[tokio::test]
async fn a_commit_sent_twice_is_applied_once() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    for _ in 0..2 {
        let answer = store.commit(&lease, &commit(1, &["a", "b"])).await.unwrap();
        assert_eq!(answer, HELD);
    }
    assert_eq!(subjects(&*store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_store_that_lost_its_tail_says_so() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    for sequence in 1..=3 {
        store
            .commit(&lease, &commit(sequence, &["a"]))
            .await
            .unwrap();
    }
    let mut redis = server.connection();
    // What a failover that lost the last two commits leaves behind.
    let _: i64 = ask(&mut redis, "HSET connector:state:jira-prod seq 1");
    assert_eq!(store.renew(&lease, 3).await.unwrap(), Renewed::Gap);
    assert_eq!(
        store.commit(&lease, &commit(4, &["b"])).await.unwrap(),
        Committed::Gap { stored: 1 }
    );
    let _: String = ask(&mut redis, "FLUSHALL");
    assert_eq!(store.renew(&lease, 3).await.unwrap(), Renewed::Fenced);
    assert_eq!(
        store.commit(&lease, &commit(4, &["b"])).await.unwrap(),
        Committed::Fenced
    );
    assert_eq!(subjects(&*store).await, [""; 0]);
}

#[tokio::test]
async fn a_stale_epoch_is_fenced() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (stale, _) = acquire(&*store).await;
    assert!(store.break_lease(NAME).await.unwrap());
    let (fresh, sequence) = acquire(&*store).await;
    assert_eq!((fresh.epoch, sequence), (stale.epoch + 1, 0));
    assert_eq!(
        store.commit(&stale, &commit(1, &["late"])).await.unwrap(),
        Committed::Fenced
    );
    // An epoch number that a failover handed out twice.
    let twin = Lease {
        owner: Owner::new("other"),
        ..fresh.clone()
    };
    assert_eq!(
        store.commit(&twin, &commit(1, &["twin"])).await.unwrap(),
        Committed::Fenced
    );
    assert_eq!(store.renew(&stale, 0).await.unwrap(), Renewed::Fenced);
    assert_eq!(
        store.commit(&fresh, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    assert_eq!(subjects(&*store).await, ["a"]);
}

/// The window between the look and the transaction: a worker that is paused there writes nothing
/// once another has taken the lease, whatever that one did since.
#[tokio::test]
async fn a_lease_taken_after_the_look_refuses_the_transaction() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let (slow, rival) = (open(&proxy.url()).await, open(&server.url()).await);
    for writes in [false, true] {
        let mut redis = server.connection();
        let _: String = ask(&mut redis, "FLUSHALL");
        let (stale, _) = acquire(&*slow).await;
        proxy.cut_at(Cut::Late(Duration::from_secs(2)), b"marked");
        let late = commit(1, &["marked"]);
        let (answer, ()) = tokio::join!(slow.commit(&stale, &late), async {
            while !proxy.has_cut() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(rival.break_lease(NAME).await.unwrap());
            let (fresh, _) = acquire(&*rival).await;
            if writes {
                let answer = rival.commit(&fresh, &commit(1, &["rival"])).await;
                assert_eq!(answer.unwrap(), HELD);
            }
        });
        assert_eq!(answer.unwrap(), Committed::Fenced);
        let expected: &[&str] = if writes { &["rival"] } else { &[] };
        assert_eq!(subjects(&*rival).await, expected);
    }
}

#[tokio::test]
async fn a_key_of_another_type_leaves_nothing_half_written() {
    for key in [
        "connector:versions:jira-prod",
        "raw-input-signals",
        "connector:dlq:jira-prod",
    ] {
        let server = RedisServer::start();
        let store = open(&server.url()).await;
        let (lease, _) = acquire(&*store).await;
        let mut redis = server.connection();
        let _: String = ask(&mut redis, &format!("SET {key} foreign"));
        let mut first = commit(1, &["a", "b"]);
        first.dead_letters.push(DeadLetter {
            stream: "issues".to_owned(),
            reason: "no key".to_owned(),
            data: Bytes::from_static(b"{}"),
        });
        let error = store.commit(&lease, &first).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        let state = store.load_state(NAME).await;
        if key != "connector:versions:jira-prod" {
            assert_eq!(state.unwrap().sequence, 0, "{key}");
        }
        let _: i64 = ask(&mut redis, &format!("DEL {key}"));
        assert_eq!(subjects(&*store).await, [""; 0], "{key}");
        assert_eq!(store.commit(&lease, &first).await.unwrap(), HELD);
        assert_eq!(subjects(&*store).await, ["a", "b"]);
    }
}

#[tokio::test]
async fn a_user_without_every_right_writes_nothing() {
    let server = RedisServer::start();
    let mut redis = server.connection();
    let _: String = ask(&mut redis, "ACL SETUSER half on >pw ~* &* +@all -hdel");
    let url = server.url().replace("redis://", "redis://half:pw@");
    let store = open(&url).await;
    let (lease, _) = acquire(&*store).await;
    let mut first = commit(1, &["a"]);
    first.state.push(("cursor:old".to_owned(), None));
    let error = store.commit(&lease, &first).await.unwrap_err();
    assert!(error.to_string().contains("hdel"), "{error}");
    assert_eq!(store.load_state(NAME).await.unwrap().sequence, 0);
    assert_eq!(subjects(&*store).await, [""; 0]);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_whole_commits() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let owner = Owner::new("host");
    let ttl = Duration::from_millis(500);
    let Acquired::Held(lease, _) = store.acquire(NAME, &owner, None, ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    let mut redis = server.connection();
    let _: String = ask(&mut redis, "CONFIG SET maxmemory 1");
    let error = store
        .commit(&lease, &commit(1, &["a", "b"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    let _: String = ask(&mut redis, "CONFIG SET maxmemory 0");
    assert_eq!(store.load_state(NAME).await.unwrap().sequence, 0);
    assert_eq!(subjects(&*store).await, [""; 0]);
}

#[tokio::test]
async fn forgotten_scripts_are_taught_again() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let mut redis = server.connection();
    for sequence in 1..=2 {
        let _: String = ask(&mut redis, "SCRIPT FLUSH");
        let answer = store.commit(&lease, &commit(sequence, &["a"])).await;
        assert_eq!(answer.unwrap(), HELD);
        assert_eq!(store.renew(&lease, sequence).await.unwrap(), Renewed::Held);
    }
    assert_eq!(subjects(&*store).await, ["a", "a"]);
}
