//! Output streams at their limit, and what trimming leaves.

use std::time::Duration;

use connector_worker::store::Committed;

use super::{HELD, OUTPUT, acquire, ask, commit, open, subjects};
use crate::support::redis::RedisServer;

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
