//! A read of the source beside the cycle that takes its events.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::source::{Event, Events, ReadState, Source, Stopped};

/// A read on its way. Dropping it stops the read, wherever it is.
pub(super) struct Reading {
    pub(super) events: mpsc::Receiver<Event>,
    task: JoinSet<Result<(), Stopped>>,
}

impl Reading {
    /// Starts to read from `state`.
    pub(super) fn start(source: Arc<dyn Source>, state: ReadState) -> Self {
        // Pages differ in what they cost: one is detected, up to two are ready, one is being fetched.
        let (sender, events) = Events::channel(2);
        let mut task = JoinSet::new();
        task.spawn(async move { source.read(&state, &sender).await });
        Self { events, task }
    }

    /// Waits for the end of a read whose events are all taken; panics if it did.
    pub(super) async fn join(&mut self) {
        if let Some(Err(error)) = self.task.join_next().await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
