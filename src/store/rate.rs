//! The rate that all processes with a credential keep to together: a bucket of turns, as one
//! instant, the one at which it would be full again.
//!
//! A process that is alone gets all turns of the next moment at once, so that it asks once a second
//! rather than once per request; of several each asks for every turn. Whoever comes finds the bucket
//! empty until that moment ends: at no time is more given out than the rate allows.
//!
//! Kept here as the other stores than Redis have it; `take_turn.lua` says the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a process that is alone need not ask again.
pub(super) const ALONE_FOR: Duration = Duration::from_secs(1);

/// How long a process that asks no more counts among those that share the rate.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// Longest wait for a turn that is believed: beyond it the clock was set back.
pub(super) const LONGEST_BACKLOG: Duration = Duration::from_hours(1);

/// A process asks for a turn.
#[derive(Debug, Clone, Copy)]
pub struct TurnRequest<'r> {
    /// Names the process.
    pub process: &'r str,
    /// Time that a turn takes; zero to be counted among the others and no more.
    pub cost: Duration,
    /// Time that turns may be ahead of the rate: the burst, less one turn.
    pub ahead: Duration,
    /// What was taken before and is not over yet, as far as this process knows: it counts where
    /// nobody else asked since.
    pub backlog: Duration,
}

/// Answer to a [`TurnRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Time that all turns before this one take; the turn may be as much sooner as a burst allows.
    pub backlog: Duration,
    /// How long, from the question on, the process may take turns without asking.
    pub alone_for: Duration,
    /// Processes that share the rate, this one included.
    pub processes: u32,
}

impl Turn {
    /// The answer where there is nobody to share with.
    pub fn alone(request: &TurnRequest<'_>) -> Self {
        Self {
            backlog: request.backlog,
            alone_for: ALONE_FOR,
            processes: 1,
        }
    }
}

/// The bucket of one server and credential. Instants are microseconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SharedRate {
    full: i64,
    /// Who may take turns without asking, or did so last.
    holder: Option<String>,
    /// When each process was last heard of.
    processes: BTreeMap<String, i64>,
}

impl SharedRate {
    pub(super) fn take(&mut self, request: &TurnRequest<'_>, now: i64) -> Turn {
        let remembered = micros(REMEMBERED_FOR).unsigned_abs();
        self.processes
            .retain(|process, seen| process == request.process || now.abs_diff(*seen) < remembered);
        self.processes.insert(request.process.to_owned(), now);
        if self.holder.as_deref() == Some(request.process) {
            self.full = now.saturating_add(micros(request.backlog));
        }
        let (cost, ahead) = (micros(request.cost), micros(request.ahead));
        let longest = micros(LONGEST_BACKLOG).max(2 * (cost + ahead));
        let taken = match self.full {
            full if full > now + longest => now,
            full => full.max(now),
        };
        self.full = taken.saturating_add(cost);
        let is_alone = self.processes.len() == 1;
        if is_alone {
            let moment = now + micros(ALONE_FOR);
            let empty = moment.saturating_add(ahead).saturating_add(cost);
            self.full = self.full.max(empty);
        }
        self.holder = is_alone.then(|| request.process.to_owned());
        Turn {
            backlog: Duration::from_micros((taken - now).unsigned_abs()),
            alone_for: if is_alone { ALONE_FOR } else { Duration::ZERO },
            processes: u32::try_from(self.processes.len()).unwrap_or(u32::MAX),
        }
    }

    /// When nothing of this matters any more.
    pub(super) fn ends(&self) -> i64 {
        let asked = self.processes.values().max().copied();
        self.full
            .max(asked.unwrap_or_default() + micros(REMEMBERED_FOR))
    }
}

/// As a number, cut far beyond everything that is asked for.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros())
        .unwrap_or(i64::MAX)
        .min(1 << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn ask(rate: &mut SharedRate, process: &str, backlog: Duration, now: i64) -> Turn {
        let request = TurnRequest {
            process,
            cost: Duration::from_millis(100),
            ahead: Duration::from_millis(300),
            backlog,
        };
        rate.take(&request, now)
    }

    #[test]
    fn who_is_alone_asks_once_a_moment_and_tells_what_it_took() {
        let mut rate = SharedRate::default();
        let first = ask(&mut rate, "a", Duration::ZERO, 50 * SECOND);
        let alone = Turn {
            backlog: Duration::ZERO,
            alone_for: ALONE_FOR,
            processes: 1,
        };
        assert_eq!(first, alone);
        let backlog = Duration::from_millis(250);
        let next = ask(&mut rate, "a", backlog, 51 * SECOND);
        assert_eq!(next, Turn { backlog, ..alone });
    }

    #[test]
    fn who_comes_finds_nothing_of_the_moment_that_is_given_away() {
        let mut rate = SharedRate::default();
        let start = 50 * SECOND;
        ask(&mut rate, "a", Duration::ZERO, start);
        // Four turns may be ahead; the first of this one is a tenth after the moment.
        let turn = ask(&mut rate, "b", Duration::ZERO, start + SECOND / 2);
        assert_eq!((turn.processes, turn.alone_for), (2, Duration::ZERO));
        assert_eq!(turn.backlog, Duration::from_millis(500 + 400));
        // And what the first one says now does not count: the bucket is everybody's.
        let turn = ask(&mut rate, "a", Duration::ZERO, start + SECOND);
        assert_eq!(turn.backlog, Duration::from_millis(500));
        assert_eq!(turn.processes, 2);
    }

    #[test]
    fn who_asks_no_more_is_forgotten() {
        let mut rate = SharedRate::default();
        ask(&mut rate, "a", Duration::ZERO, 0);
        ask(&mut rate, "b", Duration::ZERO, 0);
        let later = micros(REMEMBERED_FOR);
        let turn = ask(&mut rate, "b", Duration::ZERO, later);
        assert_eq!((turn.processes, turn.alone_for), (1, ALONE_FOR));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nobody() {
        let mut rate = SharedRate::default();
        ask(&mut rate, "a", Duration::ZERO, 1 << 50);
        let turn = ask(&mut rate, "b", Duration::ZERO, 0);
        assert_eq!((turn.backlog, turn.processes), (Duration::ZERO, 1));
        assert_eq!(rate.ends(), micros(REMEMBERED_FOR));
    }
}
