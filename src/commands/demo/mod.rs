//! `demo`: the whole worker against a sandbox, offline, with nothing to set up.
//!
//! It goes the way a user goes: a `connectors.json` with two connectors, loaded and validated as
//! any other, the embedded store in a temporary directory, the operations listener. Only the
//! provider is a [`sandbox`], and what it served proves in the end what was published.

mod home;
pub mod sandbox;
mod summary;
mod view;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{self, LoadOptions, Loaded};
use crate::poller::Shared;
use crate::registry::ConnectorRegistry;
use crate::server::{HttpAddress, IfTaken, Ops, Server};
use crate::source::manifest::catalog::Catalog;
use crate::store::{self, Store, StoreAddress, StoreOptions};
use crate::supervisor::{BuildSource, Supervisor, Wish};
use crate::telemetry::metrics::Metrics;

use home::Home;
use sandbox::{Sandbox, SandboxOptions};
use summary::Summary;
use view::View;

/// Connectors of the demonstration.
const NAMES: [&str; 2] = ["weather-noaa", "jira-prod"];

/// How long the connectors may take to see the last changes before they are stopped.
const SETTLE: Duration = Duration::from_secs(8);

/// The same when somebody waits at the keyboard.
const SETTLE_QUICKLY: Duration = Duration::from_secs(3);

/// How long before its end the sandbox changes nothing more, so that the end is in time.
const LAST_CALL: Duration = Duration::from_secs(2);

/// How long one read of the output stream waits; also how often the line at the bottom moves.
const LOOK: Duration = Duration::from_millis(200);

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// Where to keep state and signals; `None`: a temporary store that is gone afterwards.
    pub store: Option<StoreAddress>,
    /// When to end; `None`: when told to stop.
    pub duration: Option<Duration>,
    /// Where the status page is.
    pub http: HttpAddress,
    /// Which changes happen.
    pub seed: Option<u64>,
    /// Whether a table may be coloured.
    pub color: bool,
}

/// What the demonstration shares with every other way to run connectors.
#[derive(Clone)]
pub struct Parts {
    /// Connector types.
    pub catalog: Arc<Catalog>,
    /// Makes sources.
    pub build: Arc<BuildSource>,
    /// Recorded metrics, for the status page.
    pub metrics: Metrics,
    /// How the store is opened.
    pub store_options: StoreOptions,
    /// Grace for connectors at the end.
    pub shutdown_timeout: Duration,
}

/// Runs the demonstration until its time is over or `stop` is cancelled.
///
/// An error when it could not run, and when the output stream is not what it should be.
pub async fn run(
    options: DemoOptions,
    parts: Parts,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    // Cancelled here too when nobody reads any more; the caller's own token is not ours to cancel.
    let stop = stop.child_token();
    let sandbox = Sandbox::start(SandboxOptions {
        seed: options.seed.unwrap_or(1),
        ..SandboxOptions::default()
    })
    .await
    .context("cannot start the sandbox")?;
    let home = Home::create().context("cannot create a directory for the demonstration")?;
    let file = home
        .write_configuration(&sandbox.url())
        .context("cannot write the demonstration's configuration")?;
    let loaded = load(file, &parts)?;

    let address = match &options.store {
        Some(address) => address.clone(),
        None => StoreAddress::Sqlite(home.path("store.db")),
    };
    let store = store::open(&address, &parts.store_options).await?;
    let registry = ConnectorRegistry::default();
    let tasks = TaskTracker::new();
    let page = serve(&options, &parts, &registry, &tasks, &stop).await?;
    let shared = Shared {
        store: store.clone(),
        registry: registry.clone(),
        clock: Clock::System,
        max_backoff: None,
        host: "demo".into(),
    };
    let mut supervisor = Supervisor::new(shared, parts.build.clone());
    let fresh = is_fresh(&*store).await?;
    let mut view = View::new(options.color, page);
    view.introduce(&sandbox.url(), &address, options.duration);

    let output = output_of(&loaded);
    let start = store.last_entry(&output).await?;
    supervisor
        .apply(wishes(&loaded, &parts.catalog)?)
        .map_err(|problems| told(&problems))?;
    let drained = CancellationToken::new();
    let (followed, (settled, connectors)) = tokio::join!(
        async {
            let outcome = follow(&*store, &output, start, &mut view, &registry, &drained).await;
            // Nobody reads any more, or the store is gone: nothing is left to show.
            stop.cancel();
            outcome
        },
        async {
            let end = options.duration.map(|duration| Instant::now() + duration);
            let quiet = options.duration.map(|time| LAST_CALL.min(time / 4));
            until(end.zip(quiet).map(|(end, quiet)| end - quiet), &stop).await;
            sandbox.freeze();
            let patience = if stop.is_cancelled() {
                SETTLE_QUICKLY
            } else {
                SETTLE
            };
            let settled = settle(&registry, patience).await;
            until(end.or(Some(Instant::now())), &stop).await;
            // A connector that has stopped is on the board no more.
            let connectors = registry.all();
            let in_time = supervisor.shutdown(parts.shutdown_timeout).await;
            drained.cancel();
            (settled && in_time, connectors)
        }
    );
    tasks.close();
    tasks.wait().await;
    view.finish();
    let Some(entries) = followed? else {
        return Ok(());
    };
    let summary = Summary::new(&sandbox, &connectors, &entries, fresh, settled);
    view::talk(&summary.to_string());
    if summary.is_broken() {
        bail!("it is not proven that the output stream holds each version exactly once");
    }
    Ok(())
}

fn load(file: std::path::PathBuf, parts: &Parts) -> anyhow::Result<Loaded> {
    config::load(&LoadOptions {
        file: Some(file),
        catalog: parts.catalog.clone(),
        ..LoadOptions::default()
    })
    .map_err(|problems| told(&problems))
}

fn told(problems: &[crate::document::Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow!("{}", lines.join("\n"))
}

fn wishes(loaded: &Loaded, catalog: &Catalog) -> anyhow::Result<Vec<Wish>> {
    let wish = |config: &Arc<crate::connector::ConnectorConfig>| {
        let manifest = catalog.get(&config.kind).cloned();
        Ok(Wish {
            config: config.clone(),
            manifest: manifest.with_context(|| format!("no connector type {}", config.kind))?,
        })
    };
    loaded.connectors.iter().map(wish).collect()
}

fn output_of(loaded: &Loaded) -> Arc<str> {
    let first = loaded.connectors.first();
    first.map_or_else(
        || "raw-input-signals".into(),
        |config| config.output_stream.clone(),
    )
}

/// Opens the status page and serves it until `stop`; answers its address.
async fn serve(
    options: &DemoOptions,
    parts: &Parts,
    registry: &ConnectorRegistry,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Option<String>> {
    let Some(server) = Server::bind(options.http, IfTaken::FreePort).await? else {
        return Ok(None);
    };
    let page = format!("http://{}/", server.address());
    let ops = Ops {
        registry: registry.clone(),
        metrics: parts.metrics.clone(),
    };
    tasks.spawn(server.serve(ops, stop.clone()));
    Ok(Some(page))
}

/// Whether the store has never heard of the demonstration's connectors; only then can every
/// signal be held against what the sandbox served.
async fn is_fresh(store: &dyn Store) -> anyhow::Result<bool> {
    for name in NAMES {
        if store.load_state(name).await?.epoch > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns at `end`, or when it is time to stop.
async fn until(end: Option<Instant>, stop: &CancellationToken) {
    let ended = async {
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = ended => {}
    }
}

/// Waits until each connector has polled once more from start to end, so that all that was served
/// is published; whether all did in time.
async fn settle(registry: &ConnectorRegistry, patience: Duration) -> bool {
    let frozen = Timestamp::now();
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let all = registry.all();
        let settled = all.iter().all(|status| {
            let began = status.last_poll_time.filter(|began| *began > frozen);
            began.is_some_and(|began| status.last_success_time.is_some_and(|end| end >= began))
        });
        if settled && all.len() == NAMES.len() {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Shows and keeps every entry until the stream is read to its end after `drained`. `None` when
/// the reader of standard output went away.
async fn follow(
    store: &dyn Store,
    output: &str,
    start: Option<String>,
    view: &mut View,
    registry: &ConnectorRegistry,
    drained: &CancellationToken,
) -> anyhow::Result<Option<Vec<store::StreamEntry>>> {
    let (mut after, mut seen) = (start, Vec::new());
    loop {
        let last_look = drained.is_cancelled();
        let entries = store
            .read_stream(output, after.as_deref(), 100, LOOK)
            .await?;
        match view.show(&entries) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
            shown => shown.context("cannot write to standard output")?,
        }
        if last_look && entries.is_empty() {
            return Ok(Some(seen));
        }
        after = entries.last().map(|entry| entry.id.clone()).or(after);
        seen.extend(entries);
        view.refresh(registry);
    }
}
