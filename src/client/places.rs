//! Requests on their way at once: so many places, for whoever shares them.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The places of one server and credential.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<usize>,
    left: Notify,
}

/// A request on its way; its place is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'p>(&'p Places);

impl Places {
    /// Waits until fewer than `most` are on their way.
    pub(super) async fn take(&self, most: usize) -> Place<'_> {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Before the look, so that nobody leaves unseen between the two.
            left.as_mut().enable();
            {
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                if *taken < most.max(1) {
                    *taken += 1;
                    return Place(self);
                }
            }
            left.await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken -= 1;
        drop(taken);
        // All of them: manifests may allow different numbers.
        self.0.left.notify_waiters();
    }
}
