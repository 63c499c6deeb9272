//! `demo`: the whole worker against a sandbox, offline, with nothing to set up.
//!
//! It goes the way a user goes: a `connectors.json` with two connectors, loaded and validated as
//! any other, the embedded store in a temporary directory, the operations listener. Only the
//! provider is a [`sandbox`], and what it served proves in the end what was published.

mod home;
pub mod sandbox;
mod summary;
mod view;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::{Configuration, Context};
use super::exit::Problems;
use crate::cli::DemoArgs;
use crate::config;
use crate::os_signal::OsSignals;
use crate::registry::ConnectorRegistry;
use crate::server::{IfTaken, Ops, Server};
use crate::store::{Store, StoreAddress, StreamEntry};
use crate::supervisor::Supervisor;
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

/// Grace for connectors at the end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the demonstration until its time is over or a signal stops it, the second one at once.
///
/// An error when it could not run, and when the output stream is not what it should be.
pub(super) async fn demo(context: &Context, args: &DemoArgs, mut signals: OsSignals) -> Result<()> {
    let stop = CancellationToken::new();
    let mut shown = pin!(show(context, args, &stop));
    tokio::select! {
        outcome = &mut shown => return outcome,
        () = signals.shutdown() => stop.cancel(),
    }
    tokio::select! {
        outcome = shown => outcome,
        () = signals.shutdown() => bail!("stopped at once; nothing is proven"),
    }
}

async fn show(context: &Context, args: &DemoArgs, stop: &CancellationToken) -> Result<()> {
    let sandbox = Sandbox::start(SandboxOptions {
        seed: args.seed,
        ..SandboxOptions::default()
    })
    .await
    .context("cannot start the sandbox")?;
    let home = Home::create().context("cannot create a directory for the demonstration")?;
    let file = home.write_configuration(&sandbox.url());
    let file = file.context("cannot write the demonstration's configuration")?;
    let embedded = || StoreAddress::Sqlite(home.path("store.db"));
    let address = context.global.store.clone().unwrap_or_else(embedded);
    let context = context.elsewhere(file, address.clone());

    let configuration = load(&context)?;
    let store = context.open_store().await?;
    let fresh = is_fresh(&*store).await?;
    let shared = context.shared(store.clone());
    let registry = shared.registry.clone();
    let tasks = TaskTracker::new();
    let page = serve(args, &registry, &tasks, stop).await?;
    let builder = context.clone();
    let mut supervisor = Supervisor::new(shared, Arc::new(move |wish| builder.build(wish)));

    let color = io::stdout().is_terminal() && !is_set(&context, "NO_COLOR");
    let mut view = View::new(color, page);
    view.introduce(&sandbox.url(), &address, args.for_);
    let output = output_of(&configuration);
    let start = store.last_entry(&output).await?;
    let wishes = configuration.wishes().map_err(Problems)?;
    supervisor.apply(wishes).map_err(Problems)?;
    registry.set_configured();

    let drained = CancellationToken::new();
    let (followed, (settled, connectors)) = tokio::join!(
        async {
            let outcome = follow(&*store, &output, start, &mut view, &registry, &drained).await;
            // Nobody reads any more, or the store is gone: nothing is left to show.
            stop.cancel();
            outcome
        },
        async {
            let end = args.for_.map(|time| Instant::now() + time);
            let quiet = args.for_.map(|time| LAST_CALL.min(time / 4));
            until(end.zip(quiet).map(|(end, quiet)| end - quiet), stop).await;
            sandbox.freeze();
            let patience = if stop.is_cancelled() {
                SETTLE_QUICKLY
            } else {
                SETTLE
            };
            let settled = settle(&registry, patience).await;
            until(end.or(Some(Instant::now())), stop).await;
            // A connector that has stopped is on the board no more.
            let connectors = registry.all();
            let in_time = supervisor.shutdown(GRACE).await;
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

/// The configuration that was just written. What it warns of (a provider asked more often than
/// its manifest advises) is meant.
fn load(context: &Context) -> Result<Configuration> {
    let catalog = context.catalog().map_err(Problems)?;
    let loaded = config::load(&context.load_options(&[], &catalog)).map_err(Problems)?;
    Ok(Configuration { loaded, catalog })
}

fn is_set(context: &Context, variable: &str) -> bool {
    let value = context.environment.get(variable);
    value.is_some_and(|value| !value.is_empty())
}

fn output_of(configuration: &Configuration) -> Arc<str> {
    let first = configuration.loaded.connectors.first();
    first.map_or_else(
        || "raw-input-signals".into(),
        |config| config.output_stream.clone(),
    )
}

/// Opens the status page and serves it until `stop`; answers its address.
async fn serve(
    args: &DemoArgs,
    registry: &ConnectorRegistry,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Option<String>> {
    let address = args.http_addr.unwrap_or_default();
    let Some(server) = Server::bind(address, IfTaken::FreePort).await? else {
        return Ok(None);
    };
    let page = format!("http://{}/", server.address());
    let ops = Ops {
        registry: registry.clone(),
        metrics: Metrics::install()?,
    };
    tasks.spawn(server.serve(ops, stop.clone()));
    Ok(Some(page))
}

/// Whether the store has never heard of the demonstration's connectors; only then can every
/// signal be held against what the sandbox served.
async fn is_fresh(store: &dyn Store) -> Result<bool> {
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
) -> Result<Option<Vec<StreamEntry>>> {
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
