//! The queues of webhooks in Redis: a stream for each connector, the ids beside it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, RedisError, Value};
use tokio::time::{Instant, timeout_at};

use super::connection::{RESPONSE_TIMEOUT, silent};
use super::failure::{Failure, classify};
use super::reply::{self, Verdict};
use super::streams::RawEntry;
use super::{RedisStore, announce, scripts};
use crate::store::StoreError;
use crate::store::queue::{
    Appended, DeadDelivery, Enqueued, FORGOTTEN_AT_ONCE, Failed, QueueLevel, QueueLimits,
    QueueStore, QueuedDelivery, WaitingDelivery,
};

/// How long an append is tried: whoever sent the delivery waits, the shortest for three seconds.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Bound on one attempt.
const ATTEMPT: Duration = Duration::from_millis(1_200);

/// How long attempts are remembered after the last one was noted.
const ATTEMPTS_KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// Dead deliveries that one call replays.
const REPLAYED_AT_ONCE: usize = 50;

/// Arguments before those of the first delivery; `enqueue.lua` counts them too.
const HEADER: usize = 9;

#[async_trait]
impl QueueStore for RedisStore {
    async fn enqueue(
        &self,
        connector: &str,
        limits: &QueueLimits,
        deliveries: &[QueuedDelivery],
    ) -> Result<Appended, StoreError> {
        let request = self.append_request(connector, limits, deliveries);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let until = deadline.min(Instant::now() + ATTEMPT);
            let error = match self.append(&request, until).await {
                Ok(answer) => return self.checked(appended(answer)),
                Err(error) => error,
            };
            // A copy of the bytes that is executed later finds its ids claimed, or claims them.
            let pause = Duration::from_millis(20);
            if classify(&error) == Failure::Refused || Instant::now() + pause >= deadline {
                return self.checked(Err(error));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn waiting(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<WaitingDelivery>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(range(&self.keys.deliveries(connector), after, count));
        // Of what is under way: not many.
        pipeline
            .cmd("HGETALL")
            .arg(self.keys.delivery_attempts(connector));
        let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
        let mut answers = self.checked(answers)?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let entries: Vec<RawEntry> = self.checked(reply::from(next()))?;
        let attempts: HashMap<String, u32> = self.checked(reply::from(next()))?;
        let waiting = entries.into_iter().map(|(entry, flat)| WaitingDelivery {
            attempts: attempts.get(&entry).copied().unwrap_or(0),
            entry,
            delivery: Fields::of(flat).delivery,
        });
        Ok(waiting.collect())
    }

    async fn note_attempts(
        &self,
        connector: &str,
        begun: &[String],
        done: &[String],
    ) -> Result<(), StoreError> {
        let key = self.keys.delivery_attempts(connector);
        let mut pipeline = redis::pipe();
        if !done.is_empty() {
            pipeline.cmd("HDEL").arg(&key).arg(done);
        }
        for entry in begun {
            pipeline.cmd("HINCRBY").arg(&key).arg(entry).arg(1);
        }
        // What a worker left that never came back.
        pipeline.cmd("PEXPIRE").arg(&key).arg(ATTEMPTS_KEPT_MS);
        let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
        self.checked(answers).map(drop)
    }

    async fn delivered(&self, connector: &str) -> Result<(), StoreError> {
        let listening = self.arrivals.listen().await;
        let listening = self.checked(listening)?;
        announce::heard(listening, &self.keys.arrived(connector)).await;
        Ok(())
    }

    async fn queue_level(&self, connector: &str) -> Result<QueueLevel, StoreError> {
        let queue = self.keys.deliveries(connector);
        let mut pipeline = redis::pipe();
        pipeline.cmd("XLEN").arg(&queue);
        pipeline.cmd("GET").arg(self.keys.delivery_bytes(connector));
        pipeline
            .cmd("XLEN")
            .arg(self.keys.dead_deliveries(connector));
        pipeline.cmd("ZCARD").arg(self.keys.delivery_ids(connector));
        let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
        let mut answers = self.checked(answers)?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let queued: u64 = self.checked(reply::from(next()))?;
        let bytes: Option<u64> = self.checked(reply::from(next()))?;
        let dead = self.checked(reply::from(next()))?;
        let ids = self.checked(reply::from(next()))?;
        // Read on its own: the body of an entry is not small.
        let oldest = if queued > 0 {
            self.waiting(connector, None, 1).await?
        } else {
            Vec::new()
        };
        Ok(QueueLevel {
            queued,
            bytes: bytes.filter(|_| queued > 0).unwrap_or(0),
            oldest_ms: oldest.first().map(|first| first.delivery.received_ms),
            dead,
            ids,
        })
    }

    async fn dead_deliveries(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        let key = self.keys.dead_deliveries(connector);
        let entries: Vec<RawEntry> = self.ask(&range(&key, after, count)).await?;
        let dead = entries.into_iter().map(|(entry, flat)| {
            let fields = Fields::of(flat);
            DeadDelivery {
                entry,
                time: fields.time,
                failed: Failed {
                    reason: fields.reason,
                    attempts: fields.attempts,
                },
                delivery: fields.delivery,
            }
        });
        Ok(dead.collect())
    }

    async fn replay_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let entries = match entries {
            Some(entries) => entries.to_vec(),
            None => {
                let dead = self.dead_deliveries(connector, None, usize::MAX).await?;
                dead.into_iter().map(|dead| dead.entry).collect()
            }
        };
        let keys = [
            self.keys.dead_deliveries(connector),
            self.keys.deliveries(connector),
            self.keys.delivery_bytes(connector),
        ];
        let mut moved = 0;
        for portion in entries.chunks(REPLAYED_AT_ONCE) {
            let mut command = scripts::REPLAY.call(&keys.each_ref().map(String::as_str));
            command.arg(self.keys.arrived(connector)).arg(portion);
            let answer = self
                .shared
                .run(&scripts::REPLAY, &command, RESPONSE_TIMEOUT)
                .await
                .and_then(reply::from);
            moved += self.checked::<u64>(answer)?;
        }
        Ok(moved)
    }

    async fn purge_dead_deliveries(
        &self,
        connector: &str,
        entries: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let key = self.keys.dead_deliveries(connector);
        self.remove_entries(&key, entries).await
    }
}

impl RedisStore {
    /// The call of `enqueue.lua`, whose header says what stands where.
    fn append_request(
        &self,
        connector: &str,
        limits: &QueueLimits,
        deliveries: &[QueuedDelivery],
    ) -> Vec<u8> {
        let keys = [
            self.keys.deliveries(connector),
            self.keys.delivery_ids(connector),
            self.keys.delivery_bytes(connector),
        ];
        let bytes: u64 = deliveries
            .iter()
            .map(|one| one.bytes() + one.id.len() as u64 + 64)
            .sum();
        let mut request = scripts::ENQUEUE.request(
            &keys.each_ref().map(String::as_str),
            HEADER + deliveries.len() * 5,
            usize::try_from(bytes).unwrap_or_default() + 256,
        );
        let now = jiff::Timestamp::now().as_millisecond();
        let kept = u64::try_from(limits.dedupe.as_millis()).unwrap_or(u64::MAX);
        let now = now.max(0).cast_unsigned();
        for number in [
            now,
            now.saturating_sub(kept),
            limits.max_ids,
            limits.max_queued,
            limits.max_bytes,
            kept,
            FORGOTTEN_AT_ONCE as u64,
        ] {
            request.number(number);
        }
        request.arg(self.keys.arrived(connector));
        request.number(deliveries.len() as u64);
        for delivery in deliveries {
            request.arg(delivery.claim());
            request.arg(&delivery.id);
            request.arg(delivery.received_ms.to_string());
            request.arg(&delivery.head);
            request.arg(&delivery.body);
        }
        request.into_bytes()
    }

    async fn append(&self, request: &[u8], until: Instant) -> Result<Value, RedisError> {
        let work = async {
            let mut taken = self.appends.take().await?;
            let mut answer = taken.wire.call(request).await;
            if let Err(error) = &answer
                && classify(error) == Failure::NoScript
            {
                taken
                    .wire
                    .call(&scripts::ENQUEUE.load().get_packed_command())
                    .await?;
                answer = taken.wire.call(request).await;
            }
            if answer.is_ok() {
                self.appends.put_back(taken);
            }
            answer
        };
        timeout_at(until, work)
            .await
            .unwrap_or_else(|_| Err(silent()))
    }
}

fn appended(answer: Value) -> Result<Appended, RedisError> {
    let mut answer = Verdict::read(answer)?;
    let outcomes = answer.word.bytes().map(|byte| match byte {
        b'Q' => Enqueued::Queued,
        b'K' => Enqueued::Known,
        _ => Enqueued::Full,
    });
    Ok(Appended {
        outcomes: outcomes.collect(),
        evicted_ids: answer.next()?,
        queued: answer.next()?,
        bytes: answer.next()?,
    })
}

fn range(key: &str, after: Option<&str>, count: usize) -> Cmd {
    let mut command = redis::cmd("XRANGE");
    command
        .arg(key)
        .arg(after.map_or("-".to_owned(), |entry| format!("({entry}")))
        .arg("+")
        .arg("COUNT")
        .arg(count.min(1 << 20));
    command
}

/// The fields of an entry.
struct Fields {
    delivery: QueuedDelivery,
    time: String,
    reason: String,
    attempts: u32,
}

impl Fields {
    fn of(flat: Vec<Vec<u8>>) -> Self {
        let mut fields = Self {
            delivery: QueuedDelivery {
                id: String::new(),
                received_ms: 0,
                head: Bytes::new(),
                body: Bytes::new(),
            },
            time: String::new(),
            reason: String::new(),
            attempts: 0,
        };
        let mut flat = flat.into_iter();
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            match &*name {
                b"id" => fields.delivery.id = text(&value),
                b"received" => fields.delivery.received_ms = text(&value).parse().unwrap_or(0),
                b"head" => fields.delivery.head = value.into(),
                b"body" => fields.delivery.body = value.into(),
                b"time" => fields.time = text(&value),
                b"reason" => fields.reason = text(&value),
                b"attempts" => fields.attempts = text(&value).parse().unwrap_or(0),
                _ => {}
            }
        }
        fields
    }
}
