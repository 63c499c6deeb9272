//! The Redis store under faults: lost replies, restarts, rollbacks, foreign writers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{
    self, Acquired, Commit, Committed, DeadLetter, KnownVersion, Lease, Output, Owner, Renewed,
    Store, StoreAddress, StoreError, StoreOptions, VersionEntry, version_field,
};
use redis::Connection;
use tokio::time::{Instant, sleep, timeout};

use crate::support::proxy::{Cut, Proxy};
use crate::support::redis::{RedisServer, free_port};

const NAME: &str = "jira-prod";
const OUTPUT: &str = "raw-input-signals";
const TTL: Duration = Duration::from_secs(5);
const HELD: Committed = Committed::Applied { lease_held: true };

async fn open(url: &str) -> Arc<dyn Store> {
    try_open(url, &StoreOptions::default()).await.unwrap()
}

async fn try_open(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    let address: StoreAddress = url.parse().unwrap();
    store::open(&address, options).await
}

async fn acquire(store: &dyn Store) -> (Lease, u64) {
    match store.acquire(NAME, &Owner::new("host"), None, TTL).await {
        Ok(Acquired::Held(lease, state)) => (lease, state.sequence),
        other => panic!("the lease is free: {other:?}"),
    }
}

/// A commit that publishes `keys` and keeps their versions.
fn commit(sequence: u64, keys: &[&str]) -> Commit {
    let version = Version(*b"0123456789abcdef");
    Commit {
        sequence,
        output: Output {
            stream: OUTPUT.into(),
            max_len: 0,
        },
        origin: Origin {
            connector: NAME.into(),
            stream: "issues".into(),
            provider: "jira".into(),
            tenant: None,
            via: Via::Poll,
        },
        signals: keys
            .iter()
            .map(|key| Signal {
                kind: ChangeKind::Created,
                subject: (*key).to_owned(),
                version,
                time: "2026-02-24T10:30:00Z".to_owned(),
                data: Bytes::from(format!("{{\"id\":\"{key}\"}}")),
            })
            .collect(),
        versions: keys
            .iter()
            .map(|key| VersionEntry {
                field: version_field("issues", key),
                known: KnownVersion {
                    version,
                    instant: Some(1_770_000_000_000),
                    day: None,
                },
            })
            .collect(),
        gone: Vec::new(),
        state: vec![("cursor:issues".to_owned(), Some(sequence.to_string()))],
        dead_letters: Vec::new(),
    }
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut call = redis::cmd(words.next().unwrap());
    for word in words {
        call.arg(word);
    }
    call.query(connection).unwrap()
}

async fn subjects(store: &dyn Store) -> Vec<String> {
    let entries = store
        .read_stream(OUTPUT, None, 10_000, Duration::ZERO)
        .await
        .unwrap();
    entries
        .iter()
        .map(|entry| {
            let (_, subject) = entry
                .fields
                .iter()
                .find(|(name, _)| name == "subject")
                .unwrap();
            String::from_utf8(subject.to_vec()).unwrap()
        })
        .collect()
}

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

#[tokio::test]
async fn a_full_stream_takes_nothing_until_its_groups_have_read() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let limited = |sequence, keys: &[&str]| {
        let mut commit = commit(sequence, keys);
        commit.output.max_len = 3;
        commit
    };
    assert_eq!(
        store
            .commit(&lease, &limited(1, &["a", "b"]))
            .await
            .unwrap(),
        HELD
    );
    let full = limited(2, &["c", "d"]);
    assert_eq!(
        store.commit(&lease, &full).await.unwrap(),
        Committed::Full { length: 2 }
    );
    let level = store.trim(OUTPUT).await.unwrap();
    assert_eq!((level.length, level.groups, level.trimmed), (2, 0, 0));

    let mut redis = server.connection();
    let _: String = ask(&mut redis, "XGROUP CREATE raw-input-signals readers 0");
    assert_eq!(store.trim(OUTPUT).await.unwrap().trimmed, 0, "not read yet");
    let read = "XREADGROUP GROUP readers one COUNT 10 STREAMS raw-input-signals >";
    let _: redis::Value = ask(&mut redis, read);
    assert_eq!(store.trim(OUTPUT).await.unwrap().trimmed, 0, "pending");
    let entries = store
        .read_stream(OUTPUT, None, 10, Duration::ZERO)
        .await
        .unwrap();
    let ack = format!("XACK raw-input-signals readers {}", entries[0].id);
    let _: i64 = ask(&mut redis, &ack);
    let level = store.trim(OUTPUT).await.unwrap();
    assert_eq!((level.length, level.groups, level.trimmed), (1, 1, 1));
    assert_eq!(store.commit(&lease, &full).await.unwrap(), HELD);
    assert_eq!(subjects(&*store).await, ["b", "c", "d"]);

    // A slower group keeps what it has not read.
    let last = store.last_entry(OUTPUT).await.unwrap().unwrap();
    let _: redis::Value = ask(&mut redis, read);
    for entry in store
        .read_stream(OUTPUT, None, 10, Duration::ZERO)
        .await
        .unwrap()
    {
        let _: i64 = ask(
            &mut redis,
            &format!("XACK raw-input-signals readers {}", entry.id),
        );
    }
    let _: String = ask(&mut redis, "XGROUP CREATE raw-input-signals slow 0");
    assert_eq!(store.trim(OUTPUT).await.unwrap().trimmed, 0);
    let _: String = ask(
        &mut redis,
        &format!("XGROUP SETID raw-input-signals slow {last}"),
    );
    assert_eq!(store.trim(OUTPUT).await.unwrap().length, 0);
}

#[tokio::test]
async fn a_long_stream_is_trimmed_to_what_is_unread() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let keys: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for sequence in 1..=30 {
        store
            .commit(&lease, &commit(sequence, &keys))
            .await
            .unwrap();
    }
    let mut redis = server.connection();
    let _: String = ask(&mut redis, "XGROUP CREATE raw-input-signals readers 0");
    let read = "XREADGROUP GROUP readers one COUNT 14901 NOACK STREAMS raw-input-signals >";
    let _: redis::Value = ask(&mut redis, read);
    let level = store.trim(OUTPUT).await.unwrap();
    assert_eq!((level.length, level.trimmed), (99, 14_901));
    assert_eq!(subjects(&*store).await, keys[401..]);
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
    let error = store.commit(&lease, &commit(1, &["a"])).await.unwrap_err();
    assert!(error.to_string().contains("HDEL"), "{error}");
    assert_eq!(subjects(&*store).await, [""; 0]);
}

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
    let store = open(&server.url()).await;
    let owner = Owner::new("host");
    let ttl = Duration::from_secs(1);
    let Acquired::Held(lease, _) = store.acquire(NAME, &owner, None, ttl).await.unwrap() else {
        panic!("the lease is free");
    };
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    server.pause();
    let started = Instant::now();
    let answer = store.commit(&lease, &commit(2, &["b"])).await.unwrap();
    assert_eq!(answer, Committed::InDoubt);
    assert!(started.elapsed() < ttl * 8, "{:?}", started.elapsed());
    server.resume();
    // The late copies are executed now, once; a new epoch shows what came of it.
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
async fn a_redis_that_may_evict_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let error = try_open(&server.url(), &StoreOptions::default())
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    for part in [
        "allkeys-lru",
        "maxmemory-policy noeviction",
        "--allow-eviction",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let options = StoreOptions {
        allow_eviction: true,
        ..StoreOptions::default()
    };
    try_open(&server.url(), &options).await.unwrap();
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
async fn a_deleted_lease_key_is_lost_and_not_taken_back() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Held);
    let _: i64 = ask(&mut server.connection(), "DEL lease:jira-prod");
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Lost);
    // Nobody took over, so the page in hand may still be committed.
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        Committed::Applied { lease_held: false }
    );
    assert_eq!(store.leases().await.unwrap(), []);
    acquire(&*store).await;
}

#[tokio::test]
async fn a_release_wakes_standbys_within_a_second() {
    let server = RedisServer::start();
    let (holder, standby) = tokio::join!(async { open(&server.url()).await }, async {
        open(&server.url()).await
    });
    let (lease, _) = acquire(&*holder).await;
    let started = Instant::now();
    let ((), ()) = tokio::join!(
        async {
            timeout(Duration::from_secs(5), standby.released(NAME))
                .await
                .expect("announced")
                .unwrap();
        },
        async {
            sleep(Duration::from_millis(300)).await;
            holder.release(&lease).await.unwrap();
        }
    );
    let waited = started.elapsed();
    assert!(
        waited > Duration::from_millis(250) && waited < Duration::from_millis(1300),
        "{waited:?}"
    );
    // Free already: there is nothing to wait for.
    timeout(Duration::from_secs(2), standby.released(NAME))
        .await
        .expect("free")
        .unwrap();
    let (next, _) = acquire(&*standby).await;
    assert_eq!(next.epoch, lease.epoch + 1);
}

#[tokio::test]
async fn credentials_are_never_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right-secret"]);
    let with = |password: &str| {
        server
            .url()
            .replace("redis://", &format!("redis://:{password}@"))
    };
    let error = try_open(&with("wrong-secret"), &StoreOptions::default())
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("password"), "{shown}");
    assert!(!shown.contains("wrong-secret"), "{shown}");
    let error = try_open(&server.url(), &StoreOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    let store = open(&with("right-secret")).await;
    let shown = format!("{store:?} {}", store.address());
    assert!(!shown.contains("right-secret"), "{shown}");
}

/// Where the certificates of these tests are.
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

fn tls_server() -> (RedisServer, String) {
    let port = free_port();
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &format!("{CERTIFICATES}/server.pem"),
        "--tls-key-file",
        &format!("{CERTIFICATES}/server.key"),
        "--tls-auth-clients",
        "no",
    ]);
    (server, format!("rediss://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let (_server, url) = tls_server();
    let error = try_open(&url, &StoreOptions::default()).await.unwrap_err();
    let cause = format!("{error:?}");
    assert!(cause.contains("UnknownIssuer"), "{cause}");
}

#[test]
fn an_authority_named_in_the_environment_is_trusted() {
    // The environment of this process cannot be changed while tests run beside each other.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "redis_store::over_tls_everything_works",
            "--ignored",
        ])
        .env("SSL_CERT_FILE", format!("{CERTIFICATES}/authority.pem"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

#[tokio::test]
#[ignore = "run by an_authority_named_in_the_environment_is_trusted"]
async fn over_tls_everything_works() {
    let (_server, url) = tls_server();
    let store = open(&url).await;
    let (lease, _) = acquire(&*store).await;
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Held);
    let keys: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for sequence in 1..=3 {
        let answer = store.commit(&lease, &commit(sequence, &keys)).await;
        assert_eq!(answer.unwrap(), HELD);
    }
    assert_eq!(subjects(&*store).await.len(), 900);
    store.release(&lease).await.unwrap();
}

/// `(field, version)` of everything that is kept.
async fn kept(store: &dyn Store) -> std::collections::BTreeMap<Vec<u8>, KnownVersion> {
    let mut kept = std::collections::BTreeMap::new();
    store
        .scan_versions(NAME, &mut |field, known| {
            assert_eq!(
                kept.insert(field.to_vec(), known),
                None,
                "{field:?} came twice"
            );
        })
        .await
        .unwrap();
    kept
}

#[tokio::test]
async fn a_large_set_of_versions_moves_to_buckets_without_losing_any() {
    const MANY: usize = 201_000;
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    let mut redis = server.connection();
    let base = "connector:versions:jira-prod";
    for chunk in (0..MANY).collect::<Vec<_>>().chunks(5000) {
        let mut call = redis::cmd("HSET");
        call.arg(base);
        for number in chunk {
            call.arg(version_field("issues", &number.to_string()))
                .arg(&b"old-version-0123"[..]);
        }
        call.exec(&mut redis).unwrap();
    }
    // Enough commits to start moving and to be far from done.
    let mut sequence = 0;
    for number in 0..20 {
        sequence += 1;
        let mut next = commit(sequence, &[&number.to_string(), &format!("new-{number}")]);
        next.gone
            .push(version_field("issues", &(100 + number).to_string()));
        assert_eq!(store.commit(&lease, &next).await.unwrap(), HELD);
    }
    let in_one_hash: usize = ask(&mut redis, &format!("HLEN {base}"));
    assert!((1..MANY - 1000).contains(&in_one_hash), "{in_one_hash}");
    let buckets: Vec<String> = ask(&mut redis, &format!("KEYS {base}:*"));
    let moved: String = ask(&mut redis, &format!("OBJECT ENCODING {}", buckets[0]));
    assert_eq!(moved, "listpack");

    let fields = ["0", "19", "new-19", "100", "119", "120", "200000", "none"]
        .map(|key| version_field("issues", key));
    let known = store.get_versions(NAME, &fields).await.unwrap();
    let known: Vec<_> = known
        .iter()
        .map(|known| known.map(|known| known.version.0 == *b"0123456789abcdef"))
        .collect();
    let (new, old) = (Some(true), Some(false));
    assert_eq!(known, [new, new, new, None, None, old, old, None]);
    assert_eq!(kept(&*store).await.len(), MANY);
    let state = store.load_state(NAME).await.unwrap();
    assert_eq!(state.versions, MANY as u64);
    assert!(state.fields.keys().eq(["cursor:issues"]), "{state:?}");

    // The rest, by a script as a stand-in for a thousand commits.
    let few: usize = ask(&mut redis, &format!("HLEN {base}"));
    let drop = (few - 100).to_string();
    let dropped: Vec<Vec<u8>> = redis::cmd("HRANDFIELD")
        .arg(base)
        .arg(&drop)
        .query(&mut redis)
        .unwrap();
    for chunk in dropped.chunks(5000) {
        redis::cmd("HDEL")
            .arg(base)
            .arg(chunk)
            .exec(&mut redis)
            .unwrap();
    }
    sequence += 1;
    store
        .commit(&lease, &commit(sequence, &["last"]))
        .await
        .unwrap();
    let left: usize = ask(&mut redis, &format!("EXISTS {base}"));
    assert_eq!(left, 0, "everything has moved");
    assert_eq!(kept(&*store).await.len(), MANY - dropped.len() + 1);

    let (again, state) = match store.acquire(NAME, &lease.owner, None, TTL).await.unwrap() {
        Acquired::Held(lease, state) => (lease, state),
        busy @ Acquired::Busy { .. } => panic!("{busy:?}"),
    };
    assert_eq!(state.versions, (MANY - dropped.len() + 1) as u64);
    store.reset_state(&again, Some("issues")).await.unwrap();
    assert_eq!(kept(&*store).await.len(), 0);
    store.reset_state(&again, None).await.unwrap();
    sequence += 1;
    store
        .commit(&again, &commit(sequence, &["fresh"]))
        .await
        .unwrap();
    let in_one_hash: usize = ask(&mut redis, &format!("HLEN {base}"));
    assert_eq!(in_one_hash, 1, "small again, one hash again");
}

#[tokio::test]
async fn standbys_of_many_connectors_share_a_connection_and_outlive_a_restart() {
    let mut server = RedisServer::start_durable();
    let (holder, standby) = (open(&server.url()).await, open(&server.url()).await);
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    for round in 0..2 {
        let mut leases = Vec::new();
        for name in &names {
            let owner = Owner::new("host");
            match holder.acquire(name, &owner, None, TTL * 10).await.unwrap() {
                Acquired::Held(lease, _) => leases.push(lease),
                busy @ Acquired::Busy { .. } => panic!("{busy:?}"),
            }
        }
        let waiting = futures::future::join_all(names.iter().map(|name| standby.released(name)));
        let ((), answers) = tokio::join!(
            async {
                sleep(Duration::from_millis(300)).await;
                let clients: String = ask(&mut server.connection(), "CLIENT LIST TYPE pubsub");
                assert_eq!(clients.lines().count(), 1, "round {round}: {clients}");
                for lease in &leases {
                    holder.release(lease).await.unwrap();
                }
            },
            async { timeout(Duration::from_secs(5), waiting).await.unwrap() }
        );
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        server.restart();
    }
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

#[tokio::test]
async fn the_documented_rights_are_enough() {
    let server = RedisServer::start();
    let mut redis = server.connection();
    let rights = "+@read +@write +@scripting +@connection +@pubsub +info";
    let _: String = ask(
        &mut redis,
        &format!("ACL SETUSER worker on >pw ~acme:* &acme:lease:released:* {rights}"),
    );
    let url = server.url().replace("redis://", "redis://worker:pw@");
    let options = StoreOptions {
        key_prefix: "acme:".to_owned(),
        ..StoreOptions::default()
    };
    let store = try_open(&url, &options).await.unwrap();
    let (lease, _) = acquire(&*store).await;
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        HELD
    );
    assert_eq!(store.renew(&lease, 1).await.unwrap(), Renewed::Held);
    store.trim(OUTPUT).await.unwrap();
    assert_eq!(kept(&*store).await.len(), 1);
    assert_eq!(store.leases().await.unwrap().len(), 1);
    let (heard, ()) = tokio::join!(store.released(NAME), async {
        sleep(Duration::from_millis(200)).await;
        store.release(&lease).await.unwrap();
    });
    heard.unwrap();
    let (lease, _) = acquire(&*store).await;
    store.reset_state(&lease, None).await.unwrap();
    assert_eq!(subjects(&*store).await, ["a"]);
}
