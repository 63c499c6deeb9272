//! Hearing that a lease was given up: one subscription for all connectors of the process.
//!
//! Only a shortcut. Whoever hears nothing tries again when the lease's time is up.

use std::fmt;

use futures::StreamExt;
use redis::RedisResult;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, Receiver, WeakSender};
use tokio::task::JoinSet;

use super::connection::Endpoint;

/// Announcements that a listener may be behind; one further behind is woken without cause.
const BACKLOG: usize = 256;

/// Connects when somebody first listens, and again after the connection broke.
pub(super) struct Announcements {
    endpoint: Endpoint,
    pattern: String,
    listening: Mutex<Listening>,
}

#[derive(Default)]
struct Listening {
    /// The channels that spoke; gone when the connection is.
    sender: Option<WeakSender<String>>,
    /// Ends with the store.
    task: JoinSet<()>,
}

impl fmt::Debug for Announcements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl Announcements {
    /// Of channels that match `pattern`.
    pub(super) fn new(endpoint: Endpoint, pattern: String) -> Self {
        Self {
            endpoint,
            pattern,
            listening: Mutex::default(),
        }
    }

    /// Begins to listen: nothing announced from now on is missed.
    pub(super) async fn listen(&self) -> RedisResult<Receiver<String>> {
        let mut listening = self.listening.lock().await;
        if let Some(sender) = listening.sender.as_ref().and_then(WeakSender::upgrade) {
            return Ok(sender.subscribe());
        }
        let subscription = self.endpoint.subscribe(&self.pattern).await?;
        let (sender, receiver) = broadcast::channel(BACKLOG);
        listening.sender = Some(sender.downgrade());
        listening.task.abort_all();
        listening.task.spawn(async move {
            let mut messages = subscription.into_on_message();
            while let Some(message) = messages.next().await {
                // Nobody listening now is no error: somebody may again.
                let _ = sender.send(message.get_channel_name().to_owned());
            }
        });
        Ok(receiver)
    }
}

/// Returns when `channel` spoke, and early when that cannot be known.
pub(super) async fn heard(mut announcements: Receiver<String>, channel: &str) {
    // An error says that the connection is gone or that some announcements were missed.
    while let Ok(spoken) = announcements.recv().await {
        if spoken == channel {
            return;
        }
    }
}
