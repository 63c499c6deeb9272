//! A store, and short ways to say what happens to it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{
    self, Acquired, Commit, Committed, DeadLetter, KnownVersion, Lease, MemoryStore, Output, Owner,
    State, Store, StoreOptions, VersionEntry, version_field,
};

use crate::support::redis::RedisServer;

/// Longer than any test that does not wait for it.
pub const LONG: Duration = Duration::from_mins(1);

pub const OUTPUT: &str = "raw-input-signals";

/// One empty store.
pub struct Scene {
    pub store: Arc<dyn Store>,
    /// Whether a commit beyond the limit is refused; otherwise the oldest entries make room.
    pub refuses_when_full: bool,
    /// What the store lives in.
    _home: Box<dyn Any + Send>,
}

impl Scene {
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            refuses_when_full: true,
            _home: Box::new(()),
        }
    }

    pub async fn in_sqlite() -> Self {
        let home = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", home.path().join("a/b/store.db").display());
        let store = store::open(&address.parse().unwrap(), &StoreOptions::default()).await;
        Self {
            store: store.unwrap(),
            refuses_when_full: false,
            _home: Box::new(home),
        }
    }

    pub async fn in_redis() -> Self {
        let server = RedisServer::start();
        let address = server.url().parse().unwrap();
        Self {
            store: store::open(&address, &StoreOptions::default())
                .await
                .unwrap(),
            refuses_when_full: true,
            _home: Box::new(server),
        }
    }

    /// The lease of `connector` for `owner`, which must be free.
    pub async fn hold(&self, connector: &str, owner: &str) -> Lease {
        self.hold_for(connector, owner, LONG).await.0
    }

    pub async fn hold_for(&self, connector: &str, owner: &str, ttl: Duration) -> (Lease, State) {
        let owner = Owner::from(owner);
        match self.store.acquire(connector, &owner, None, ttl).await {
            Ok(Acquired::Held(lease, state)) => (lease, state),
            other => panic!("the lease of {connector} is not free: {other:?}"),
        }
    }

    pub async fn commit(&self, lease: &Lease, commit: &Commit) -> Committed {
        self.store.commit(lease, commit).await.unwrap()
    }

    /// Commits and expects it to be applied with the lease held.
    pub async fn apply(&self, lease: &Lease, commit: &Commit) {
        let answer = self.commit(lease, commit).await;
        assert_eq!(answer, Committed::Applied { lease_held: true });
    }

    /// Values of one field in all entries of the output.
    pub async fn field(&self, name: &str) -> Vec<String> {
        let entries = self.store.read_stream(OUTPUT, None, 10_000, Duration::ZERO);
        let values = entries.await.unwrap().into_iter().map(|entry| {
            let field = entry.fields.into_iter().find(|(field, _)| field == name);
            String::from_utf8(field.unwrap().1.to_vec()).unwrap()
        });
        values.collect()
    }

    /// Every kept version, by field.
    pub async fn versions(&self, connector: &str) -> Vec<(Vec<u8>, KnownVersion)> {
        let mut found = Vec::new();
        self.store
            .scan_versions(connector, &mut |field, known| {
                found.push((field.to_vec(), known));
            })
            .await
            .unwrap();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found.dedup();
        found
    }
}

/// A commit of `connector` without content.
pub fn empty(connector: &str, sequence: u64) -> Commit {
    Commit {
        sequence,
        output: Output {
            stream: OUTPUT.into(),
            max_len: 0,
        },
        origin: Origin {
            connector: connector.into(),
            stream: "issues".into(),
            provider: "jira".into(),
            tenant: None,
            via: Via::Poll,
        },
        signals: Vec::new(),
        versions: Vec::new(),
        gone: Vec::new(),
        state: Vec::new(),
        dead_letters: Vec::new(),
        acknowledged: Vec::new(),
    }
}

/// A commit that publishes these keys, with versions and a cursor to match.
pub fn publish(connector: &str, sequence: u64, keys: &[&str]) -> Commit {
    Commit {
        signals: keys.iter().map(|key| signal(key)).collect(),
        versions: keys.iter().map(|key| version("issues", key, 1)).collect(),
        state: vec![("cursor:issues".to_owned(), Some(sequence.to_string()))],
        ..empty(connector, sequence)
    }
}

pub fn signal(key: &str) -> Signal {
    Signal {
        kind: ChangeKind::Created,
        subject: key.to_owned(),
        version: Version([1; 16]),
        time: "2026-02-24T10:30:00Z".to_owned(),
        data: "{}".into(),
    }
}

pub fn known(byte: u8) -> KnownVersion {
    KnownVersion {
        version: Version([byte; 16]),
        instant: None,
        day: None,
    }
}

pub fn version(stream: &str, key: &str, byte: u8) -> VersionEntry {
    VersionEntry {
        field: version_field(stream, key),
        known: known(byte),
    }
}

pub fn letter(reason: &str) -> DeadLetter {
    DeadLetter {
        stream: "issues".to_owned(),
        reason: reason.to_owned(),
        data: "{\"broken\":".into(),
    }
}
