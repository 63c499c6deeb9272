//! The Redis store under faults: lost replies, restarts, rollbacks, foreign writers.

mod commits;
mod full_streams;
mod leases;
mod outages;
mod trust;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{
    self, Acquired, Commit, Committed, KnownVersion, Lease, Output, Owner, Store, StoreAddress,
    StoreError, StoreOptions, VersionEntry, version_field,
};
use redis::Connection;

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
        acknowledged: Vec::new(),
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
