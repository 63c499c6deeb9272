//! The queues of webhooks in memory.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;

use super::MemoryStore;
use crate::store::queue::{
    Acknowledged, Appended, DEAD_DELIVERIES_KEPT, DeadDelivery, Enqueued, QueueLevel, QueueLimits,
    QueueStore, QueuedDelivery, WaitingDelivery,
};
use crate::store::{StoreError, local_id, parse_local_id};

/// One connector's queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<u64, QueuedDelivery>,
    attempts: HashMap<u64, u32>,
    bytes: u64,
    /// When each id was claimed.
    ids: HashMap<[u8; 16], i64>,
    dead: BTreeMap<u64, DeadDelivery>,
    last: u64,
}

impl Queue {
    fn push(&mut self, delivery: QueuedDelivery) {
        self.last += 1;
        self.bytes += delivery.bytes();
        self.waiting.insert(self.last, delivery);
    }

    fn append(&mut self, limits: &QueueLimits, deliveries: &[QueuedDelivery]) -> Appended {
        let now = Timestamp::now().as_millisecond();
        let kept = i64::try_from(limits.dedupe.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(kept);
        let mut outcomes = Vec::new();
        for one in deliveries {
            let waiting = self.waiting.len() as u64;
            outcomes.push(
                if self
                    .ids
                    .get(&one.claim())
                    .is_some_and(|seen| *seen >= oldest)
                {
                    Enqueued::Known
                } else if waiting >= limits.max_queued
                    || (waiting > 0 && self.bytes.saturating_add(one.bytes()) > limits.max_bytes)
                {
                    Enqueued::Full
                } else {
                    self.ids.insert(one.claim(), now);
                    self.push(one.clone());
                    Enqueued::Queued
                },
            );
        }
        self.ids.retain(|_, seen| *seen >= oldest);
        let mut evicted_ids = 0;
        while self.ids.len() as u64 > limits.max_ids {
            let first = self
                .ids
                .iter()
                .min_by_key(|(_, seen)| **seen)
                .map(|(claim, _)| *claim);
            let Some(first) = first else { break };
            self.ids.remove(&first);
            evicted_ids += 1;
        }
        Appended {
            outcomes,
            evicted_ids,
            queued: self.waiting.len() as u64,
            bytes: self.bytes,
        }
    }

    pub(super) fn acknowledge(&mut self, acknowledged: &[Acknowledged]) {
        for one in acknowledged {
            let Ok(position) = parse_local_id(&one.entry) else {
                continue;
            };
            let Some(delivery) = self.waiting.remove(&position) else {
                continue;
            };
            self.attempts.remove(&position);
            self.bytes = self.bytes.saturating_sub(delivery.bytes());
            if let Some(failed) = &one.failed {
                self.last += 1;
                let dead = DeadDelivery {
                    entry: local_id(self.last),
                    time: Timestamp::now().to_string(),
                    failed: failed.clone(),
                    delivery,
                };
                self.dead.insert(self.last, dead);
                while self.dead.len() > DEAD_DELIVERIES_KEPT {
                    self.dead.pop_first();
                }
            }
        }
    }

    /// Takes dead deliveries out: those asked for, or all.
    fn take_dead(&mut self, entries: Option<&[String]>) -> Result<Vec<DeadDelivery>, StoreError> {
        let Some(entries) = entries else {
            return Ok(std::mem::take(&mut self.dead).into_values().collect());
        };
        let positions: Result<Vec<u64>, _> =
            entries.iter().map(|entry| parse_local_id(entry)).collect();
        let taken = positions?
            .into_iter()
            .filter_map(|position| self.dead.remove(&position));
        Ok(taken.collect())
    }
}

#[async_trait]
impl QueueStore for MemoryStore {
    async fn enqueue(
        &self,
        connector: &str,
        limits: &QueueLimits,
        deliveries: &[QueuedDelivery],
    ) -> Result<Appended, StoreError> {
        let answer = self.with(connector, |held| held.queue.append(limits, deliveries));
        self.shared.changed.notify_waiters();
        Ok(answer)
    }

    async fn waiting(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<WaitingDelivery>, StoreError> {
        let after = after.map_or(Ok(0), parse_local_id)?;
        Ok(self.with(connector, |held| {
            let later = held.queue.waiting.range(after.saturating_add(1)..);
            later
                .take(count)
                .map(|(position, delivery)| WaitingDelivery {
                    entry: local_id(*position),
                    delivery: delivery.clone(),
                    attempts: held.queue.attempts.get(position).copied().unwrap_or(0),
                })
                .collect()
        }))
    }

    async fn note_attempts(
        &self,
        connector: &str,
        begun: &[String],
        done: &[String],
    ) -> Result<(), StoreError> {
        self.with(connector, |held| {
            for entry in done {
                held.queue.attempts.remove(&parse_local_id(entry)?);
            }
            for entry in begun {
                *held
                    .queue
                    .attempts
                    .entry(parse_local_id(entry)?)
                    .or_default() += 1;
            }
            Ok(())
        })
    }

    async fn delivered(&self, _: &str) -> Result<(), StoreError> {
        self.shared.changed.notified().await;
        Ok(())
    }

    async fn queue_level(&self, connector: &str) -> Result<QueueLevel, StoreError> {
        Ok(self.with(connector, |held| QueueLevel {
            queued: held.queue.waiting.len() as u64,
            bytes: held.queue.bytes,
            oldest_ms: held
                .queue
                .waiting
                .values()
                .next()
                .map(|first| first.received_ms),
            dead: held.queue.dead.len() as u64,
            ids: held.queue.ids.len() as u64,
        }))
    }

    async fn dead_deliveries(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        let after = after.map_or(Ok(0), parse_local_id)?;
        Ok(self.with(connector, |held| {
            let later = held.queue.dead.range(after.saturating_add(1)..);
            later.take(count).map(|(_, dead)| dead.clone()).collect()
        }))
    }

    async fn replay_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let moved = self.with(connector, |held| {
            let taken = held.queue.take_dead(entries)?;
            let count = taken.len() as u64;
            for dead in taken {
                held.queue.push(dead.delivery);
            }
            Ok::<_, StoreError>(count)
        })?;
        self.shared.changed.notify_waiters();
        Ok(moved)
    }

    async fn purge_dead_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let taken = self.with(connector, |held| held.queue.take_dead(entries))?;
        Ok(taken.len() as u64)
    }
}
