//! The store in this process, for tests and `memory:`: the readable reference of what every
//! store promises.
//!
//! Clones share one store, so that a test can run two workers against it. Leases expire on
//! tokio's clock, which tests may pause. Nothing outlives the process.

mod content;
mod credentials;
mod queue;

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::content::{Connector, Content};
use super::{
    Acquired, Commit, Committed, CycleStore, DeadLetterEntry, KnownVersion, Lease, LeaseInfo,
    Owner, Renewed, State, Store, StoreError, StreamEntry, StreamLevel, add_to_metric,
    is_state_field_of, is_version_field_of, local_id, parse_local_id,
};

/// A store that lives as long as its last clone.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    content: Mutex<Content>,
    /// Rung whenever entries were added or a lease was given up.
    changed: Notify,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Every change below is made without a panic in between, so a poisoned lock holds
        // consistent content.
        self.shared
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, connector: &str, work: impl FnOnce(&mut Connector) -> T) -> T {
        work(
            self.content()
                .connectors
                .entry(connector.to_owned())
                .or_default(),
        )
    }

    fn read(&self, stream: &str, after: u64, count: usize) -> Vec<StreamEntry> {
        let content = self.content();
        let Some(entries) = content.streams.get(stream) else {
            return Vec::new();
        };
        let later = entries.range((Excluded(after), Unbounded));
        later.take(count).map(|(_, entry)| entry.clone()).collect()
    }
}

#[async_trait]
impl CycleStore for MemoryStore {
    async fn scan_versions(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError> {
        self.with(connector, |held| {
            for (field, known) in &held.versions {
                each(field, *known);
            }
        });
        Ok(())
    }

    async fn get_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError> {
        Ok(self.with(connector, |held| {
            fields
                .iter()
                .map(|field| held.versions.get(field).copied())
                .collect()
        }))
    }

    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError> {
        let answer = self.content().commit(lease, commit);
        self.shared.changed.notify_waiters();
        Ok(answer)
    }

    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError> {
        let length = self.content().streams.get(stream).map_or(0, BTreeMap::len) as u64;
        // There are no consumer groups here, so nothing is known to be read.
        Ok(StreamLevel {
            length,
            ..StreamLevel::default()
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn address(&self) -> String {
        "memory:".to_owned()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn acquire(
        &self,
        connector: &str,
        owner: &Owner,
        previous: Option<&Owner>,
        ttl: Duration,
    ) -> Result<Acquired, StoreError> {
        Ok(self.with(connector, |held| {
            let mut already_ours = false;
            if let Some((holder, remaining)) = held.holder() {
                if holder != owner && Some(holder) != previous {
                    return Acquired::Busy {
                        holder: holder.as_str().to_owned(),
                        remaining,
                    };
                }
                already_ours = holder == owner && held.owner.as_ref() == Some(owner);
            }
            if !already_ours {
                held.epoch += 1;
                held.owner = Some(owner.clone());
            }
            held.lease = Some((owner.clone(), Instant::now() + ttl));
            let lease = Lease {
                connector: connector.into(),
                epoch: held.epoch,
                owner: owner.clone(),
                ttl,
            };
            Acquired::Held(lease, held.state())
        }))
    }

    async fn renew(&self, lease: &Lease, applied: u64) -> Result<Renewed, StoreError> {
        Ok(self.with(&lease.connector, |held| {
            if !held.may_write(lease) {
                Renewed::Fenced
            } else if held.sequence < applied {
                Renewed::Gap
            } else if held.extend(lease) {
                Renewed::Held
            } else {
                Renewed::Lost
            }
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.with(&lease.connector, |held| {
            if held.may_write(lease) {
                held.owner = None;
                if held
                    .holder()
                    .is_some_and(|(owner, _)| *owner == lease.owner)
                {
                    held.lease = None;
                }
            }
        });
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn released(&self, connector: &str) -> Result<(), StoreError> {
        loop {
            // Subscribe before looking, or a release in between would go unnoticed.
            let changed = self.shared.changed.notified();
            let remaining = self.with(connector, |held| held.holder().map(|(_, left)| left));
            let Some(remaining) = remaining else {
                return Ok(());
            };
            let _ = tokio::time::timeout(remaining, changed).await;
        }
    }

    async fn load_state(&self, connector: &str) -> Result<State, StoreError> {
        let content = self.content();
        Ok(content
            .connectors
            .get(connector)
            .map(Connector::state)
            .unwrap_or_default())
    }

    async fn record_metrics(
        &self,
        connector: &str,
        add: &[(&str, i64)],
        set: &[(&str, String)],
    ) -> Result<(), StoreError> {
        self.with(connector, |held| {
            for (name, amount) in add {
                let before = held.metrics.get(*name).map(String::as_str);
                let after = add_to_metric(name, before, *amount)?;
                held.metrics.insert((*name).to_owned(), after);
            }
            for (name, value) in set {
                held.metrics.insert((*name).to_owned(), value.clone());
            }
            Ok(())
        })
    }

    async fn load_metrics(&self, connector: &str) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.with(connector, |held| held.metrics.clone()))
    }

    async fn read_stream(
        &self,
        stream: &str,
        after: Option<&str>,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let after = after.map_or(Ok(0), parse_local_id)?;
        let deadline = Instant::now() + wait;
        loop {
            let changed = self.shared.changed.notified();
            let entries = self.read(stream, after, count);
            if !entries.is_empty() || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Ok(entries);
            }
        }
    }

    async fn last_entry(&self, stream: &str) -> Result<Option<String>, StoreError> {
        let content = self.content();
        let last = content
            .streams
            .get(stream)
            .and_then(BTreeMap::last_key_value);
        Ok(last.map(|(_, entry)| entry.id.clone()))
    }

    async fn leases(&self) -> Result<Vec<LeaseInfo>, StoreError> {
        let content = self.content();
        let held = content.connectors.iter().filter_map(|(name, connector)| {
            let (owner, remaining) = connector.holder()?;
            Some(LeaseInfo {
                connector: name.clone(),
                owner: owner.as_str().to_owned(),
                epoch: connector.epoch,
                remaining,
            })
        });
        Ok(held.collect())
    }

    async fn break_lease(&self, connector: &str) -> Result<bool, StoreError> {
        let existed = self.with(connector, |held| {
            let existed = held.holder().is_some();
            held.lease = None;
            existed
        });
        self.shared.changed.notify_waiters();
        Ok(existed)
    }

    async fn reset_state(
        &self,
        lease: &Lease,
        stream: Option<&str>,
    ) -> Result<Committed, StoreError> {
        Ok(self.with(&lease.connector, |held| {
            if !held.may_write(lease) {
                return Committed::Fenced;
            }
            held.fields
                .retain(|field, _| stream.is_some_and(|stream| !is_state_field_of(field, stream)));
            held.versions.retain(|field, _| {
                stream.is_some_and(|stream| !is_version_field_of(field, stream))
            });
            Committed::Applied {
                lease_held: held.extend(lease),
            }
        }))
    }

    async fn dead_letters(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadLetterEntry>, StoreError> {
        let after = after.map_or(Ok(0), parse_local_id)?;
        Ok(self.with(connector, |held| {
            let later = held.dead_letters.iter().filter(|(id, ..)| *id > after);
            later
                .take(count)
                .map(|(id, time, letter)| DeadLetterEntry {
                    id: local_id(*id),
                    time: time.clone(),
                    letter: letter.clone(),
                })
                .collect()
        }))
    }

    async fn purge_dead_letters(
        &self,
        connector: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let ids = ids
            .map(|ids| {
                ids.iter()
                    .map(|id| parse_local_id(id))
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        Ok(self.with(connector, |held| {
            let before = held.dead_letters.len();
            match ids {
                Some(ids) => held.dead_letters.retain(|(id, ..)| !ids.contains(id)),
                None => held.dead_letters.clear(),
            }
            (before - held.dead_letters.len()) as u64
        }))
    }
}
