//! The store of tokens: opened by whoever needs it first, so that a command which needs none
//! reaches no store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::stores::StoreAccess;
use crate::client::auth::GoogleSurroundings;
use crate::config::Environment;
use crate::store::{
    CredentialLock, CredentialStore, Saved, Store, StoreError, StoredCredential, Turn, TurnRequest,
};

/// Tokens in the store of this process.
#[derive(Debug)]
pub(super) struct TokenStore(pub(super) Arc<StoreAccess>);

impl TokenStore {
    async fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        // Boxed: opening a store is a deep nest of futures.
        self.0.shared().boxed().await
    }
}

#[async_trait]
impl CredentialStore for TokenStore {
    async fn load_credential(&self, id: &str) -> Result<StoredCredential, StoreError> {
        self.store().await?.load_credential(id).await
    }

    async fn lock_credential(
        &self,
        id: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<CredentialLock, StoreError> {
        self.store().await?.lock_credential(id, owner, ttl).await
    }

    async fn save_credential(
        &self,
        id: &str,
        owner: &str,
        revision: u64,
        sealed: &[u8],
        expires: Option<Duration>,
    ) -> Result<Saved, StoreError> {
        let store = self.store().await?;
        store
            .save_credential(id, owner, revision, sealed, expires)
            .await
    }

    async fn unlock_credential(&self, id: &str, owner: &str) -> Result<(), StoreError> {
        self.store().await?.unlock_credential(id, owner).await
    }

    /// A command that opened no store, such as `check`, tells nobody.
    async fn make_credential_wait(&self, id: &str, wait: Duration) -> Result<(), StoreError> {
        match self.0.opened() {
            Some(store) => store.make_credential_wait(id, wait).await,
            None => Ok(()),
        }
    }

    async fn wait_of_credential(&self, id: &str) -> Result<Option<Duration>, StoreError> {
        match self.0.opened() {
            Some(store) => store.wait_of_credential(id).await,
            None => Ok(None),
        }
    }

    async fn take_turn(&self, id: &str, request: &TurnRequest<'_>) -> Result<Turn, StoreError> {
        match self.0.opened() {
            Some(store) => store.take_turn(id, request).await,
            None => Ok(Turn::alone(request)),
        }
    }
}

/// Where this process may find Google's default credentials.
pub(super) fn google(environment: &Environment) -> GoogleSurroundings {
    let path = |name: &str| {
        let value = environment.get(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let directory = path("CLOUDSDK_CONFIG").or_else(|| Some(path("HOME")?.join(".config/gcloud")));
    GoogleSurroundings {
        key_file: path("GOOGLE_APPLICATION_CREDENTIALS"),
        well_known_file: directory.map(|at| at.join("application_default_credentials.json")),
        metadata_host: environment
            .get("GCE_METADATA_HOST")
            .filter(|host| !host.is_empty())
            .cloned(),
    }
}
