//! Tells on stdout that the provider makes a stream wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

use super::message::Message;
use super::output;
use crate::client::Observer;
use crate::clock::Clock;

/// Hears of waits, and knows which stream is being read.
pub(super) struct Limits {
    stream: Mutex<String>,
    clock: Clock,
}

impl Limits {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            stream: Mutex::default(),
            clock,
        }
    }

    /// Names the stream that is read from now on.
    pub(super) fn reading(&self, stream: &str) {
        let mut current = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.clone_into(&mut current);
    }
}

impl Observer for Limits {
    fn throttled(&self, _wait: Duration) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if !stream.is_empty() {
            output::aside(&Message::limited(&stream, self.clock));
        }
    }

    fn answered(&self, _status: StatusCode, _took: Duration, _bytes: usize) {}
}
