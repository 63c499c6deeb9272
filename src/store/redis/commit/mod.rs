//! One commit: looked at, then written in one transaction, until the answer is definite.
//!
//! An optimistic lock on the state hash makes it safe. `WATCH` comes first, then fence, sequence
//! and room are read and judged; the transaction is executed only if nobody has touched the state
//! since. Whoever takes the lease touches it. Plain commands rather than a script because of what
//! a commit carries: a script copies and hashes every byte of its arguments, which for records of
//! 2 KB costs as much again as storing them.

mod look;
mod transaction;

use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::look::Seen;
use self::transaction::Outcome;
use super::RedisStore;
use super::connection::silent;
use super::failure::{Failure, classify, store_error};
use super::wire::Wire;
use crate::store::{Commit, Committed, Lease, StoreError};

/// Bounds of the wait for one answer, after which the same bytes go out on a new connection. It is
/// half a TTL between them, so that a connection that went dead does not cost the lease; repeating
/// earlier would be safe but adds load to a server whose disk stalls.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a commit is repeated: some TTLs, so that a restart of Redis is survived, but not so
/// long that a connector hangs.
fn patience(ttl: Duration) -> Duration {
    (ttl * 3).min(Duration::from_secs(30)).max(ttl)
}

/// Why one attempt has no answer.
enum Missed {
    /// Nothing was written by it.
    NotSent(RedisError),
    /// Sent, and refused or unanswered.
    Sent(RedisError),
}

impl RedisStore {
    /// The bytes of a commit's signals.
    pub(super) fn encode(&self, lease: &Lease, commit: &Commit) -> Vec<u8> {
        transaction::signals(&self.keys, lease, commit)
    }

    /// Writes a commit, whose signals are encoded already, until the answer is definite or
    /// patience ends.
    pub(super) async fn write(
        &self,
        lease: &Lease,
        commit: &Commit,
        signals: &[u8],
    ) -> Result<Committed, StoreError> {
        let deadline = Instant::now() + patience(lease.ttl);
        let attempt = (lease.ttl / 2).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT);
        // Whether a copy of the bytes may still be executed: sticks, because a later refusal says
        // nothing about an earlier copy that is still on its way.
        let mut in_doubt = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let until = deadline.min(Instant::now() + attempt);
            let error = match self.try_commit(lease, commit, signals, until).await {
                // An earlier copy may yet find room, so the caller must not build another commit
                // of this sequence.
                Ok(Committed::Full { .. }) if in_doubt => return Ok(Committed::InDoubt),
                Ok(definite) => return Ok(definite),
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

    /// Looks and writes once, on one connection: only there is the state watched.
    async fn try_commit(
        &self,
        lease: &Lease,
        commit: &Commit,
        signals: &[u8],
        until: Instant,
    ) -> Result<Committed, Missed> {
        let mut taken = in_time(until, self.commits.take())
            .await
            .map_err(Missed::NotSent)?;
        let seen = in_time(until, self.look(&mut taken.wire, lease, commit))
            .await
            .map_err(Missed::NotSent)?;
        let answer = match look::judge(&seen, lease, commit) {
            Some(answer) => {
                in_time(until, taken.wire.call(b"*1\r\n$7\r\nUNWATCH\r\n"))
                    .await
                    .map_err(Missed::NotSent)?;
                answer
            }
            None => {
                let rest = transaction::rest(&self.keys, lease, commit, &seen);
                let mut outcome = Outcome::default();
                let parts = [signals, &rest.bytes];
                let sent = taken
                    .wire
                    .exchange(&parts, rest.answers, |answer| outcome.take(answer));
                in_time(until, sent).await.map_err(Missed::Sent)?;
                outcome.read(&seen, lease).map_err(Missed::Sent)?
            }
        };
        // Otherwise a new connection is made: after a failover the same name may lead to another
        // server.
        self.commits.put_back(taken);
        Ok(answer)
    }

    /// Watches the state and reads what decides. The output stream is watched as well when it is
    /// so full that other connectors' signals decide too.
    async fn look(&self, wire: &mut Wire, lease: &Lease, commit: &Commit) -> RedisResult<Seen> {
        let seen = look::ask(wire, &self.keys, lease, commit, false).await?;
        if seen.is_nearly_full(commit) {
            return look::ask(wire, &self.keys, lease, commit, true).await;
        }
        Ok(seen)
    }
}

/// The error of a transaction that was not executed because the state changed.
fn touched() -> RedisError {
    RedisError::from((
        ErrorKind::Server(redis::ServerErrorKind::TryAgain),
        "the state changed while it was looked at",
    ))
}

async fn in_time<T>(until: Instant, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout_at(until, work)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.75..1.25))
}
