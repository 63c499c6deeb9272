//! The store in Redis: every write is one step, fenced by the epoch and owner in the state hash.
//!
//! The lease key says who may try; the state hash says who may write. Reads need no lease.
//! `scripts` has what runs inside Redis, `connection` how it is reached, `commit` the one
//! transaction that matters for speed.

mod announce;
mod check;
mod commit;
mod connection;
mod credentials;
mod dead_letters;
mod failure;
mod keys;
mod lease;
mod queue;
mod reply;
mod scripts;
mod sentinel;
mod streams;
mod versions;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisResult};

use self::announce::Announcements;
use self::connection::{Endpoint, Link, RESPONSE_TIMEOUT};
use self::keys::Keys;
use self::wire::Wires;
use super::address::SentinelAddress;
use super::{
    Acquired, Commit, Committed, CycleStore, DeadLetterEntry, KnownVersion, Lease, LeaseInfo,
    Owner, Prepared, Queue, Renewed, State, Store, StoreError, StoreOptions, StreamEntry,
    StreamLevel,
};

/// A store in one Redis server.
pub(super) struct RedisStore {
    endpoint: Endpoint,
    keys: Keys,
    /// For commits alone: nothing slow stands before them.
    commits: Wires,
    /// For appends of deliveries alone: commits and they do not wait for each other.
    appends: Wires,
    /// For renewals alone: a large commit must not make a lease end.
    renewals: Link,
    /// For everything else that does not block.
    shared: Link,
    /// For standbys.
    announcements: Announcements,
    /// For who reads queues of deliveries.
    arrivals: Announcements,
    /// For the next reader of a stream, if nobody reads now.
    reader: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.endpoint.address())
    }
}

impl RedisStore {
    /// Connects to one server and checks that it can keep the store's promises.
    pub(super) async fn open(url: &url::Url, options: &StoreOptions) -> Result<Self, StoreError> {
        Self::at(Endpoint::direct(url)?, options).await
    }

    /// As [`open`](Self::open), for the server that Sentinel names.
    pub(super) async fn open_watched(
        address: &SentinelAddress,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        Self::at(Endpoint::watched(address)?, options).await
    }

    async fn at(endpoint: Endpoint, options: &StoreOptions) -> Result<Self, StoreError> {
        let keys = Keys::new(&options.key_prefix);
        let store = Self {
            announcements: Announcements::new(endpoint.clone(), keys.released_pattern()),
            commits: Wires::new(endpoint.clone()),
            appends: Wires::new(endpoint.clone()),
            arrivals: Announcements::new(endpoint.clone(), keys.arrived_pattern()),
            renewals: Link::new(endpoint.clone()),
            shared: Link::new(endpoint.clone()),
            keys,
            reader: Mutex::new(None),
            endpoint,
        };
        store.check(options.allow_eviction).await?;
        Ok(store)
    }

    /// Sends a command that may be repeated, and reads its answer.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = self.shared.call(command, RESPONSE_TIMEOUT).await;
        self.checked(answer.and_then(reply::from))
    }

    /// The store's error for the library's.
    fn checked<T>(&self, answer: RedisResult<T>) -> Result<T, StoreError> {
        answer.map_err(|error| failure::store_error(self.endpoint.address(), error))
    }
}

#[async_trait]
impl CycleStore for RedisStore {
    async fn scan_versions(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError> {
        self.each_version(connector, each).await
    }

    async fn get_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError> {
        self.some_versions(connector, fields).await
    }

    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError> {
        let mut work = self.encode(lease, commit);
        let mut queue = Queue::none();
        self.write(lease, commit, &mut work, &mut queue).await
    }

    fn prepare(&self, lease: &Lease, commit: Commit) -> Prepared {
        let work = self.encode(lease, &commit);
        Prepared::encoded(commit, work)
    }

    async fn commit_prepared(
        &self,
        lease: &Lease,
        prepared: &mut Prepared,
        queue: &mut Queue,
    ) -> Result<Committed, StoreError> {
        match prepared.work() {
            (commit, Some(work)) => self.write(lease, commit, work, queue).await,
            (commit, None) => self.commit(lease, commit).await,
        }
    }

    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError> {
        self.trim_read(stream).await
    }
}

#[async_trait]
impl Store for RedisStore {
    fn address(&self) -> String {
        self.endpoint.address().to_owned()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<String>(&redis::cmd("PING")).await.map(|_| ())
    }

    async fn acquire(
        &self,
        connector: &str,
        owner: &Owner,
        previous: Option<&Owner>,
        ttl: Duration,
    ) -> Result<Acquired, StoreError> {
        self.acquire_lease(connector, owner, previous, ttl).await
    }

    async fn renew(&self, lease: &Lease, applied: u64) -> Result<Renewed, StoreError> {
        self.renew_lease(lease, applied).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.release_lease(lease).await
    }

    async fn released(&self, connector: &str) -> Result<(), StoreError> {
        self.wait_for_release(connector).await
    }

    async fn load_state(&self, connector: &str) -> Result<State, StoreError> {
        let command =
            scripts::STATE.call(&[&self.keys.state(connector), &self.keys.versions(connector)]);
        let answer = self
            .shared
            .run(&scripts::STATE, &command, RESPONSE_TIMEOUT)
            .await;
        let (versions, pairs) = self.checked(answer.and_then(reply::from))?;
        reply::state(pairs, versions)
    }

    async fn record_metrics(
        &self,
        connector: &str,
        add: &[(&str, i64)],
        set: &[(&str, String)],
    ) -> Result<(), StoreError> {
        let key = self.keys.metrics(connector);
        let mut pipeline = redis::pipe();
        for (name, amount) in add {
            pipeline.cmd("HINCRBY").arg(&key).arg(name).arg(amount);
        }
        if !set.is_empty() {
            pipeline.cmd("HSET").arg(&key);
            for (name, value) in set {
                pipeline.arg(name).arg(value);
            }
        }
        if add.is_empty() && set.is_empty() {
            return Ok(());
        }
        let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
        self.checked(answers).map(|_| ())
    }

    async fn load_metrics(&self, connector: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.metrics(connector));
        self.ask(&command).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        after: Option<&str>,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        self.follow(stream, after, count, wait).await
    }

    async fn last_entry(&self, stream: &str) -> Result<Option<String>, StoreError> {
        self.newest(stream).await
    }

    async fn leases(&self) -> Result<Vec<LeaseInfo>, StoreError> {
        self.list_leases().await
    }

    async fn break_lease(&self, connector: &str) -> Result<bool, StoreError> {
        self.take_away_lease(connector).await
    }

    async fn reset_state(
        &self,
        lease: &Lease,
        stream: Option<&str>,
    ) -> Result<Committed, StoreError> {
        self.forget(lease, stream).await
    }

    async fn dead_letters(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadLetterEntry>, StoreError> {
        self.list_dead_letters(connector, after, count).await
    }

    async fn purge_dead_letters(
        &self,
        connector: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        self.remove_dead_letters(connector, ids).await
    }
}
