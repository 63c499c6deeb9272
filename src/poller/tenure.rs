//! One tenure: take the lease, poll while it is held, give it back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, with_jitter};
use super::decide::{self, Next};
use super::keeper::{Hold, Keeper};
use super::report::Reporter;
use super::{UniversalPollingConnector, Wanted};
use crate::pipeline::{Attempt, CycleError, CycleReport, Inbox, Session, deadline_in};
use crate::registry::Phase;
use crate::store::{Acquired, Lease, Owner, State, StoreError};
use crate::telemetry::chain;

/// Added to a lease's remaining time before a standby tries, so that standbys do not race.
const STANDBY_JITTER: Duration = Duration::from_millis(500);

/// Shortest time between two polls that deliveries ask for.
const WAKE_FLOOR: Duration = Duration::from_secs(1);

/// Why a tenure is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Not wanted any more; the lease is released.
    Stopped,
    /// The lease is somebody else's or nobody's.
    Lost,
    /// Memory and store disagree: load afresh under a new epoch.
    Reload,
    /// The store cannot be used.
    StoreFailed,
}

/// Why the loop goes on before its time, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Stop,
    Changed,
    Hold(Hold),
    /// Deliveries could not be committed.
    Failed(Next),
}

impl UniversalPollingConnector {
    /// One tenure, from waiting for the lease to its end.
    pub(super) async fn tenure(&mut self) -> Ended {
        let Some((lease, state)) = self.acquire().await else {
            return Ended::Stopped;
        };
        tracing::info!(
            connector.id = &*self.name,
            epoch = lease.epoch,
            "lease acquired for connector {}",
            self.name
        );
        self.shared.registry.update(&self.name, |status| {
            status.epoch = Some(lease.epoch);
            status.lease_holder = Some(lease.owner.as_str().to_owned());
            status.deadline = deadline_in(Duration::from_mins(5));
        });
        let streams = stream_names(&self.wanted.borrow());
        let loading = Session::load(
            &*self.shared.store,
            lease.clone(),
            state,
            streams.into_iter(),
        );
        let ended = match loading.await {
            Ok(mut session) => {
                let wanted = self.wanted.borrow().clone();
                self.open_inbox(&mut session, &wanted);
                self.poll_until_over(session).await
            }
            Err(error) => {
                self.store_failed("cannot load the state", &error);
                Ended::StoreFailed
            }
        };
        self.shared
            .registry
            .update(&self.name, |status| status.epoch = None);
        if ended == Ended::Lost {
            crate::telemetry::metrics::ConnectorMetrics::new(&self.name, "").lease_lost();
            tracing::warn!(
                connector.id = &*self.name,
                epoch = lease.epoch,
                "lease lost for connector {}",
                self.name
            );
        }
        if matches!(ended, Ended::Stopped | Ended::Lost) {
            // Of a lost lease this only wakes standbys: the store refuses what is not ours.
            match tokio::time::timeout(lease.ttl, self.shared.store.release(&lease)).await {
                Ok(Ok(())) if ended == Ended::Stopped => {
                    self.set_previous(None);
                    tracing::info!(
                        connector.id = &*self.name,
                        "lease released for connector {}",
                        self.name
                    );
                }
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.store_failed("cannot release the lease: it ends by itself", &error);
                }
                Err(_) => tracing::warn!(
                    connector.id = &*self.name,
                    "releasing the lease timed out: it ends by itself"
                ),
            }
        }
        ended
    }

    /// Waits for the lease; `None` when stopped first.
    async fn acquire(&mut self) -> Option<(Lease, State)> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let owner = Owner::new(&self.shared.host);
        while !self.stop.is_cancelled() {
            let ttl = self.wanted.borrow().config.lease_ttl;
            let store = self.shared.store.clone();
            match store
                .acquire(&self.name, &owner, self.previous().as_ref(), ttl)
                .await
            {
                Ok(Acquired::Held(lease, state)) => {
                    self.set_previous(Some(owner));
                    return Some((lease, state));
                }
                Ok(Acquired::Busy { holder, remaining }) => {
                    tracing::debug!(
                        connector.id = &*self.name,
                        holder,
                        "standby: another worker holds the lease"
                    );
                    let wait = remaining + STANDBY_JITTER.mul_f64(rand::random());
                    self.set_waiting(Phase::Standby, wait);
                    self.shared
                        .registry
                        .update(&self.name, |status| status.lease_holder = Some(holder));
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                        Ok(()) = store.released(&self.name) => {
                            tokio::time::sleep(STANDBY_JITTER.mul_f64(rand::random())).await;
                        }
                    }
                }
                Err(error) => {
                    self.store_failed("cannot ask for the lease", &error);
                    let pause = backoff.next_delay();
                    self.set_waiting(Phase::Starting, pause);
                    self.sleep(pause).await;
                }
            }
        }
        None
    }

    async fn poll_until_over(&mut self, mut session: Session) -> Ended {
        let start_keeper = |session: &Session, store| {
            Keeper::start(store, session.lease.clone(), session.applied.clone())
        };
        let mut keeper = start_keeper(&session, self.shared.store.clone());
        let mut reporter = Reporter::new(&self.shared, self.name.clone()).await;
        let mut failures = 0;
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if session.lease.ttl != wanted.config.lease_ttl {
                session.lease.ttl = wanted.config.lease_ttl;
                keeper = start_keeper(&session, self.shared.store.clone());
            }
            self.open_inbox(&mut session, &wanted);
            if let Err(error) = self.match_streams(&mut session, &wanted).await {
                self.store_failed("cannot load the versions", &error);
                return Ended::StoreFailed;
            }
            let started = Instant::now();
            reporter.begin(&wanted);
            let (result, interruption) = self.cycle(&wanted, &mut session, &mut keeper).await;
            let next = match &result {
                Ok(report) => {
                    failures = if decide::is_failure(report) {
                        failures + 1
                    } else {
                        0
                    };
                    let next = decide::after_cycle(report, wanted.active_streams(), failures);
                    reporter.end(&wanted, report, failures, next.phase()).await;
                    next
                }
                Err(error) => {
                    reporter.broke_off(error);
                    decide::after_error(error)
                }
            };
            match interruption {
                Some(Interruption::Stop) => return Ended::Stopped,
                Some(Interruption::Hold(hold)) => return ended_by(hold),
                Some(Interruption::Changed) if result.is_ok() => continue,
                Some(Interruption::Failed(next)) => return ended_after(next),
                Some(Interruption::Changed) | None => {}
            }
            let due = started + wanted.interval();
            let due = if std::mem::take(&mut session.wake) {
                due.min(started + WAKE_FLOOR.max(started.elapsed()))
            } else {
                due
            };
            let until = match next {
                Next::PollOnSchedule => due,
                Next::PollAfter(wait) | Next::Throttled(wait) | Next::Park(wait) => {
                    due.max(self.after(wait))
                }
                Next::Reacquire => return Ended::Reload,
                Next::Lost => return Ended::Lost,
                Next::StoreFailed => return Ended::StoreFailed,
            };
            match self
                .wait(
                    &wanted,
                    started,
                    next.phase(),
                    until,
                    &mut session,
                    &mut keeper,
                )
                .await
            {
                None | Some(Interruption::Changed) => {}
                Some(Interruption::Stop) => return Ended::Stopped,
                Some(Interruption::Hold(hold)) => return ended_by(hold),
                Some(Interruption::Failed(next)) => return ended_after(next),
            }
        }
    }

    /// One cycle.
    async fn cycle(
        &mut self,
        wanted: &Wanted,
        session: &mut Session,
        keeper: &mut Keeper,
    ) -> (Result<CycleReport, CycleError>, Option<Interruption>) {
        let pipeline = self.pipeline(wanted);
        let stop = CancellationToken::new();
        let cycle = pipeline.run_cycle(session, &stop);
        self.until_done(cycle, &stop, wanted, keeper).await
    }

    /// Processes deliveries, unless something else comes first.
    async fn deliver(
        &mut self,
        wanted: &Wanted,
        session: &mut Session,
        attempts: Vec<Attempt>,
        keeper: &mut Keeper,
    ) -> (Result<(), CycleError>, Option<Interruption>) {
        let pipeline = self.pipeline(wanted);
        let stop = CancellationToken::new();
        let delivering = pipeline.deliver(session, attempts, &stop);
        self.until_done(delivering, &stop, wanted, keeper).await
    }

    /// Work that is told to `stop` at its next page boundary by the first thing that ends or
    /// changes the loop.
    async fn until_done<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: &CancellationToken,
        wanted: &Wanted,
        keeper: &mut Keeper,
    ) -> (T, Option<Interruption>) {
        let mut interruption = None;
        let watching = Reporter::watch(self.shared.clone(), self.name.clone());
        tokio::pin!(work, watching);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return (result, interruption),
                never = &mut watching => match never {},
                () = self.stop.cancelled(), if interruption.is_none() => {
                    interruption = Some(Interruption::Stop);
                }
                hold = keeper.over(), if interruption.is_none() => {
                    interruption = Some(Interruption::Hold(hold));
                }
                () = changed(&mut self.wanted, wanted), if interruption.is_none() => {
                    interruption = Some(Interruption::Changed);
                }
            }
            stop.cancel();
        }
    }

    /// Reads the connector's queue while it takes deliveries.
    fn open_inbox(&self, session: &mut Session, wanted: &Wanted) {
        let settings = &wanted.config.webhook;
        let trusts_any = !settings.secrets.is_empty() || settings.identity.is_some();
        let is_wanted = wanted.source.webhooks().is_some() && trusts_any;
        if is_wanted == session.inbox.is_some() {
            return;
        }
        session.inbox = is_wanted.then(|| {
            Inbox::open(
                self.shared.store.clone(),
                &self.name,
                self.shared.registry.clone(),
            )
        });
    }

    /// Waits until the next poll is due; processes deliveries meanwhile.
    async fn wait(
        &mut self,
        wanted: &Wanted,
        started: Instant,
        phase: Phase,
        mut until: Instant,
        session: &mut Session,
        keeper: &mut Keeper,
    ) -> Option<Interruption> {
        let mut interval = wanted.interval();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.set_waiting(phase, left);
            let throttled_until = (phase == Phase::Throttled)
                .then(|| deadline_in(left))
                .flatten();
            self.shared.registry.update(&self.name, |status| {
                status.throttled_until = throttled_until;
            });
            let arrived = async {
                match &mut session.inbox {
                    Some(inbox) => inbox.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Some(Interruption::Stop),
                hold = keeper.over() => return Some(Interruption::Hold(hold)),
                attempts = arrived => {
                    let (result, interruption) = self.deliver(wanted, session, attempts, keeper).await;
                    if let Err(error) = &result {
                        tracing::warn!(
                            connector.id = &*self.name,
                            error = %chain(error),
                            "cannot commit deliveries: they stay in the queue"
                        );
                        return Some(Interruption::Failed(decide::after_error(error)));
                    }
                    if interruption.is_some() {
                        return interruption;
                    }
                    // A provider that asked for patience, or refused us, is not asked earlier.
                    if std::mem::take(&mut session.wake) && phase == Phase::Waiting {
                        until = until.min(Instant::now().max(started + WAKE_FLOOR));
                    }
                }
                changed = self.wanted.changed() => {
                    let now_wanted = self.wanted.borrow_and_update().clone();
                    if changed.is_err() || !Arc::ptr_eq(&now_wanted.source, &wanted.source) {
                        return Some(if changed.is_err() { Interruption::Stop } else { Interruption::Changed });
                    }
                    // Only the interval is another: the wait gets longer or shorter.
                    let new = now_wanted.interval();
                    if phase == Phase::Waiting && new != interval {
                        until = if until == started + interval { started + new } else { until.max(started + new) };
                        interval = new;
                    }
                }
                () = tokio::time::sleep_until(until) => return None,
            }
        }
    }

    /// Makes the session hold the versions of exactly the streams that are read.
    async fn match_streams(
        &self,
        session: &mut Session,
        wanted: &Wanted,
    ) -> Result<(), StoreError> {
        let names = stream_names(wanted);
        let same = names.len() == session.tables.len()
            && names.iter().all(|name| session.tables.contains_key(name));
        if same && !session.is_ahead {
            return Ok(());
        }
        session
            .reload_versions(&*self.shared.store, names.into_iter())
            .await
    }

    /// The instant after `wait`, with jitter on top, cut for tests.
    fn after(&self, wait: Duration) -> Instant {
        Instant::now() + self.capped(with_jitter(wait))
    }

    fn store_failed(&self, what: &str, error: &StoreError) {
        let reason = chain(error).to_string();
        tracing::warn!(connector.id = &*self.name, error = reason, "{what}");
        self.shared.registry.update(&self.name, |status| {
            status.last_error = Some(format!("{what}: {reason}"));
        });
    }
}

impl Wanted {
    /// Streams that a cycle reads.
    pub(super) fn active_streams(&self) -> usize {
        match self.config.streams.len() {
            0 => self.source.streams().len(),
            some => some,
        }
    }
}

/// Returns when `receiver` holds something that needs another source than `current`.
async fn changed(receiver: &mut tokio::sync::watch::Receiver<Wanted>, current: &Wanted) {
    let differs = |wanted: &Wanted| !Arc::ptr_eq(&wanted.source, &current.source);
    if receiver.wait_for(differs).await.is_err() {
        // The supervisor is gone; its stop token says so as well.
        std::future::pending::<()>().await;
    }
}

fn stream_names(wanted: &Wanted) -> Vec<Arc<str>> {
    wanted
        .source
        .streams()
        .iter()
        .chain(wanted.source.pushed())
        .map(|stream| stream.name.clone())
        .collect()
}

fn ended_after(next: Next) -> Ended {
    match next {
        Next::Reacquire => Ended::Reload,
        Next::Lost => Ended::Lost,
        _ => Ended::StoreFailed,
    }
}

fn ended_by(hold: Hold) -> Ended {
    match hold {
        Hold::Behind => Ended::Reload,
        Hold::Lost | Hold::Held => Ended::Lost,
    }
}
