//! Everything the sandbox knows: its records, when they change next, which request fails.

use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::alerts::Alerts;
use super::issues::Issues;
use super::ledger::Ledger;
use super::{Requests, SandboxOptions};

/// Every so many listings of one kind one is answered 429.
const LIMITED_EVERY: u64 = 9;
/// Every so many listings of one kind one is answered 500.
const FAILED_EVERY: u64 = 13;
/// Changes that a request catches up with at most; an idle night is no reason for thousands.
const MAX_CATCH_UP: u32 = 20;

#[derive(Debug)]
pub(super) struct World {
    pub(super) alerts: Alerts,
    pub(super) issues: Issues,
    pub(super) ledger: Ledger,
    pub(super) requests: Requests,
    random: StdRng,
    change_every: Option<Duration>,
    next_change: [Instant; 2],
    faults: bool,
    listings: [u64; 2],
    /// Instant of the last change; the next one is later whatever the clock says.
    last: Timestamp,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Limited,
    Failed,
}

/// A kind of listing; each has its own count of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Alerts,
    Issues,
}

impl World {
    pub(super) fn new(options: SandboxOptions) -> Self {
        let now = Timestamp::now();
        Self {
            alerts: Alerts::new(now),
            issues: Issues::new(),
            ledger: Ledger::default(),
            requests: Requests::default(),
            random: StdRng::seed_from_u64(options.seed),
            change_every: options.change_every,
            next_change: [Instant::now() + options.change_every.unwrap_or_default(); 2],
            faults: options.faults,
            listings: [0; 2],
            last: now,
        }
    }

    /// Lets happen to the records of `listing` what the time since its last request brought.
    ///
    /// Not called between the pages of a walk: a record that changes there is seen twice by the
    /// walk, and of two versions that a poll sees the worker may leave one to the next poll.
    pub(super) fn catch_up(&mut self, listing: Listing) {
        let Some(every) = self.change_every else {
            return;
        };
        let index = listing as usize;
        for _ in 0..MAX_CATCH_UP {
            if Instant::now() < self.next_change[index] {
                return;
            }
            self.step(listing);
            self.next_change[index] += every;
        }
        self.next_change[index] = Instant::now() + every;
    }

    pub(super) fn step(&mut self, listing: Listing) {
        let now = Timestamp::now().max(self.last + Duration::from_millis(1));
        self.last = now;
        match listing {
            Listing::Alerts => self.alerts.step(&mut self.random, now),
            Listing::Issues => self.issues.step(&mut self.random, now),
        }
    }

    pub(super) fn freeze(&mut self) {
        self.change_every = None;
        self.faults = false;
    }

    /// Counts a listing and tells whether it is to fail. Two in a row never do.
    pub(super) fn fault(&mut self, listing: Listing) -> Option<Fault> {
        let count = &mut self.listings[listing as usize];
        *count += 1;
        if !self.faults {
            None
        } else if *count % LIMITED_EVERY == 4 {
            self.requests.limited += 1;
            Some(Fault::Limited)
        } else if *count % FAILED_EVERY == 6 {
            self.requests.failed += 1;
            Some(Fault::Failed)
        } else {
            None
        }
    }
}

/// One of `items`, by chance.
pub(super) fn pick<'a, T>(random: &mut StdRng, items: &'a [T]) -> Option<&'a T> {
    (!items.is_empty()).then(|| &items[random.random_range(0..items.len())])
}
