//! The store of this process: where it is, and the one that was opened.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use tokio::sync::OnceCell;

use crate::cli::GlobalArgs;
use crate::config::Environment;
use crate::store::{self, Store, StoreAddress, StoreError, StoreOptions};
use crate::telemetry::{chain, register_secret};

/// The store used when nobody names one.
const EMBEDDED_STORE: &str = "./.connector-worker/store.db";

/// Opens the store, and remembers it for those that only need any.
#[derive(Debug)]
pub(super) struct StoreAccess {
    named: Option<StoreAddress>,
    redis_url: Option<String>,
    options: StoreOptions,
    opened: OnceCell<Arc<dyn Store>>,
}

impl StoreAccess {
    /// As options and environment say; connects to nothing.
    pub(super) fn new(global: &GlobalArgs, environment: &Environment) -> Self {
        let url = environment.get("REDIS_URL").filter(|url| !url.is_empty());
        Self {
            named: global.store.clone(),
            redis_url: url.cloned(),
            options: StoreOptions {
                key_prefix: global.key_prefix.clone(),
                allow_eviction: global.allow_eviction,
            },
            opened: OnceCell::new(),
        }
    }

    /// Where the store is.
    pub(super) fn address(&self) -> Result<StoreAddress> {
        if let Some(address) = &self.named {
            return Ok(address.clone());
        }
        match &self.redis_url {
            Some(url) => url.parse().context("REDIS_URL is no store address"),
            None => {
                tracing::info!(
                    "no --store and no REDIS_URL: using the embedded store at {EMBEDDED_STORE} \
                     (one machine, same guarantees)"
                );
                Ok(StoreAddress::Sqlite(PathBuf::from(EMBEDDED_STORE)))
            }
        }
    }

    /// Opens the store.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>> {
        let address = self.address()?;
        let store = self.connect(&address).await?;
        // Whoever was first is as good.
        let _ = self.opened.set(store.clone());
        Ok(store)
    }

    /// The store that was opened, or a new one.
    pub(super) async fn shared(&self) -> Result<Arc<dyn Store>, StoreError> {
        let open = || async {
            let address = self
                .address()
                .map_err(|error| StoreError::Misconfigured(chain(error.as_ref()).to_string()))?;
            self.connect(&address).await
        };
        self.opened.get_or_try_init(open).await.cloned()
    }

    /// The store, if somebody opened it.
    pub(super) fn opened(&self) -> Option<&Arc<dyn Store>> {
        self.opened.get()
    }

    async fn connect(&self, address: &StoreAddress) -> Result<Arc<dyn Store>, StoreError> {
        if let StoreAddress::Redis(url) = address
            && let Some(password) = url.password()
        {
            register_secret(password);
        }
        store::open(address, &self.options).boxed().await
    }
}
