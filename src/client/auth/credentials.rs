//! All credentials of this process: one keeper each, however many connectors and streams use it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::adc::GoogleSurroundings;
use super::keeper::{Keeper, Manners};
use super::sealed::Sealer;
use super::{Client, FetchError};
use crate::store::CredentialStore;

/// Told of a configuration that a rotated token has changed, as the format's reference tells it.
pub type ConfigurationChanged = dyn Fn(&crate::json::Value) + Send + Sync;

/// Makes and shares keepers. Clones share one set.
#[derive(Clone, Default)]
pub struct Credentials {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    store: Option<Arc<dyn CredentialStore>>,
    changed: Option<Arc<ConfigurationChanged>>,
    google: GoogleSurroundings,
    keepers: Mutex<HashMap<String, Arc<Keeper>>>,
    /// Renewals on their way. They outlive whoever waits for them: an answer that holds the only
    /// good refresh token must be stored even when its reader was told to stop.
    renewals: TaskTracker,
}

impl Credentials {
    /// Credentials whose tokens live in `store`. By default they live in this process alone.
    pub fn kept_in(store: Arc<dyn CredentialStore>) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Some(store),
                ..Shared::default()
            }),
        }
    }

    /// As [`kept_in`](Self::kept_in), for a process with these surroundings.
    pub fn of_process(store: Arc<dyn CredentialStore>, google: GoogleSurroundings) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Some(store),
                google,
                ..Shared::default()
            }),
        }
    }

    /// Where Google's default credentials are looked for.
    pub fn google(&self) -> &GoogleSurroundings {
        &self.shared.google
    }

    /// Credentials that live in this process and tell of rotated tokens as the format's reference
    /// does: by a changed configuration.
    pub fn telling(changed: Arc<ConfigurationChanged>) -> Self {
        Self {
            shared: Arc::new(Shared {
                changed: Some(changed),
                ..Shared::default()
            }),
        }
    }

    /// Whom to tell of a changed configuration.
    pub fn tells_of_changes(&self) -> Option<&ConfigurationChanged> {
        self.shared.changed.as_deref()
    }

    /// The keeper of the credential that `seed` describes: its issuer, its client, its secrets.
    /// The same seed gives the same keeper; `client` is for its first maker.
    pub fn keeper(
        &self,
        seed: &[&str],
        manners: Manners,
        client: &Client,
    ) -> Result<Arc<Keeper>, FetchError> {
        let sealer = sealer(seed)?;
        let mut keepers = self.keepers();
        // Those that no connector uses any more, and that have nothing left to store.
        keepers.retain(|_, keeper| Arc::strong_count(keeper) > 1 || keeper.is_owing());
        if let Some(keeper) = keepers.get(sealer.id()) {
            keeper.watchers().add(client);
            return Ok(keeper.clone());
        }
        let id = sealer.id().to_owned();
        let keeper = Arc::new(Keeper::new(
            sealer,
            manners,
            client,
            match manners {
                Manners::Worker => self.shared.store.clone(),
                Manners::Reference => None,
            },
            self.shared.renewals.clone(),
        )?);
        keepers.insert(id, keeper.clone());
        Ok(keeper)
    }

    /// A keeper that shares nothing and stores nothing, as the format's reference has them.
    pub fn private_keeper(&self, client: &Client) -> Result<Arc<Keeper>, FetchError> {
        let keeper = Keeper::new(
            sealer(&[])?,
            Manners::Reference,
            client,
            None,
            self.shared.renewals.clone(),
        )?;
        Ok(Arc::new(keeper))
    }

    /// Waits for renewals on their way, at most for `longest`. `false` when some are not done.
    pub async fn settle(&self, longest: Duration) -> bool {
        self.shared.renewals.close();
        let settled = tokio::time::timeout(longest, self.shared.renewals.wait()).await;
        settled.is_ok()
    }

    fn keepers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Keeper>>> {
        // Nothing panics while it is held.
        let keepers = &self.shared.keepers;
        keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sealer(seed: &[&str]) -> Result<Sealer, FetchError> {
    Sealer::new(seed)
        .map_err(|_| FetchError::Misconfigured("this machine gives no random numbers".to_owned()))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.shared.store)
    }
}
