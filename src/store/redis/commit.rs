//! One commit: encoded once, sent until the answer is definite or patience ends.

use std::time::Duration;

use redis::{RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connection::silent;
use super::failure::{Failure, classify, store_error};
use super::keys::Keys;
use super::lease::millis;
use super::reply::Verdict;
use super::wire::Request;
use super::{RedisStore, scripts};
use crate::store::entry::{EntryWriter, FIELD_NAMES, VARYING};
use crate::store::queue::DEAD_DELIVERIES_KEPT;
use crate::store::{Commit, Committed, DEAD_LETTERS_KEPT, Lease, StoreError};

/// Arguments before those of the first signal; `commit.lua` counts them too.
const HEADER: usize = 20;

/// Bytes of a signal's arguments besides data, subject and names: id, type, version, time.
const SIGNAL_OVERHEAD: usize = 192;

/// Bytes of an encoded version with instant and day.
const LONGEST_VERSION: usize = 26;

/// Bounds of the wait for one answer, after which the same bytes go out on a new connection. It is
/// half a TTL between them, so that a connection that went dead does not cost the lease; repeating
/// earlier would be safe but adds load to a server whose disk stalls.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);

/// Versions from which on they are kept in many small hashes.
const BUCKETS_FROM: u64 = 200_000;

/// How many hashes: few enough entries in each, up to some millions in all, that Redis packs them.
const BUCKETS: u64 = 8192;

/// Versions that one commit moves from the one hash: less than half a millisecond of Redis.
const MOVED_AT_ONCE: u64 = 200;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a commit is repeated: some TTLs, so that a restart of Redis is survived, but not so
/// long that a connector hangs.
fn patience(ttl: Duration) -> Duration {
    (ttl * 3).min(Duration::from_secs(30)).max(ttl)
}

/// Why one attempt has no answer.
enum Missed {
    /// Nothing was sent.
    NotSent(RedisError),
    /// Sent, and refused or unanswered.
    Sent(RedisError),
}

impl RedisStore {
    /// The bytes of a commit.
    pub(super) fn encode(&self, lease: &Lease, commit: &Commit) -> Vec<u8> {
        encode(&self.keys, lease, commit)
    }

    /// Sends a commit until its answer is definite or patience ends.
    pub(super) async fn write(
        &self,
        lease: &Lease,
        request: &[u8],
    ) -> Result<Committed, StoreError> {
        let deadline = Instant::now() + patience(lease.ttl);
        let attempt = (lease.ttl / 2).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT);
        // Whether a copy of the bytes may still be executed: sticks, because a later refusal says
        // nothing about an earlier copy that is still on its way.
        let mut in_doubt = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let until = deadline.min(Instant::now() + attempt);
            let error = match self.try_commit(request, until).await {
                Ok(answer) => match self.checked(read_answer(answer))? {
                    // An earlier copy may yet find room, so the caller must not build another
                    // commit of this sequence.
                    Committed::Full { .. } if in_doubt => return Ok(Committed::InDoubt),
                    definite => return Ok(definite),
                },
                Err(Missed::NotSent(error)) => error,
                Err(Missed::Sent(error)) => {
                    in_doubt |= classify(&error) == Failure::Ambiguous;
                    error
                }
            };
            let hopeless = classify(&error) == Failure::Refused && !in_doubt;
            let again = Instant::now() + jittered(pause);
            if hopeless || again >= deadline {
                return if in_doubt {
                    tracing::warn!(
                        connector.id = &*lease.connector,
                        error = %error,
                        "redis did not say whether it applied a commit"
                    );
                    Ok(Committed::InDoubt)
                } else {
                    Err(store_error(self.endpoint.address(), error))
                };
            }
            tracing::debug!(
                connector.id = &*lease.connector,
                error = %error,
                "sending the same commit to redis again"
            );
            sleep_until(again).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends the bytes once; a server that does not know the script learns it and gets them again.
    async fn try_commit(&self, request: &[u8], until: Instant) -> Result<Value, Missed> {
        let mut taken = in_time(until, self.commits.take())
            .await
            .map_err(Missed::NotSent)?;
        let mut answer = in_time(until, taken.wire.call(request)).await;
        if let Err(error) = &answer
            && classify(error) == Failure::NoScript
        {
            // Raised before anything ran. The load is not part of the commit: when it fails there
            // is no doubt.
            let load = scripts::COMMIT.load().get_packed_command();
            in_time(until, taken.wire.call(&load))
                .await
                .map_err(Missed::NotSent)?;
            answer = in_time(until, taken.wire.call(request)).await;
        }
        // Otherwise a new connection is made: after a failover the same name may lead to another
        // server.
        if answer.is_ok() {
            self.commits.put_back(taken);
        }
        answer.map_err(Missed::Sent)
    }
}

async fn in_time<T>(until: Instant, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.75..1.25))
}

fn read_answer(answer: Value) -> RedisResult<Committed> {
    let mut answer = Verdict::read(answer)?;
    Ok(match &*answer.word {
        "OK" | "DUP" => Committed::Applied {
            lease_held: answer.next()?,
        },
        "FENCED" => Committed::Fenced,
        "GAP" => Committed::Gap {
            stored: answer.next()?,
        },
        "FULL" => Committed::Full {
            length: answer.next()?,
        },
        other => {
            return Err(RedisError::from((
                redis::ErrorKind::UnexpectedReturnType,
                "the commit script answered something else",
                other.to_owned(),
            )));
        }
    })
}

/// The call of `commit.lua`, whose header says what stands where.
fn encode(keys: &Keys, lease: &Lease, commit: &Commit) -> Vec<u8> {
    let connector = &*lease.connector;
    let keys = [
        keys.lease(connector),
        keys.state(connector),
        keys.versions(connector),
        keys.output(&commit.output.stream),
        keys.dead_letters(connector),
        keys.deliveries(connector),
        keys.dead_deliveries(connector),
        keys.delivery_bytes(connector),
    ];
    let template = Template::of(lease, commit);
    let (args, bytes) = size(commit, &template);
    let keys = keys.each_ref().map(String::as_str);
    let mut request = scripts::COMMIT.request(&keys, args, bytes);
    let unset = (commit.state.iter())
        .filter(|(_, value)| value.is_none())
        .count();
    request.number(lease.epoch);
    request.arg(lease.owner.as_str());
    for number in [
        commit.sequence,
        commit.sequence.saturating_sub(1),
        millis(lease.ttl),
        commit.output.max_len,
        commit.signals.len() as u64,
        template.args.len() as u64,
        template.gaps.len() as u64,
        commit.versions.len() as u64 * 2,
        commit.gone.len() as u64,
        (commit.state.len() - unset) as u64 * 2,
        unset as u64,
        commit.dead_letters.len() as u64,
        DEAD_LETTERS_KEPT as u64,
        BUCKETS_FROM,
        BUCKETS,
        MOVED_AT_ONCE,
        commit.acknowledged.len() as u64,
        DEAD_DELIVERIES_KEPT as u64,
    ] {
        request.number(number);
    }

    for arg in &template.args {
        request.arg(arg);
    }
    for gap in &template.gaps {
        request.number(*gap);
    }
    let mut writer = EntryWriter::new(lease, commit);
    for signal in &commit.signals {
        let mut varies = template.varies.iter();
        writer.each_field(signal, |_, value| {
            if varies.next() == Some(&true) {
                request.arg(value);
            }
        });
    }
    for entry in &commit.versions {
        request.arg(&entry.field);
        request.arg(entry.known.encode());
    }
    for field in &commit.gone {
        request.arg(field);
    }
    for (name, value) in &commit.state {
        if let Some(value) = value {
            request.arg(name);
            request.arg(value);
        }
    }
    for (name, _) in commit.state.iter().filter(|(_, value)| value.is_none()) {
        request.arg(name);
    }
    if !commit.dead_letters.is_empty() {
        let now = jiff::Timestamp::now().to_string();
        for letter in &commit.dead_letters {
            request.arg(&now);
            request.arg(&letter.stream);
            request.arg(&letter.reason);
            request.arg(&letter.data);
        }
    }
    encode_acknowledged(&mut request, commit);
    request.into_bytes()
}

/// Entry, bytes, and why and how often a delivery failed; no reason for one that did not.
fn encode_acknowledged(request: &mut Request, commit: &Commit) {
    for one in &commit.acknowledged {
        request.arg(&one.entry);
        request.number(one.bytes);
        match &one.failed {
            Some(failed) => {
                request.arg(jiff::Timestamp::now().to_string());
                request.arg(&failed.reason);
                request.number(u64::from(failed.attempts));
            }
            None => (0..3).for_each(|_| request.arg("")),
        }
    }
}

/// How many arguments follow the keys, exactly, and their bytes, so that the buffer never grows
/// while a quarter of a megabyte is written into it.
fn size(commit: &Commit, template: &Template) -> (usize, usize) {
    let set: usize = (commit.state.iter())
        .map(|(_, value)| if value.is_some() { 2 } else { 1 })
        .sum();
    let args = HEADER
        + template.args.len()
        + template.gaps.len()
        + commit.signals.len() * template.gaps.len()
        + commit.versions.len() * 2
        + commit.gone.len()
        + set
        + commit.dead_letters.len() * 4
        + commit.acknowledged.len() * 5;
    let name = commit.origin.connector.len() + commit.origin.stream.len();
    let signals: usize = (commit.signals.iter())
        .map(|signal| signal.data.len() + 2 * signal.subject.len() + name + SIGNAL_OVERHEAD)
        .sum();
    let versions: usize = (commit.versions.iter())
        .map(|entry| entry.field.len() + LONGEST_VERSION)
        .sum();
    let state: usize = (commit.state.iter())
        .map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len))
        .sum();
    let letters: usize = (commit.dead_letters.iter())
        .map(|letter| letter.data.len() + letter.reason.len() + letter.stream.len() + 40)
        .sum();
    let acknowledged: usize = (commit.acknowledged.iter())
        .map(|one| {
            80 + one
                .failed
                .as_ref()
                .map_or(0, |failed| failed.reason.len() + 40)
        })
        .sum();
    let gone: usize = commit.gone.iter().map(Vec::len).sum();
    (
        args,
        2048 + signals + versions + gone + state + letters + acknowledged,
    )
}

/// The arguments that all entries of a commit share, with gaps for what differs.
#[derive(Default)]
struct Template {
    /// Names and values in order; empty where a gap is.
    args: Vec<Vec<u8>>,
    /// Positions of the gaps in `args`, counted from 1 as Lua does.
    gaps: Vec<u64>,
    /// Whether the field at this position differs from signal to signal.
    varies: Vec<bool>,
}

impl Template {
    fn of(lease: &Lease, commit: &Commit) -> Self {
        let mut template = Self::default();
        let Some(first) = commit.signals.first() else {
            return template;
        };
        template.args.reserve(FIELD_NAMES.len() * 2);
        EntryWriter::new(lease, commit).each_field(first, |name, value| {
            let varies = VARYING.contains(&name);
            template.args.push(name.as_bytes().to_vec());
            template
                .args
                .push(if varies { Vec::new() } else { value.to_vec() });
            if varies {
                template.gaps.push(template.args.len() as u64);
            }
            template.varies.push(varies);
        });
        template
    }
}
