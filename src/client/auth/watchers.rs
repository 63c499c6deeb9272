//! The connectors that share a credential, who are told when its issuer fails.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::StatusCode;

use crate::client::{Client, Observer};

/// Told of the issuer what each connector's own observer is to know.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<dyn Observer>>>);

impl Watchers {
    /// The connector of `client` uses the credential as well.
    pub(super) fn add(&self, client: &Client) {
        let Some(observer) = client.observer() else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        let new = Arc::downgrade(observer);
        if !all.iter().any(|one| one.ptr_eq(&new)) {
            all.push(new);
        }
    }
}

impl Observer for Watchers {
    /// A connector waits for its token only while it polls; then its error says so.
    fn throttled(&self, _wait: Duration) {}

    /// Requests to issuers are none to the provider.
    fn answered(&self, _status: StatusCode, _took: Duration, _bytes: usize) {}

    fn suspended(&self, server: &str, pause: Option<Duration>) {
        // An issuer may be the API's own server, and has a circuit of its own.
        let server = format!("{server} (tokens)");
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for observer in all.iter().filter_map(Weak::upgrade) {
            observer.suspended(&server, pause);
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watchers")
    }
}
