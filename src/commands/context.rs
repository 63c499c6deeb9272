//! What several commands need: configuration, store, sources, all made the same way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::exit::Problems;
use super::stores::StoreAccess;
use super::tokens::{self, TokenStore};
use crate::cli::GlobalArgs;
use crate::client::auth::Credentials;
use crate::client::{Client, ClientConfig, Traffic};
use crate::clock::Clock;
use crate::config::{self, Environment, LoadOptions, Loaded};
use crate::connector::ConnectorConfig;
use crate::document::Problem;
use crate::poller::{Shared, Wanted};
use crate::registry::{ClientObserver, ConnectorRegistry};
use crate::source::Source;
use crate::source::manifest::catalog::{Catalog, Manifest};
use crate::source::manifest::{ManifestSource, Mode};
use crate::store::{Store, StoreAddress};
use crate::supervisor::Wish;
use crate::telemetry::metrics::ConnectorMetrics;
use crate::webhook::Webhooks;

/// Options, environment and the test switches of this process.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// Options every command has.
    pub(super) global: GlobalArgs,
    /// The environment.
    pub(super) environment: Environment,
    /// What "now" is.
    pub(super) clock: Clock,
    /// Cap on every wait; for tests.
    pub(super) max_backoff: Option<Duration>,
    /// What each connector is doing.
    pub(super) registry: ConnectorRegistry,
    /// Where the store is.
    stores: Arc<StoreAccess>,
    /// Tokens that are issued to connectors.
    pub(super) credentials: Credentials,
    /// What is known of the servers that connectors ask.
    traffic: Traffic,
}

impl Context {
    /// Reads the test switches, and warns of them.
    pub(super) fn new(global: GlobalArgs, environment: Environment) -> Result<Self> {
        let clock = match environment.get("CONNECTOR_WORKER_NOW") {
            None => Clock::System,
            Some(text) => Clock::Frozen(text.parse::<Timestamp>().context(
                "CONNECTOR_WORKER_NOW is no RFC 3339 instant such as 2026-02-24T10:30:00Z",
            )?),
        };
        let max_backoff = match environment.get("CONNECTOR_WORKER_MAX_BACKOFF_MS") {
            None => None,
            Some(text) => Some(Duration::from_millis(
                text.parse()
                    .context("CONNECTOR_WORKER_MAX_BACKOFF_MS is no number of milliseconds")?,
            )),
        };
        if !matches!(clock, Clock::System) || max_backoff.is_some() {
            tracing::warn!(
                "test switches are set (CONNECTOR_WORKER_NOW, CONNECTOR_WORKER_MAX_BACKOFF_MS): \
                 the clock is frozen or waits are cut"
            );
        }
        Ok(Self::with_store(global, environment, clock, max_backoff))
    }

    /// The same with another configuration and store.
    pub(super) fn elsewhere(&self, config: PathBuf, store: StoreAddress) -> Self {
        let global = GlobalArgs {
            config: Some(config),
            store: Some(store),
            ..self.global.clone()
        };
        let environment = self.environment.clone();
        Self::with_store(global, environment, self.clock, self.max_backoff)
    }

    fn with_store(
        global: GlobalArgs,
        environment: Environment,
        clock: Clock,
        max_backoff: Option<Duration>,
    ) -> Self {
        let stores = Arc::new(StoreAccess::new(&global, &environment));
        let tokens = Arc::new(TokenStore(stores.clone()));
        Self {
            credentials: Credentials::of_process(tokens.clone(), tokens::google(&environment)),
            traffic: Traffic::shared_through(tokens),
            stores,
            global,
            environment,
            clock,
            max_backoff,
            registry: ConnectorRegistry::default(),
        }
    }

    /// All connector types.
    pub(super) fn catalog(&self) -> Result<Arc<Catalog>, Vec<Problem>> {
        Catalog::load(self.global.manifests_dir.as_deref()).map(Arc::new)
    }

    /// How to load the configuration of `names`, or of all connectors.
    pub(super) fn load_options(&self, names: &[String], catalog: &Arc<Catalog>) -> LoadOptions {
        LoadOptions {
            file: self.global.config.clone(),
            names: names.to_vec(),
            environment: self.environment.clone(),
            catalog: catalog.clone(),
            ..LoadOptions::default()
        }
    }

    /// The configuration of `names`, or of all connectors; says what will disappoint.
    pub(super) fn load(&self, names: &[String]) -> Result<Configuration> {
        let catalog = self.catalog().map_err(Problems)?;
        let options = self.load_options(names, &catalog);
        Ok(Configuration::load(&options)?)
    }

    /// The configuration of `names`, or of all connectors, without anything that its secrets are
    /// needed for.
    pub(super) fn load_structure(&self, names: &[String]) -> Result<Configuration> {
        let catalog = self.catalog().map_err(Problems)?;
        let options = LoadOptions {
            structure_only: true,
            ..self.load_options(names, &catalog)
        };
        Ok(Configuration::load(&options)?)
    }

    /// One connector, enabled or not, with its source.
    pub(super) fn connector(&self, name: &str) -> Result<Wanted> {
        let catalog = self.catalog().map_err(Problems)?;
        let names = [name.to_owned()];
        let options = LoadOptions {
            include_disabled: true,
            ..self.load_options(&names, &catalog)
        };
        let configuration = Configuration::load(&options)?;
        let mut connectors = configuration.loaded.connectors.into_iter();
        let config = connectors
            .find(|config| &*config.name == name)
            .with_context(|| format!("connector {name} is not in the configuration"))?;
        let manifest = manifest_of(&config, &configuration.catalog).map_err(Problems)?;
        let source = self
            .build(&Wish {
                config: config.clone(),
                manifest,
            })
            .map_err(Problems)?;
        Ok(Wanted { config, source })
    }

    /// The source of a connector; opens no connection.
    pub(super) fn build(&self, wish: &Wish) -> Result<Arc<dyn Source>, Vec<Problem>> {
        let observer = ClientObserver {
            registry: self.registry.clone(),
            metrics: ConnectorMetrics::new(&wish.config.name, &wish.manifest.id),
            name: wish.config.name.to_string(),
        };
        let client = ClientConfig {
            request_timeout: wish.config.request_timeout,
            max_retries: wish.config.max_retries,
            retry: wish.config.retry,
            max_backoff: self.max_backoff,
            limits: wish.manifest.metadata.rate_limits.clone(),
            traffic: self.traffic.clone(),
            credential: wish.manifest.credential_of(&wish.config),
            observer: Some(Arc::new(observer)),
            ..ClientConfig::default()
        };
        let client = Client::new(client).map_err(|error| {
            let message = format!("connector {}: {error}", wish.config.name);
            vec![Problem {
                file: "connectors.json".into(),
                at: None,
                message,
                fix: None,
            }]
        })?;
        let (manifest, config) = (wish.manifest.clone(), &wish.config);
        let source = ManifestSource::build(manifest, config, client, self.clock, Mode::Worker)
            .with_credentials(self.credentials.clone());
        readable(&source, wish)?;
        Ok(Arc::new(source))
    }

    /// Opens the store.
    pub(super) async fn open_store(&self) -> Result<Arc<dyn Store>> {
        self.stores.open().await
    }

    /// What all pollers share.
    pub(super) fn shared(&self, store: Arc<dyn Store>) -> Shared {
        let host = self
            .environment
            .get("HOSTNAME")
            .cloned()
            .filter(|host| !host.is_empty());
        let host = host.or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Some(name.trim().to_owned())
        });
        Shared {
            store,
            registry: self.registry.clone(),
            clock: self.clock,
            max_backoff: self.max_backoff,
            host: host.unwrap_or_else(|| "localhost".to_owned()).into(),
        }
    }
}

/// Streams that cannot be read are a problem when they were asked for by name, or when no other
/// is left: polling nothing for ever would look like success.
fn readable(source: &ManifestSource, wish: &Wish) -> Result<(), Vec<Problem>> {
    let config = &wish.config;
    let asked_for = |name| config.streams.is_empty() || config.streams.contains(name);
    let mut problems = Vec::new();
    let mut is_any_left = !source.pushed().is_empty();
    for spec in source.streams().iter().filter(|spec| asked_for(&spec.name)) {
        match &spec.unavailable {
            None => is_any_left = true,
            Some(reason) => problems.push(Problem {
                file: wish.manifest.file.clone(),
                at: None,
                message: format!(
                    "connector {}: stream {} cannot be read: {reason}",
                    config.name, spec.name
                ),
                fix: None,
            }),
        }
    }
    if !is_any_left || !(problems.is_empty() || config.streams.is_empty()) {
        return Err(problems);
    }
    for problem in problems {
        tracing::warn!(connector.id = &*config.name, "{problem}");
    }
    Ok(())
}

/// A configuration without a problem, and the types it names.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    /// The connectors.
    pub(super) loaded: Loaded,
    /// Their types.
    pub(super) catalog: Arc<Catalog>,
}

impl Configuration {
    fn load(options: &LoadOptions) -> Result<Self, Problems> {
        let loaded = config::load(options).map_err(Problems)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            loaded,
            catalog: options.catalog.clone(),
        })
    }

    /// What the configuration says of connector `name`'s type; `None` when it or its type is not
    /// there.
    pub(super) fn type_of(&self, name: &str) -> Option<Arc<Manifest>> {
        let mut connectors = self.loaded.connectors.iter();
        let config = connectors.find(|config| &*config.name == name)?;
        manifest_of(config, &self.catalog).ok()
    }

    /// The connectors that shall run.
    pub(super) fn wishes(&self) -> Result<Vec<Wish>, Vec<Problem>> {
        let enabled = self
            .loaded
            .connectors
            .iter()
            .filter(|config| config.enabled);
        enabled
            .map(|config| {
                let manifest = manifest_of(config, &self.catalog)?;
                Ok(Wish {
                    config: config.clone(),
                    manifest,
                })
            })
            .collect()
    }
}

/// A connector that takes deliveries, and how.
type Taking = (Arc<ConnectorConfig>, Arc<Webhooks>);

impl Configuration {
    /// The connectors that take deliveries, with how.
    pub(super) fn hooks(&self) -> Result<Vec<Taking>, Vec<Problem>> {
        let mut hooks = Vec::new();
        for config in self
            .loaded
            .connectors
            .iter()
            .filter(|config| config.enabled)
        {
            let manifest = manifest_of(config, &self.catalog)?;
            if let Some(webhooks) = manifest.webhooks(&config.webhook) {
                hooks.push((config.clone(), webhooks));
            }
        }
        Ok(hooks)
    }
}

fn manifest_of(config: &ConnectorConfig, catalog: &Catalog) -> Result<Arc<Manifest>, Vec<Problem>> {
    match &config.manifest {
        Some(path) => catalog.file(path),
        None => catalog.get(&config.kind).cloned().ok_or_else(|| {
            vec![Problem {
                file: "connectors.json".into(),
                at: None,
                message: format!("connector {}: unknown type {}", config.name, config.kind),
                fix: None,
            }]
        }),
    }
}
