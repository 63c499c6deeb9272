//! Turns at the rate that the provider's manifest says (`rate_limits`), which this process keeps to
//! together with all others that ask one server with one credential.
//!
//! The store counts for all of them. A process that is alone is given a moment at a time, so that
//! requests do not wait for the store. Without the store each goes on at its share of the rate.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::declared::RateLimits;
use super::rate::{Speed, Turns};
use super::traffic::{ASK_AFTER_FAILURE, ASK_EVERY};
use crate::store::{Turn, TurnRequest};

/// Processes that are assumed as long as the store has told of none and cannot be asked.
const ASSUMED: u32 = 2;

/// What this process may do of the rate of one server and credential.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Held while the store is asked: callers are served in order.
    bucket: Mutex<Bucket>,
    /// As the store counted them last; 0: it was never heard.
    processes: AtomicU32,
}

#[derive(Debug, Default)]
struct Bucket {
    turns: Turns,
    /// Until when all turns are this process's.
    alone_until: Option<Instant>,
    /// Until when the store is not asked because it did not answer.
    lost_until: Option<Instant>,
    /// Until when the number of processes counts as known.
    counted_until: Option<Instant>,
}

impl Share {
    /// How long the next request of `process` has to wait. It takes its turn. `ask` asks the store;
    /// `None`: it does not answer.
    pub(super) async fn turn(
        &self,
        limits: &RateLimits,
        process: &str,
        ask: impl AsyncFnOnce(&TurnRequest<'_>) -> Option<Turn>,
    ) -> Duration {
        let Some(speed) = Speed::of(limits.requests_per_second, limits.burst) else {
            return Duration::ZERO;
        };
        let mut bucket = self.bucket.lock().await;
        let mut now = Instant::now();
        // A turn after the moment that was given is not given yet.
        let at = now + bucket.turns.wait(speed, now);
        if !bucket.is_lost(now) && bucket.alone_until.is_none_or(|until| at >= until) {
            let request = TurnRequest {
                process,
                cost: speed.turn,
                ahead: speed.ahead,
                backlog: bucket.turns.backlog(now),
            };
            let answer = ask(&request).await;
            let asked_at = std::mem::replace(&mut now, Instant::now());
            self.hear(&mut bucket, answer, asked_at, now);
        }
        let speed = match bucket.lost_until {
            Some(_) => speed.among(self.processes().unwrap_or(ASSUMED)),
            None => speed,
        };
        bucket.turns.take(speed, now)
    }

    /// Processes that share the limits which are divided among them, this one included.
    pub(super) async fn count(
        &self,
        limits: &RateLimits,
        process: &str,
        ask: impl AsyncFnOnce(&TurnRequest<'_>) -> Option<Turn>,
    ) -> u32 {
        let mut bucket = self.bucket.lock().await;
        let now = Instant::now();
        if !bucket.is_lost(now) && bucket.counted_until.is_none_or(|until| now >= until) {
            let speed = Speed::of(limits.requests_per_second, limits.burst);
            let request = TurnRequest {
                process,
                cost: Duration::ZERO,
                // It may be alone from here on: all of the moment's turns are then given away.
                ahead: speed.map_or(Duration::ZERO, |speed| speed.ahead + speed.turn),
                backlog: bucket.turns.backlog(now),
            };
            let answer = ask(&request).await;
            self.hear(&mut bucket, answer, now, Instant::now());
        }
        self.processes().unwrap_or(ASSUMED)
    }

    fn hear(&self, bucket: &mut Bucket, answer: Option<Turn>, asked_at: Instant, now: Instant) {
        let Some(turn) = answer else {
            bucket.lost_until = Some(now + ASK_AFTER_FAILURE);
            tracing::debug!("the store gives no turns; going on with a share of the rate");
            return;
        };
        self.processes.store(turn.processes, Ordering::Relaxed);
        // Counted from the end of the question what is to come, from its beginning what is given.
        bucket.turns.raise(turn.backlog, now);
        bucket.alone_until = (!turn.alone_for.is_zero()).then(|| asked_at + turn.alone_for);
        bucket.counted_until = Some(now + ASK_EVERY);
        bucket.lost_until = None;
    }

    /// Processes that share the limits, this one included; `None` where nobody told.
    pub(super) fn processes(&self) -> Option<u32> {
        Some(self.processes.load(Ordering::Relaxed)).filter(|processes| *processes > 0)
    }
}

impl Bucket {
    /// Whether the store need not be asked yet because it did not answer.
    fn is_lost(&self, now: Instant) -> bool {
        self.lost_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CredentialStore as _, MemoryStore};

    fn limits() -> RateLimits {
        RateLimits {
            requests_per_second: Some(10.0),
            burst: Some(4.0),
            ..RateLimits::default()
        }
    }

    /// When the next turns of some processes may be used, in their order.
    async fn turns(shares: &[Share], store: &MemoryStore, rounds: usize) -> Vec<Instant> {
        let ask = async |request: &TurnRequest<'_>| store.take_turn("r", request).await.ok();
        let mut at = Vec::new();
        for _ in 0..rounds {
            for (share, name) in shares.iter().zip(["a", "b", "c"]) {
                let wait = share.turn(&limits(), name, ask).await;
                at.push(Instant::now() + wait);
            }
        }
        at.sort_unstable();
        at
    }

    #[tokio::test]
    async fn several_processes_keep_to_one_rate() {
        let store = MemoryStore::new();
        let began = Instant::now();
        let shares: [Share; 3] = Default::default();
        for (number, at) in (1..).zip(turns(&shares, &store, 20).await) {
            let least = (f64::from(number) - 4.0) / 10.0;
            let took = (at - began).as_secs_f64();
            assert!(took >= least - 1e-6, "turn {number} at {took}, not {least}");
        }
        assert_eq!(shares[0].processes(), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_alone_has_its_burst_at_once() {
        let began = Instant::now();
        let at = turns(&[Share::default()], &MemoryStore::new(), 5).await;
        let waits: Vec<_> = at.iter().map(|at| (*at - began).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_counts_takes_no_turn_and_asks_once_a_second() {
        let (share, other) = (Share::default(), Share::default());
        let store = MemoryStore::new();
        let mut asked = 0;
        for _ in 0..3 {
            let ask = async |request: &TurnRequest<'_>| {
                asked += 1;
                store.take_turn("r", request).await.ok()
            };
            assert_eq!(share.count(&limits(), "a", ask).await, 1);
        }
        assert_eq!(asked, 1);
        let ask = async |request: &TurnRequest<'_>| store.take_turn("r", request).await.ok();
        assert_eq!(share.turn(&limits(), "a", ask).await, Duration::ZERO);
        assert_eq!(other.count(&limits(), "b", ask).await, 2);
        tokio::time::advance(ASK_EVERY).await;
        assert_eq!(share.count(&limits(), "a", ask).await, 2);
        let silent = async |_: &TurnRequest<'_>| None;
        assert_eq!(
            Share::default().count(&limits(), "c", silent).await,
            ASSUMED
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_store_each_goes_on_at_its_share_and_asks_rarely() {
        let share = Share::default();
        share.processes.store(4, Ordering::Relaxed);
        let (mut waits, mut asked) = (Vec::new(), 0);
        for _ in 0..3 {
            let ask = async |_: &TurnRequest<'_>| {
                asked += 1;
                None
            };
            waits.push(share.turn(&limits(), "a", ask).await.as_millis());
        }
        // A burst of one, then four tenths of a second for each.
        assert_eq!((waits, asked), (vec![0, 400, 800], 1));
        tokio::time::advance(ASK_AFTER_FAILURE).await;
        let ask = async |request: &TurnRequest<'_>| Some(Turn::alone(request));
        assert_eq!(share.turn(&limits(), "a", ask).await, Duration::ZERO);
        assert_eq!(share.processes(), Some(1));
    }
}
