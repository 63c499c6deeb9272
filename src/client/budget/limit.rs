//! Limits on calls: so many in each period, or in any stretch of time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Parts of an interval that are told apart: a million calls an hour need no million entries.
const RESOLUTION: u32 = 1000;

/// A limit on calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// So many in each period, which begins with its first call.
    Fixed(Rate),
    /// So many in any stretch of time; all of them hold.
    Moving(Vec<Rate>),
    /// None.
    Unlimited,
}

/// So many calls in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls; at least one.
    pub calls: u64,
    /// The time.
    pub interval: Duration,
}

/// The calls of a policy.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Calls that were let through, oldest first; some may lie in the future.
    calls: VecDeque<(Instant, u64)>,
    /// The provider says that none is left before.
    pub(super) blocked_until: Option<Instant>,
}

impl Limit {
    /// The part of one of so many processes; of each at least one call.
    pub(super) fn among(&self, processes: u32) -> Cow<'_, Self> {
        let part = |rate: &Rate| Rate {
            calls: (rate.calls / u64::from(processes.max(1))).max(1),
            ..*rate
        };
        match self {
            _ if processes <= 1 => Cow::Borrowed(self),
            Self::Fixed(rate) => Cow::Owned(Self::Fixed(part(rate))),
            Self::Moving(rates) => Cow::Owned(Self::Moving(rates.iter().map(part).collect())),
            Self::Unlimited => Cow::Borrowed(self),
        }
    }

    /// When a call that counts as `weight` may be made, and notes that it is made then if that is
    /// within `most`.
    pub(super) fn take(
        &self,
        state: &mut State,
        weight: u64,
        most: Duration,
        now: Instant,
        jitter: Duration,
    ) -> Instant {
        let blocked = state.blocked_until.filter(|until| *until > now);
        let mut at = blocked.unwrap_or(now);
        match self {
            Self::Unlimited => return at,
            Self::Fixed(rate) => {
                // The first entry began the period, and holds all its calls.
                let first = state.calls.front().copied();
                let within = first.filter(|(began, _)| at < *began + rate.interval);
                let period = match within {
                    Some((began, calls)) if calls + weight <= rate.calls => {
                        at = at.max(began);
                        (began, calls + weight)
                    }
                    Some((began, _)) => {
                        at = began + rate.interval + jitter;
                        (at, weight.min(rate.calls))
                    }
                    None => (at, weight.min(rate.calls)),
                };
                if at - now <= most {
                    state.calls = [period].into();
                }
            }
            Self::Moving(rates) => {
                // In order: nobody goes before one that waits already.
                if let Some((last, _)) = state.calls.back() {
                    at = at.max(*last);
                }
                for rate in rates {
                    at = at.max(rate.room(&state.calls, weight, at));
                }
                if at > now {
                    at += jitter;
                }
                if at - now > most {
                    return at;
                }
                let longest = rates
                    .iter()
                    .map(|rate| rate.interval)
                    .max()
                    .unwrap_or_default();
                let shortest = rates
                    .iter()
                    .map(|rate| rate.interval)
                    .min()
                    .unwrap_or_default();
                while state
                    .calls
                    .front()
                    .is_some_and(|(call, _)| *call + longest <= at)
                {
                    state.calls.pop_front();
                }
                match state.calls.back_mut() {
                    Some((last, calls)) if at - *last < shortest / RESOLUTION => {
                        // Counted as the later of the two, so that none is forgotten too soon.
                        *last = at;
                        *calls += weight;
                    }
                    _ => state.calls.push_back((at, weight)),
                }
            }
        }
        at
    }
}

impl Rate {
    /// The earliest instant from `at` on at which `weight` more calls fit.
    fn room(&self, calls: &VecDeque<(Instant, u64)>, weight: u64, at: Instant) -> Instant {
        let weight = weight.min(self.calls);
        let mut at = at;
        let within = |call: Instant, at: Instant| call + self.interval > at;
        let mut made: u64 = calls
            .iter()
            .filter(|(call, _)| within(*call, at))
            .map(|(_, count)| count)
            .sum();
        for (call, count) in calls {
            if made + weight <= self.calls {
                break;
            }
            if within(*call, at) {
                made -= count;
                at = *call + self.interval;
            }
        }
        at
    }
}
