//! The one atomic write and its answers.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Acknowledged, VersionEntry};
use crate::signal::{Origin, Signal};

/// One atomic write. Build one, keep it until a definite answer, never change it in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The connector's last applied sequence + 1.
    pub sequence: u64,
    /// Output stream and its limits.
    pub output: Output,
    /// What the signals have in common.
    pub origin: Origin,
    /// In the order in which consumers shall see them.
    pub signals: Vec<Signal>,
    /// Versions to set.
    pub versions: Vec<VersionEntry>,
    /// Version fields to remove.
    pub gone: Vec<Vec<u8>>,
    /// State fields to set, or to remove where the value is `None`.
    pub state: Vec<(String, Option<String>)>,
    /// Records that failed.
    pub dead_letters: Vec<DeadLetter>,
    /// Deliveries that leave the queue: what they brought is in this commit or an earlier one.
    pub acknowledged: Vec<Acknowledged>,
}

/// A commit, and what the store could do for it before its turn. Made by
/// [`CycleStore::prepare`](super::CycleStore::prepare).
#[derive(Debug)]
pub struct Prepared {
    commit: Commit,
    /// What the store made of it; only the store knows what that is.
    work: Option<Box<dyn Any + Send>>,
}

impl Prepared {
    /// A commit for which nothing can be done before its turn.
    pub(super) fn plain(commit: Commit) -> Self {
        Self { commit, work: None }
    }

    /// A commit of which `work` holds the records, so that the pages they came in can go.
    pub(super) fn encoded(mut commit: Commit, work: impl Any + Send) -> Self {
        for signal in &mut commit.signals {
            signal.data = Bytes::new();
        }
        Self {
            commit,
            work: Some(Box::new(work)),
        }
    }

    /// What is written; `data` of its signals may be gone.
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The same, to keep.
    pub fn into_commit(self) -> Commit {
        self.commit
    }

    /// What the store made of the commit, if it made a `W`.
    pub(super) fn work<W: Any>(&mut self) -> (&Commit, Option<&mut W>) {
        let work = self.work.as_mut().and_then(|work| work.downcast_mut());
        (&self.commit, work)
    }
}

/// Commits of one lease that wait for their turn, in their order.
#[derive(Debug)]
pub struct Queue {
    arriving: mpsc::Receiver<Prepared>,
    /// The first of them, once it was looked at.
    next: Option<Prepared>,
}

impl Queue {
    /// A queue that holds up to `room` commits.
    pub fn channel(room: usize) -> (mpsc::Sender<Prepared>, Self) {
        let (sender, arriving) = mpsc::channel(room);
        let next = None;
        (sender, Self { arriving, next })
    }

    /// A queue in which none will ever wait.
    pub fn none() -> Self {
        Self::channel(1).1
    }

    /// The next commit; `None` when no more will come.
    pub async fn take(&mut self) -> Option<Prepared> {
        match self.next.take() {
            Some(next) => Some(next),
            None => self.arriving.recv().await,
        }
    }

    /// Waits for the next commit and leaves it where it is; forever if none comes.
    pub(super) async fn peek(&mut self) -> &mut Prepared {
        let next = match self.next.take() {
            Some(next) => next,
            None => match self.arriving.recv().await {
                Some(next) => next,
                None => std::future::pending().await,
            },
        };
        self.next.insert(next)
    }

    /// The next commit, if it was looked at.
    pub(super) fn peeked(&mut self) -> Option<&mut Prepared> {
        self.next.as_mut()
    }
}

/// An output stream and how full it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name without prefix: `raw-input-signals`.
    pub stream: Arc<str>,
    /// Commits that would pass this length answer [`Committed::Full`]; 0 means no limit. The
    /// embedded store, whose readers are not known to it, drops the oldest entries instead.
    pub max_len: u64,
}

/// A record that could not become a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Stream name.
    pub stream: String,
    /// Why, in words for the operator.
    pub reason: String,
    /// The record as it was received, cut at 64 KiB.
    pub data: Bytes,
}

/// Answer to [`CycleStore::commit`](super::CycleStore::commit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Applied now, or applied before and the reply was lost: the same thing to the caller.
    Applied {
        /// Whether the lease key still names this owner; `false` means stop at the page boundary.
        lease_held: bool,
    },
    /// Refused: another epoch or owner may write. Nothing was written.
    Fenced,
    /// Refused: the stored sequence is not the one before this commit's. Nothing was written.
    Gap {
        /// The stored sequence.
        stored: u64,
    },
    /// Refused: the output stream is full and its consumers have not read it. Nothing was written.
    Full {
        /// Entries in the stream.
        length: u64,
    },
    /// The store did not answer in time; the commit may or may not have been applied, now or
    /// later. The sequence must not be reused for other content: acquire anew, then reload.
    InDoubt,
}
