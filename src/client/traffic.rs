//! What this process knows of the servers it asks, shared by all its connectors: one lane for each
//! server and credential, because that is what providers count by.
//!
//! Workers that share a store share two things more: until when a provider asked a credential to
//! wait, and the rate that its manifest says.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use super::breaker::Breaker;
use super::budget::Budget;
use super::declared::RateLimits;
use super::pace::Pace;
use super::share::Share;
use crate::hex::hex;
use crate::store::{CredentialStore, Turn, TurnRequest};

/// Lanes that are remembered though nobody uses them now: a reloaded connector goes on at the pace
/// it had. More are forgotten.
const MAX_LANES: usize = 1024;

/// A wait shorter than this is over before another worker could hear of it.
pub(super) const NOTABLE: Duration = Duration::from_secs(1);

/// How often the store is asked what other workers were told.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long it is left alone after it did not answer, and how long an answer may take.
pub(super) const ASK_AFTER_FAILURE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: Duration = Duration::from_millis(500);

/// All lanes of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Traffic(Arc<Shared>);

struct Shared {
    /// Names this process to others.
    process: String,
    store: Option<Arc<dyn CredentialStore>>,
    /// By server and credential.
    lanes: Mutex<HashMap<(String, String), Arc<Lane>>>,
    /// By credential and what the budget says.
    budgets: Mutex<HashMap<(String, String), Weak<Budget>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            process: format!("{:016x}", rand::random::<u64>()),
            store: None,
            lanes: Mutex::default(),
            budgets: Mutex::default(),
        }
    }
}

/// What is known of one server and credential.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) pace: Pace,
    pub(super) breaker: Breaker,
    pub(super) share: Share,
    id: String,
    /// When the store is to be asked again, by what a wait would be about.
    ask_at: Mutex<HashMap<String, Instant>>,
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traffic({} lanes)", locked(&self.0.lanes).len())
    }
}

impl Traffic {
    /// Traffic that hears through `store` what other workers were told.
    pub fn shared_through(store: Arc<dyn CredentialStore>) -> Self {
        Self(Arc::new(Shared {
            store: Some(store),
            ..Shared::default()
        }))
    }

    /// The lane of `server` and `credential`.
    pub(super) fn lane(&self, server: &str, credential: &str) -> Arc<Lane> {
        let mut lanes = locked(&self.0.lanes);
        let key = (server.to_owned(), credential.to_owned());
        if let Some(lane) = lanes.get(&key) {
            return lane.clone();
        }
        if lanes.len() >= MAX_LANES {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let lane = Arc::new(Lane {
            pace: Pace::default(),
            breaker: Breaker::default(),
            share: Share::default(),
            id: identify(&["lane", server, credential]),
            ask_at: Mutex::default(),
        });
        lanes.insert(key, lane.clone());
        lane
    }

    /// The budget of `credential` that says the same as `budget`, which may be in use already.
    pub(super) fn budget(&self, credential: &str, budget: Budget) -> Arc<Budget> {
        let mut budgets = locked(&self.0.budgets);
        budgets.retain(|_, budget| budget.strong_count() > 0);
        // Nothing was counted yet, so this is what the manifest says and no more.
        let key = (credential.to_owned(), format!("{budget:?}"));
        if let Some(budget) = budgets.get(&key).and_then(Weak::upgrade) {
            return budget;
        }
        let budget = Arc::new(budget);
        budgets.insert(key, Arc::downgrade(&budget));
        budget
    }

    /// How long the next request of `lane` has to wait by the manifest's own rate, which workers that
    /// share a store keep to together. It takes its turn.
    pub(super) async fn turn(&self, lane: &Lane, limits: &RateLimits) -> Duration {
        let ask = async |request: &TurnRequest<'_>| self.ask(lane, request).await;
        lane.share.turn(limits, &self.0.process, ask).await
    }

    /// How many processes divide the limits of `lane` that are no rate.
    pub(super) async fn processes(&self, lane: &Lane, limits: &RateLimits) -> u32 {
        let ask = async |request: &TurnRequest<'_>| self.ask(lane, request).await;
        lane.share.count(limits, &self.0.process, ask).await
    }

    async fn ask(&self, lane: &Lane, request: &TurnRequest<'_>) -> Option<Turn> {
        let Some(store) = &self.0.store else {
            return Some(Turn::alone(request));
        };
        let answer = timeout(LONGEST_ANSWER, store.take_turn(&lane.id, request));
        answer.await.ok()?.ok()
    }

    /// Blocks `lane` for as long as other workers were told to wait.
    pub(super) async fn hear(&self, lane: &Lane, subject: &str) {
        let Some(store) = &self.0.store else { return };
        let now = Instant::now();
        {
            let mut ask_at = locked(&lane.ask_at);
            if ask_at.get(subject).is_some_and(|at| now < *at) {
                return;
            }
            if ask_at.len() > MAX_LANES {
                ask_at.clear();
            }
            ask_at.insert(subject.to_owned(), now + ASK_EVERY);
        }
        let id = lane.wait_id(subject);
        let asked = timeout(LONGEST_ANSWER, store.wait_of_credential(&id)).await;
        match asked {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(wait))) => lane.pace.block(subject, Instant::now() + wait),
            // The provider itself still says what it says.
            Ok(Err(_)) | Err(_) => {
                let later = Instant::now() + ASK_AFTER_FAILURE;
                locked(&lane.ask_at).insert(subject.to_owned(), later);
                tracing::debug!("the store does not tell what other workers were asked to wait");
            }
        }
    }

    /// Tells other workers that the provider asked to wait.
    pub(super) async fn tell(&self, lane: &Lane, subject: &str, wait: Duration) {
        let Some(store) = self.0.store.as_ref().filter(|_| wait >= NOTABLE) else {
            return;
        };
        let id = lane.wait_id(subject);
        let told = timeout(LONGEST_ANSWER, store.make_credential_wait(&id, wait)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("other workers cannot be told to wait as well");
        }
    }
}

impl Lane {
    fn wait_id(&self, subject: &str) -> String {
        identify(&["wait", &self.id, subject])
    }
}

/// A name made of these parts that says nothing about them.
pub fn identify(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With their lengths, so that no two lists of parts read the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize()[..16])
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::declared::Scope;
    use crate::store::MemoryStore;

    #[test]
    fn server_and_credential_make_a_lane() {
        let traffic = Traffic::default();
        let lane = traffic.lane("a", "c");
        assert!(Arc::ptr_eq(&lane, &traffic.clone().lane("a", "c")));
        assert!(!Arc::ptr_eq(&lane, &traffic.lane("a", "d")));
        assert!(!Arc::ptr_eq(&lane, &traffic.lane("b", "c")));
        assert_ne!(lane.id, traffic.lane("b", "c").id);
    }

    #[test]
    fn lanes_are_bounded_by_those_in_use() {
        let traffic = Traffic::default();
        let kept = traffic.lane("kept", "c");
        for number in 0..3 * MAX_LANES {
            traffic.lane(&number.to_string(), "c");
        }
        assert!(locked(&traffic.0.lanes).len() <= MAX_LANES);
        assert!(Arc::ptr_eq(&kept, &traffic.lane("kept", "c")));
    }

    #[test]
    fn connectors_with_one_credential_share_a_budget_that_says_the_same() {
        use crate::client::budget::{Limit, Policy, Rate};
        let traffic = Traffic::default();
        let budget = |calls| Budget {
            policies: vec![Policy::new(
                Vec::new(),
                Limit::Moving(vec![Rate {
                    calls,
                    interval: Duration::from_secs(1),
                }]),
            )],
            remaining_header: "a".to_owned(),
            reset_header: "b".to_owned(),
            hit_statuses: vec![429],
        };
        let first = traffic.budget("c", budget(3));
        assert!(Arc::ptr_eq(&first, &traffic.budget("c", budget(3))));
        assert!(!Arc::ptr_eq(&first, &traffic.budget("c", budget(4))));
        assert!(!Arc::ptr_eq(&first, &traffic.budget("d", budget(3))));
    }

    #[tokio::test]
    async fn workers_that_share_a_store_hear_of_waits() {
        let store: Arc<dyn CredentialStore> = Arc::new(MemoryStore::new());
        let one = Traffic::shared_through(store.clone());
        let two = Traffic::shared_through(store);
        let told = one.lane("a", "c");
        one.tell(&told, "", Duration::from_mins(1)).await;
        one.tell(&told, "/x", Duration::from_millis(10)).await;
        let room = async |credential, scope| {
            let lane = two.lane("a", credential);
            let url = "http://a/x".parse().unwrap();
            two.hear(&lane, &super::super::pace::subject(&url, scope))
                .await;
            let (most, now) = (Duration::from_mins(5), Instant::now());
            lane.pace.room(&url, scope, true, most, now)
        };
        let wait = room("c", Scope::Credential).await;
        assert!(wait > Duration::from_secs(50), "{wait:?}");
        assert_eq!(room("d", Scope::Credential).await, Duration::ZERO);
        assert_eq!(room("c", Scope::Endpoint).await, Duration::ZERO);
    }
}
