//! What is read before a commit is written, and what it decides.
//!
//! Redis does not roll back, so everything that can be refused is looked at before: fence,
//! sequence, room, and the type of every key that will be written. Rights and memory are checked
//! by Redis itself as the commands are queued; one refusal there refuses the whole transaction.

use redis::{RedisResult, Value};

use super::super::keys::Keys;
use super::super::reply;
use super::super::wire::{Request, Wire, parsed};
use crate::store::{Commit, Committed, Lease};

/// Entries below the limit from which on an output stream is watched: far more than all commits on
/// their way can add.
const MARGIN: u64 = 10_000;

/// A connector's state as it was when it began to be watched.
#[derive(Debug)]
pub(super) struct Seen {
    epoch: Option<String>,
    owner: Option<String>,
    sequence: Option<String>,
    /// How many small hashes hold the versions; 0: they are in one.
    pub(super) buckets: u64,
    /// Whether the lease key names this owner.
    pub(super) held: bool,
    /// Versions that are still in the one hash.
    pub(super) in_one_hash: u64,
    /// Entries of the output stream.
    length: u64,
}

impl Seen {
    /// Whether signals of others decide if this commit fits.
    pub(super) fn is_nearly_full(&self, commit: &Commit) -> bool {
        let limit = commit.output.max_len;
        limit > 0 && !commit.signals.is_empty() && self.length.saturating_add(MARGIN) > limit
    }
}

/// Appends the commands that watch and read; answers how many they are.
pub(super) fn ask(
    request: &mut Request,
    keys: &Keys,
    lease: &Lease,
    commit: &Commit,
    watch_output: bool,
) -> usize {
    let connector = &*lease.connector;
    let (state, output) = (keys.state(connector), keys.output(&commit.output.stream));
    let mut answers = 0;
    let mut ask = |words: &[&str]| {
        request.command(words.len());
        request.args(words);
        answers += 1;
    };
    if watch_output {
        ask(&["WATCH", &state, &output]);
    } else {
        ask(&["WATCH", &state]);
    }
    ask(&["HMGET", &state, "epoch", "owner", "seq", "nb"]);
    ask(&["GET", &keys.lease(connector)]);
    ask(&["HLEN", &keys.versions(connector)]);
    ask(&["XLEN", &output]);
    // For their types alone.
    if !commit.dead_letters.is_empty() {
        ask(&["XLEN", &keys.dead_letters(connector)]);
    }
    if !commit.acknowledged.is_empty() {
        ask(&["XLEN", &keys.deliveries(connector)]);
        ask(&["XLEN", &keys.dead_deliveries(connector)]);
        ask(&["GET", &keys.delivery_bytes(connector)]);
    }
    answers
}

/// Reads the answers to so many commands of [`ask`].
pub(super) async fn read(wire: &mut Wire, lease: &Lease, answers: usize) -> RedisResult<Seen> {
    let mut found = Vec::with_capacity(answers);
    wire.receive(answers, |answer| found.push(parsed(answer)))
        .await?;
    let found: Vec<Value> = found.into_iter().collect::<RedisResult<_>>()?;
    let mut found = found.into_iter().skip(1);
    let mut next = || found.next().unwrap_or(Value::Nil);
    let (epoch, owner, sequence, buckets): (_, _, _, Option<u64>) = reply::from(next())?;
    let holder: Option<String> = reply::from(next())?;
    Ok(Seen {
        epoch,
        owner,
        sequence,
        buckets: buckets.unwrap_or(0),
        held: holder.as_deref() == Some(lease.owner.as_str()),
        in_one_hash: reply::from(next())?,
        length: reply::from(next())?,
    })
}

/// The answer, if nothing is to be written.
pub(super) fn judge(seen: &Seen, lease: &Lease, commit: &Commit) -> Option<Committed> {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u64>().ok());
    if number(&seen.epoch) != Some(lease.epoch)
        || seen.owner.as_deref() != Some(lease.owner.as_str())
    {
        return Some(Committed::Fenced);
    }
    let stored = number(&seen.sequence).unwrap_or(0);
    if stored == commit.sequence {
        // Written before, and the answer was lost.
        return Some(Committed::Applied {
            lease_held: seen.held,
        });
    }
    if stored.checked_add(1) != Some(commit.sequence) {
        return Some(Committed::Gap { stored });
    }
    let limit = commit.output.max_len;
    let signals = commit.signals.len() as u64;
    (limit > 0 && signals > 0 && seen.length.saturating_add(signals) > limit).then_some(
        Committed::Full {
            length: seen.length,
        },
    )
}
