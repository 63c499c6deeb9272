//! What requests show of a credential is one itself: kept out of logs as long as it is what is shown,
//! and a while longer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::auth::Secret;

/// The credential that an authenticator shows. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Option<Secret>>>);

impl Shown {
    /// A request is about to show this, with or without a scheme before it.
    pub(super) fn keep_out_of_logs(&self, credential: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last
            .as_ref()
            .is_some_and(|last| last.expose() == credential)
        {
            return;
        }
        let secret = Secret::from(credential.to_owned());
        if let Some((_scheme, rest)) = credential.split_once(' ') {
            secret.shown_as(rest);
        }
        *last = Some(secret);
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}
