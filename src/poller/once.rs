//! Exactly one poll cycle, for the `poll` command.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::report::Reporter;
use super::{Shared, Wanted};
use crate::pipeline::{CycleError, CycleReport, Pipeline, Session};
use crate::registry::Phase;
use crate::store::{Acquired, Owner, StoreError};
use crate::telemetry::metrics::ConnectorMetrics;

/// Why one poll could not be done.
#[derive(Debug, Error)]
pub enum PollOnceError {
    /// Another worker holds the lease.
    #[error("the lease of {connector} is held by {holder} for another {} ms", .remaining.as_millis())]
    Busy {
        /// Connector name.
        connector: Arc<str>,
        /// Who holds it.
        holder: String,
        /// Time left unless it is renewed.
        remaining: Duration,
    },
    /// The store cannot be used.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    /// The cycle could not run to its end.
    #[error("the poll broke off")]
    Cycle(#[from] CycleError),
}

/// Takes the lease, polls once, commits, and gives the lease back. Stops at a page boundary when
/// `stop` is cancelled.
pub async fn poll_once(
    shared: &Shared,
    wanted: &Wanted,
    stop: &CancellationToken,
) -> Result<CycleReport, PollOnceError> {
    let config = &wanted.config;
    let owner = Owner::new(&shared.host);
    let acquired = shared
        .store
        .acquire(&config.name, &owner, None, config.lease_ttl)
        .await?;
    let (lease, state) = match acquired {
        Acquired::Held(lease, state) => (lease, state),
        Acquired::Busy { holder, remaining } => {
            return Err(PollOnceError::Busy {
                connector: config.name.clone(),
                holder,
                remaining,
            });
        }
    };
    let result = cycle(shared, wanted, lease.clone(), state, stop).await;
    // Given back whatever happened; a failure only means that it ends by itself.
    if let Err(error) = shared.store.release(&lease).await {
        tracing::warn!(error = %crate::telemetry::chain(&error), "cannot release the lease: it ends by itself");
    }
    result
}

async fn cycle(
    shared: &Shared,
    wanted: &Wanted,
    lease: crate::store::Lease,
    state: crate::store::State,
    stop: &CancellationToken,
) -> Result<CycleReport, PollOnceError> {
    let streams = wanted
        .source
        .streams()
        .iter()
        .map(|stream| stream.name.clone());
    let mut session = Session::load(&*shared.store, lease, state, streams).await?;
    let mut keeper = Keeper::start(
        shared.store.clone(),
        session.lease.clone(),
        session.applied.clone(),
    );
    let pipeline = Pipeline {
        config: wanted.config.clone(),
        source: wanted.source.clone(),
        store: shared.store.clone(),
        clock: shared.clock,
        registry: shared.registry.clone(),
        metrics: ConnectorMetrics::new(&wanted.config.name, wanted.source.provider()),
        limit: None,
    };
    let mut reporter = Reporter::new(shared, wanted.config.name.clone()).await;
    reporter.begin(wanted);
    let stop = stop.child_token();
    let report = {
        let cycle = pipeline.run_cycle(&mut session, &stop);
        tokio::pin!(cycle);
        tokio::select! {
            report = &mut cycle => report?,
            _ = keeper.over() => {
                stop.cancel();
                cycle.await?
            }
        }
    };
    let failures = u32::from(super::decide::is_failure(&report));
    reporter
        .end(wanted, &report, failures, Phase::Waiting)
        .await;
    Ok(report)
}
