//! Credentials that the provider has refused in this poll: nobody asks with them again before the
//! next. Issuers and providers lock accounts out that go on after a refusal.

use std::sync::{Mutex, PoisonError};

use super::auth::Proof;
use super::requester::Requester;
use super::retriever::Run;
use crate::client::FetchError;

/// What was refused in one poll, and in which words. Streams may have credentials of their own.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<Vec<(Proof, String)>>);

impl Refused {
    /// The provider refused what `requester` shows.
    pub(super) fn note(&self, run: &Run<'_>, requester: &Requester, words: &str) {
        // What cannot be told cannot be found again, which costs a request.
        if let Some(proof) = requester.auth.proof(run) {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((proof, words.to_owned()));
        }
    }

    /// Why `requester` need not ask; `None` where it may.
    pub(super) fn said(&self, run: &Run<'_>, requester: &Requester) -> Option<FetchError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return None;
        }
        let proof = requester.auth.proof(run)?;
        let (_, words) = all.iter().find(|(refused, _)| *refused == proof)?;
        Some(FetchError::Unauthorized(format!(
            "{}: {words}",
            run.named("not asked, because the same credentials were refused just now")
        )))
    }
}
