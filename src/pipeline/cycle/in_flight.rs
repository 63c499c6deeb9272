//! Commits on their way, in their order: while the store works, the next batch is detected.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::pipeline::CycleError;
use crate::pipeline::commit::{Writer, Written};
use crate::store::{Prepared, Queue};

/// Commits handed over at most: one is being written, one is ready behind it.
const MOST: usize = 2;

/// State fields that a commit sets, or removes.
pub(super) type Changes = BTreeMap<String, Option<String>>;

/// Commits that were handed to the writer and are not known to be written. Dropping them stops it.
#[derive(Default)]
pub(super) struct InFlight {
    lane: Option<Lane>,
    /// What each of them writes of the state.
    changes: VecDeque<Changes>,
}

/// The writer at work.
struct Lane {
    queue: mpsc::Sender<Prepared>,
    written: mpsc::Receiver<Written>,
    task: JoinSet<()>,
}

impl InFlight {
    pub(super) fn is_full(&self) -> bool {
        self.changes.len() >= MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What the newest of them that writes this field makes of it.
    pub(super) fn change_of(&self, field: &str) -> Option<&Option<String>> {
        let mut newest = self.changes.iter().rev();
        newest.find_map(|changes| changes.get(field))
    }

    /// Hands a commit to `writer`, for which there is room.
    pub(super) async fn push(
        &mut self,
        writer: &Arc<Writer>,
        prepared: Prepared,
    ) -> Result<(), CycleError> {
        let commit = prepared.commit();
        self.changes
            .push_back(commit.state.iter().cloned().collect());
        let lane = self.lane.get_or_insert_with(|| Lane::start(writer.clone()));
        if lane.queue.send(prepared).await.is_err() {
            return Err(lane.why_ended().await);
        }
        Ok(())
    }

    /// Waits until the first of them is written, and answers what it changed.
    pub(super) async fn pop(&mut self) -> Result<Option<(Written, Changes)>, CycleError> {
        let (Some(changes), Some(lane)) = (self.changes.pop_front(), &mut self.lane) else {
            return Ok(None);
        };
        match lane.written.recv().await {
            Some(written) => Ok(Some((written, changes))),
            None => Err(lane.why_ended().await),
        }
    }

    /// Gives up what is not written: the writer stopped before it.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Lane {
    fn start(writer: Arc<Writer>) -> Self {
        let (sender, queue) = Queue::channel(MOST);
        let (results, written) = mpsc::channel(MOST);
        let mut task = JoinSet::new();
        task.spawn(async move { writer.run(queue, results).await });
        Self {
            queue: sender,
            written,
            task,
        }
    }

    /// Panics if the writer did.
    async fn why_ended(&mut self) -> CycleError {
        if let Some(Err(error)) = self.task.join_next().await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
        CycleError::InDoubt
    }
}
