//! One commit: looked at, then written in one transaction, until the answer is definite.
//!
//! An optimistic lock on the state hash makes it safe. `WATCH` comes first, then fence, sequence
//! and room are read and judged; the transaction is executed only if nobody has touched the state
//! since. Whoever takes the lease touches it. Plain commands rather than a script because of what
//! a commit carries: a script copies and hashes every byte of its arguments, which for records of
//! 2 KB costs as much again as storing them.
//!
//! While one commit is on its way, all of the next but its end is sent behind it, so that Redis
//! reads it without a pause. That is safe because only `EXEC` writes, and it is sent when the
//! commit before was applied and the look came out well. A connection that is closed before takes
//! what it has queued along.

mod look;
mod transaction;

use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::look::Seen;
use self::transaction::{Outcome, Rest};
use super::RedisStore;
use super::connection::silent;
use super::failure::{Failure, classify, store_error};
use super::wire::{Request, Taken};
use crate::store::{Commit, Committed, Lease, Queue, StoreError};

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

/// A commit as it is sent, but for its end.
pub(super) struct Encoded {
    /// What watches and reads, then `MULTI` and the signals.
    bytes: Vec<u8>,
    /// How many answers the first part has.
    looks: usize,
    /// Where the second begins.
    signals_at: usize,
    /// The connection on which all of it is on its way.
    begun: Option<Taken>,
}

impl RedisStore {
    /// All of a commit that can be encoded before it is looked at.
    pub(super) fn encode(&self, lease: &Lease, commit: &Commit) -> Encoded {
        let mut request = Request::with_capacity(1024 + transaction::size(commit));
        let looks = look::ask(&mut request, &self.keys, lease, commit, false);
        let signals_at = request.len();
        transaction::signals(&mut request, &self.keys, lease, commit);
        Encoded {
            bytes: request.into_bytes(),
            looks,
            signals_at,
            begun: None,
        }
    }

    /// Writes a commit until the answer is definite or patience ends.
    pub(super) async fn write(
        &self,
        lease: &Lease,
        commit: &Commit,
        encoded: &mut Encoded,
        queue: &mut Queue,
    ) -> Result<Committed, StoreError> {
        let deadline = Instant::now() + patience(lease.ttl);
        let longest = (lease.ttl / 2).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT);
        // Whether a copy of the bytes may still be executed: sticks, because a later refusal says
        // nothing about an earlier copy that is still on its way.
        let mut in_doubt = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let until = deadline.min(Instant::now() + longest);
            let attempt = self.try_commit(lease, commit, encoded, queue, until);
            let error = match attempt.await {
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
        encoded: &mut Encoded,
        queue: &mut Queue,
        until: Instant,
    ) -> Result<Committed, Missed> {
        let begun = match encoded.begun.take() {
            Some(taken) => go_on(taken, lease, commit, encoded.looks, until).await,
            None => None,
        };
        let is_begun = begun.is_some();
        let (mut taken, seen) = match begun {
            Some(begun) => begun,
            None => {
                let look = &encoded.bytes[..encoded.signals_at];
                in_time(until, self.begin(lease, commit, look, encoded.looks))
                    .await
                    .map_err(Missed::NotSent)?
            }
        };
        if let Some(answer) = look::judge(&seen, lease, commit) {
            in_time(until, taken.wire.call(b"*1\r\n$7\r\nUNWATCH\r\n"))
                .await
                .map_err(Missed::NotSent)?;
            self.commits.put_back(taken);
            return Ok(answer);
        }
        let Rest { bytes, answers } = transaction::rest(&self.keys, lease, commit, &seen);
        let signals = &encoded.bytes[encoded.signals_at..];
        let mut outcome = Outcome::default();
        let exchange = async {
            let parts = [if is_begun { &[] } else { signals }, &bytes];
            taken.wire.send(&parts).await?;
            let next = self.next_of(queue);
            let each = |answer: &[u8]| outcome.take(answer);
            taken.wire.receive_sending(answers, each, next).await
        };
        let is_ahead = in_time(until, exchange).await.map_err(Missed::Sent)?;
        let answer = outcome.read(&seen, lease).map_err(Missed::Sent)?;
        // In all other cases a new connection is made: after a failover the same name may lead to
        // another server.
        if is_ahead {
            let next = queue.peeked().and_then(|next| next.work::<Encoded>().1);
            if let Some(next) = next {
                next.begun = Some(taken);
            }
        } else {
            taken.wire.is_done().map_err(Missed::Sent)?;
            self.commits.put_back(taken);
        }
        Ok(answer)
    }

    /// Takes a connection, watches the state and reads what decides. The output stream is watched
    /// as well when it is so full that other connectors' signals decide too.
    async fn begin(
        &self,
        lease: &Lease,
        commit: &Commit,
        look: &[u8],
        looks: usize,
    ) -> RedisResult<(Taken, Seen)> {
        let mut taken = self.commits.take().await?;
        taken.wire.send(&[look]).await?;
        let mut seen = look::read(&mut taken.wire, lease, looks).await?;
        if seen.is_nearly_full(commit) {
            let mut request = Request::with_capacity(512);
            let looks = look::ask(&mut request, &self.keys, lease, commit, true);
            taken.wire.send(&[&request.into_bytes()]).await?;
            seen = look::read(&mut taken.wire, lease, looks).await?;
        }
        Ok((taken, seen))
    }

    /// All but the end of the next commit, as soon as there is one; never while others wait for a
    /// connection, because its connection is not given back in between.
    async fn next_of<'q>(&self, queue: &'q mut Queue) -> &'q [u8] {
        match queue.peek().await.work::<Encoded>() {
            (_, Some(next)) if self.commits.has_room() => &next.bytes,
            _ => std::future::pending().await,
        }
    }
}

/// Takes up a commit that was sent behind the one before it, unless it must not be executed as it
/// was sent.
async fn go_on(
    mut taken: Taken,
    lease: &Lease,
    commit: &Commit,
    looks: usize,
    until: Instant,
) -> Option<(Taken, Seen)> {
    let seen = in_time(until, look::read(&mut taken.wire, lease, looks)).await;
    let seen = seen.ok()?;
    let goes = look::judge(&seen, lease, commit).is_none() && !seen.is_nearly_full(commit);
    goes.then_some((taken, seen))
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
