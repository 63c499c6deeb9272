//! The daemon, in the order things happen: load, connect, listen, apply, wait for signals, drain.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::context::{Configuration, Context};
use super::exit::{self, LeaseHeld, Problems};
use crate::cli::{Role, RunArgs, ServeArgs};
use crate::config::{self, LoadOptions};
use crate::document::Problem;
use crate::os_signal::{OsSignal, OsSignals};
use crate::registry::{ConnectorRegistry, ReloadProblem};
use crate::server::{Hooks, IfTaken, Ops, Public, PublicOptions, PublicServer, Server};
use crate::store::{Store, StoreError};
use crate::supervisor::{Supervisor, Wish};
use crate::telemetry::chain;
use crate::telemetry::metrics::{self, Metrics};

/// How long the process tries to reach its store before it gives up and exits.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// How often `--watch` looks at the file.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Runs connectors until a signal stops the process.
pub(super) async fn run(
    context: &Context,
    args: &RunArgs,
    serve: Option<&ServeArgs>,
    mut signals: OsSignals,
) -> Result<ExitCode> {
    // Looks at the file before it is read: what changes in between is a change.
    let mut watcher = Watcher::new(args.watch, context);
    // Nothing is bound or connected yet, so a bad file is a clean exit.
    let configuration = context.load(&args.name)?;
    let store = tokio::select! {
        store = open_patiently(context) => store?,
        () = signals.shutdown() => return Ok(ExitCode::SUCCESS),
    };
    let shared = context.shared(store.clone());
    let registry = shared.registry.clone();
    if args.no_wait {
        refuse_to_wait(&*store, &configuration).await?;
    }
    let public = match serve {
        Some(serve) => Some(PublicServer::bind(serve.listen).await?),
        None => None,
    };
    let hooks = Hooks::new(store.clone());
    let server = Server::bind(args.http_addr.unwrap_or_default(), IfTaken::RunWithout).await?;
    // Without a listener nobody would read the samples, and they would pile up.
    let metrics = server.as_ref().map(|_| Metrics::install()).transpose()?;
    let builder = context.clone();
    let mut supervisor = Supervisor::new(shared, Arc::new(move |wish| builder.build(wish)));
    let runs = serve.is_none_or(|serve| serve.role == Role::All);
    let wishes = wishes_of(&configuration, runs).map_err(Problems)?;
    supervisor.apply(wishes).map_err(Problems)?;
    if serve.is_some() {
        hooks.replace(configuration.hooks().map_err(Problems)?);
    }
    show_disabled(&registry, &configuration);
    registry.set_configured();

    let listening = CancellationToken::new();
    let mut background = JoinSet::new();
    let address = server.as_ref().map(|server| server.address().to_string());
    if let (Some(server), Some(metrics)) = (server, metrics) {
        let ops = Ops {
            registry: registry.clone(),
            metrics,
        };
        background.spawn(server.serve(ops, listening.clone()));
    }
    if runs {
        announce(&supervisor, &configuration, &*store, address.as_deref());
    }
    let receiving = CancellationToken::new();
    let mut receivers = JoinSet::new();
    if let (Some(public), Some(serve)) = (public, serve) {
        announce_hooks(&hooks, &configuration, public.address());
        let shared = Public::new(
            hooks.clone(),
            registry.clone(),
            context.clock,
            options_of(serve),
        );
        receivers.spawn(public.serve(shared, receiving.clone()));
    }

    watcher.follow(&configuration);
    let mut loading = Loading::default();
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            () = watcher.changed() => OsSignal::Reload,
            loaded = loading.done() => {
                let hooks = serve.map(|_| &hooks);
                if let Some(new) = adopt(loaded, runs, &mut supervisor, hooks, &registry) {
                    watcher.follow(&new);
                }
                continue;
            }
        };
        match signal {
            OsSignal::Shutdown => break,
            OsSignal::Report => report(&registry),
            OsSignal::Reload => loading.start(context, &args.name),
        }
    }

    tracing::info!("shutting down: connectors finish their page");
    registry.set_draining();
    // First, so that everything that was taken is in the queue before this process ends.
    receiving.cancel();
    while receivers.join_next().await.is_some() {}
    let code = tokio::select! {
        finished = supervisor.shutdown(args.shutdown_timeout) => {
            if finished {
                tracing::info!("shut down cleanly");
                ExitCode::SUCCESS
            } else {
                tracing::error!(
                    "connectors did not finish their page within --shutdown-timeout; \
                     what they had not committed is read again"
                );
                ExitCode::from(exit::FAILURE)
            }
        }
        () = signals.shutdown() => {
            tracing::warn!("second signal: stopping at once; what was not committed is read again");
            ExitCode::from(exit::FAILURE)
        }
    };
    listening.cancel();
    // The listener lets answers under way finish, for a bounded time of its own.
    while background.join_next().await.is_some() {}
    Ok(code)
}

/// Opens the store; a server that is just starting gets some time.
async fn open_patiently(context: &Context) -> Result<Arc<dyn Store>> {
    let deadline = tokio::time::Instant::now() + STORE_PATIENCE;
    loop {
        match context.open_store().await {
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::Unavailable { .. })) => {
                if tokio::time::Instant::now() >= deadline {
                    return Err(error);
                }
                tracing::warn!(
                    error = %chain(error.as_ref()),
                    "cannot reach the store yet; trying again"
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}

async fn refuse_to_wait(store: &dyn Store, configuration: &Configuration) -> Result<()> {
    let leases = store.leases().await?;
    for config in configuration
        .loaded
        .connectors
        .iter()
        .filter(|config| config.enabled)
    {
        if let Some(lease) = leases.iter().find(|lease| lease.connector == *config.name) {
            return Err(LeaseHeld {
                connector: lease.connector.clone(),
                holder: lease.owner.clone(),
                remaining_ms: lease.remaining.as_millis(),
            }
            .into());
        }
    }
    Ok(())
}

fn options_of(serve: &ServeArgs) -> PublicOptions {
    PublicOptions {
        trusted_proxies: serve.trusted_proxies.clone(),
        per_address: serve.rate_per_address,
        per_connector: serve.rate_per_connector,
        body_timeout: serve.body_timeout,
    }
}

/// The connectors that this process runs: none where it only receives.
fn wishes_of(configuration: &Configuration, runs: bool) -> Result<Vec<Wish>, Vec<Problem>> {
    if runs {
        configuration.wishes()
    } else {
        Ok(Vec::new())
    }
}

/// Says which connectors take deliveries, and which would if they had a secret.
fn announce_hooks(hooks: &Hooks, configuration: &Configuration, address: SocketAddr) {
    let names = hooks.names();
    tracing::info!(
        listen = %address,
        connectors = names.join(", "),
        "receiving webhooks of {} connectors at /webhooks/NAME",
        names.len()
    );
    for config in &configuration.loaded.connectors {
        if names.contains(&config.name) && config.webhook.secrets.is_empty() {
            tracing::warn!(
                connector.id = &*config.name,
                "connector {} has no webhook.secrets: every delivery is refused",
                config.name
            );
        }
    }
}

fn announce(
    supervisor: &Supervisor,
    configuration: &Configuration,
    store: &dyn Store,
    address: Option<&str>,
) {
    let names = supervisor.names();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = configuration.loaded.origin,
        store = store.address(),
        http = address.unwrap_or("none"),
        connectors = names.join(", "),
        "running {} connectors",
        names.len()
    );
    if names.is_empty() {
        tracing::warn!("no connector is enabled; waiting for a reload");
    }
}

/// Reads the configuration on a thread of its own, so that a slow disk or a large file keeps no
/// signal waiting. Requests meanwhile count as one: the last file wins.
#[derive(Default)]
struct Loading {
    running: Option<JoinHandle<Result<Configuration, Vec<Problem>>>>,
    again: Option<(Context, Vec<String>)>,
}

impl Loading {
    fn start(&mut self, context: &Context, names: &[String]) {
        let (context, names) = (context.clone(), names.to_vec());
        if self.running.is_some() {
            self.again = Some((context, names));
        } else {
            let load = move || load_again(&context, &names);
            self.running = Some(tokio::task::spawn_blocking(load));
        }
    }

    /// What was loaded; never returns while nothing is loading.
    async fn done(&mut self) -> Result<Configuration, Vec<Problem>> {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let loaded = running.await;
        self.running = None;
        if let Some((context, names)) = self.again.take() {
            self.start(&context, &names);
        }
        match loaded {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// Makes what runs equal to what was loaded; on any problem what runs keeps running.
fn adopt(
    loaded: Result<Configuration, Vec<Problem>>,
    runs: bool,
    supervisor: &mut Supervisor,
    hooks: Option<&Hooks>,
    registry: &ConnectorRegistry,
) -> Option<Configuration> {
    match loaded.and_then(|configuration| {
        let wanted = configuration.hooks()?;
        let diff = supervisor.apply(wishes_of(&configuration, runs)?)?;
        if let Some(hooks) = hooks {
            hooks.replace(wanted);
        }
        Ok((configuration, diff))
    }) {
        Ok((configuration, diff)) => {
            metrics::config_reloaded(true);
            show_disabled(registry, &configuration);
            registry.set_reload_problem(None);
            tracing::info!(
                added = diff.added.join(", "),
                changed = diff.changed.join(", "),
                retimed = diff.retimed.join(", "),
                removed = diff.removed.join(", "),
                "configuration reloaded"
            );
            Some(configuration)
        }
        Err(problems) => {
            metrics::config_reloaded(false);
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            tracing::error!(
                error = problems.join("; "),
                "configuration not reloaded: nothing changes until its problems are mended"
            );
            registry.set_reload_problem(Some(ReloadProblem {
                at: Timestamp::now(),
                problems,
            }));
            None
        }
    }
}

fn show_disabled(registry: &ConnectorRegistry, configuration: &Configuration) {
    let connectors = configuration.loaded.connectors.iter();
    let disabled = connectors.filter(|config| !config.enabled);
    registry.set_disabled(disabled.map(|config| (&*config.name, &*config.kind)));
}

/// The configuration as a reload sees it: a `--name` that is no longer in it idles like a
/// disabled one.
fn load_again(context: &Context, names: &[String]) -> Result<Configuration, Vec<Problem>> {
    let catalog = context.catalog()?;
    let options = LoadOptions {
        allow_unknown_names: true,
        ..context.load_options(names, &catalog)
    };
    let loaded = config::load(&options)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Configuration { loaded, catalog })
}

/// SIGUSR1: one line per connector.
fn report(registry: &ConnectorRegistry) {
    for status in registry.all() {
        let state = serde_json::to_string(&status).unwrap_or_default();
        tracing::info!(
            connector.id = status.name,
            phase = status.phase.as_str(),
            health = status.health.as_str(),
            state,
            "state of connector {}",
            status.name
        );
    }
}

/// Looks at the configuration file, manifests and the files of secrets by content, so that an
/// editor's rename and the swap of a mounted `ConfigMap` or `Secret` are changes, and a touched
/// file is none.
struct Watcher {
    enabled: bool,
    file: PathBuf,
    /// Digest of each file when it was last looked at.
    seen: BTreeMap<PathBuf, u64>,
}

impl Watcher {
    fn new(enabled: bool, context: &Context) -> Self {
        let named = context.global.config.clone();
        let file = named.unwrap_or_else(|| PathBuf::from(config::DEFAULT_FILE));
        let mut watcher = Self {
            enabled,
            file: file.clone(),
            seen: BTreeMap::new(),
        };
        watcher.look_at(std::iter::once((file, None)));
        watcher
    }

    /// Looks at the files of `configuration` from now on.
    fn follow(&mut self, configuration: &Configuration) {
        let connectors = configuration.loaded.connectors.iter();
        let manifests = connectors.filter_map(|config| config.manifest.clone());
        let secrets = configuration.loaded.secret_files.iter();
        let files = std::iter::once(self.file.clone())
            .chain(manifests)
            .map(|file| (file, None))
            .chain(secrets.map(|(file, digest)| (file.clone(), Some(*digest))));
        self.look_at(files);
    }

    /// Looks at these files from now on, each with the digest of what is known of it.
    fn look_at(&mut self, files: impl Iterator<Item = (PathBuf, Option<u64>)>) {
        if self.enabled {
            let before = std::mem::take(&mut self.seen);
            self.seen = files
                .map(|(file, known)| {
                    let digest = known.or_else(|| before.get(&file).copied());
                    let digest = digest.unwrap_or_else(|| digest_of(&file));
                    (file, digest)
                })
                .collect();
        }
    }

    /// Returns when one of the files holds something else than before.
    async fn changed(&mut self) {
        if !self.enabled {
            return std::future::pending().await;
        }
        let mut is_changed = false;
        while !is_changed {
            tokio::time::sleep(WATCH_EVERY).await;
            for (file, seen) in &mut self.seen {
                let now = digest_of(file);
                is_changed |= now != std::mem::replace(seen, now);
            }
        }
    }
}

fn digest_of(file: &Path) -> u64 {
    // One that cannot be read now is a change once it can be.
    xxhash_rust::xxh3::xxh3_64(&std::fs::read(file).unwrap_or_default())
}
