//! `preview`: read now, print the signals, write nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::exit::Usage;
use super::output;
use super::progress::Progress;
use super::render::cloud_event;
use crate::cli::PreviewArgs;
use crate::connector::ConnectorConfig;
use crate::os_signal::OsSignals;
use crate::pipeline::{Pipeline, Session};
use crate::registry::ConnectorStatus;
use crate::source::Source;
use crate::store::{
    Acquired, Commit, Committed, CycleStore, KnownVersion, Lease, MemoryStore, Owner, Store,
    StoreError, StreamLevel,
};
use crate::telemetry::metrics::ConnectorMetrics;

/// Signals printed at a time.
const AT_ONCE: usize = 100;

/// Runs one real cycle whose commits go to memory, and prints what they hold.
pub(super) async fn preview(
    context: &Context,
    args: &PreviewArgs,
    mut signals: OsSignals,
) -> Result<()> {
    let wanted = context.connector(&args.name)?;
    let config = ConnectorConfig {
        streams: streams(&*wanted.source, &args.stream)?
            .unwrap_or_else(|| wanted.config.streams.clone()),
        output_max_len: 0,
        ..(*wanted.config).clone()
    };
    let kept = context.open_store().await?;
    let store = Arc::new(PreviewStore {
        kept,
        commits: MemoryStore::new(),
    });
    let registry = context.registry.clone();
    registry.insert(ConnectorStatus::new(&args.name, &config.kind));

    let owner = Owner::new("preview");
    let ttl = Duration::from_hours(24);
    let Acquired::Held(lease, mut state) =
        store.commits.acquire(&args.name, &owner, None, ttl).await?
    else {
        bail!("the preview's own memory is held by somebody else");
    };
    state.fields = store.kept.load_state(&args.name).await?.fields;
    let names = wanted
        .source
        .streams()
        .iter()
        .map(|stream| stream.name.clone());
    let mut session = Session::load(&*store, lease, state, names).await?;
    let output_stream = config.output_stream.clone();
    let pipeline = Pipeline {
        metrics: ConnectorMetrics::new(&args.name, wanted.source.provider()),
        config: Arc::new(config),
        source: wanted.source,
        store: store.clone(),
        clock: context.clock,
        registry: registry.clone(),
        limit: args.limit,
    };

    let progress = Progress::start(registry, &args.name);
    let stop = CancellationToken::new();
    let printing = print(&store.commits, &output_stream, &stop);
    let reading = async {
        let report = pipeline.run_cycle(&mut session, &stop).await;
        stop.cancel();
        report
    };
    let both = async { tokio::join!(reading, printing) };
    tokio::pin!(both);
    let (report, printed) = tokio::select! {
        done = &mut both => done,
        () = signals.shutdown() => {
            stop.cancel();
            both.await
        }
    };
    drop(progress);
    printed?;
    let report = report?;
    tracing::info!(
        connector.id = args.name,
        summary = serde_json::to_string(&report.summary)?,
        "previewed; nothing was written"
    );
    match report.failures.into_iter().next() {
        Some((stream, error)) => {
            Err(anyhow::Error::new(error).context(format!("cannot read stream {stream}")))
        }
        None => Ok(()),
    }
}

/// The streams asked for by name.
fn streams(source: &dyn Source, names: &[String]) -> Result<Option<Vec<Arc<str>>>> {
    let known: Vec<_> = source
        .streams()
        .iter()
        .map(|stream| stream.name.clone())
        .collect();
    let unknown = names
        .iter()
        .find(|name| !known.iter().any(|known| **known == ***name));
    if let Some(name) = unknown {
        let known: Vec<_> = known.iter().map(|known| &**known).collect();
        return Err(Usage::unknown("no stream", name, &known).into());
    }
    Ok((!names.is_empty()).then(|| names.iter().map(|name| name.as_str().into()).collect()))
}

/// Prints signals as they are committed, until the cycle is over and all are printed.
async fn print(store: &MemoryStore, stream: &str, over: &CancellationToken) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let was_over = over.is_cancelled();
        let wait = Duration::from_millis(50);
        let entries = store
            .read_stream(stream, after.as_deref(), AT_ONCE, wait)
            .await?;
        if entries.is_empty() && was_over {
            return Ok(());
        }
        for entry in entries {
            if !output::line(&cloud_event(&entry))? {
                over.cancel();
                return Ok(());
            }
            after = Some(entry.id);
        }
    }
}

/// Reads what the real store keeps; writes to memory.
#[derive(Debug)]
struct PreviewStore {
    kept: Arc<dyn Store>,
    commits: MemoryStore,
}

#[async_trait]
impl CycleStore for PreviewStore {
    async fn scan_versions(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError> {
        self.kept.scan_versions(connector, each).await
    }

    async fn get_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError> {
        // What this read has found comes before what is kept.
        let found = self.commits.get_versions(connector, fields).await?;
        let kept = self.kept.get_versions(connector, fields).await?;
        Ok(found
            .into_iter()
            .zip(kept)
            .map(|(found, kept)| found.or(kept))
            .collect())
    }

    async fn commit(&self, lease: &Lease, commit: &Commit) -> Result<Committed, StoreError> {
        self.commits.commit(lease, commit).await
    }

    async fn trim(&self, stream: &str) -> Result<StreamLevel, StoreError> {
        self.commits.trim(stream).await
    }
}
