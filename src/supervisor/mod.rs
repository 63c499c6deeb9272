//! Which connectors run in this process: start, reload and shutdown are one path.

pub mod diff;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connector::ConnectorConfig;
use crate::document::Problem;
use crate::poller::{Backoff, PreviousOwner, Shared, UniversalPollingConnector, Wanted};
use crate::registry::{ConnectorStatus, Phase};
use crate::source::Source;
use crate::source::manifest::catalog::Manifest;
use crate::telemetry::metrics::ConnectorMetrics;
use crate::telemetry::panic_text;

/// A connector that shall run, before its source is built.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its configuration.
    pub config: Arc<ConnectorConfig>,
    /// The manifest of its type.
    pub manifest: Arc<Manifest>,
}

/// Turns a wish into a source; opens no connection.
pub type BuildSource = dyn Fn(&Wish) -> Result<Arc<dyn Source>, Vec<Problem>> + Send + Sync;

/// Runs connectors, one task each.
pub struct Supervisor {
    shared: Shared,
    build: Arc<BuildSource>,
    running: BTreeMap<Arc<str>, Running>,
    /// Tasks told to stop, by connector: one of the same name starts only after them.
    stopping: HashMap<Arc<str>, JoinHandle<()>>,
    tasks: TaskTracker,
}

struct Running {
    wish: Wish,
    control: watch::Sender<Wanted>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor that runs nothing yet.
    pub fn new(shared: Shared, build: Arc<BuildSource>) -> Self {
        Self {
            shared,
            build,
            running: BTreeMap::new(),
            stopping: HashMap::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Makes what runs equal to `wanted`: the file, the new file, or nothing.
    ///
    /// Connectors that did not change keep running: lease, sockets and run id stay. Whatever
    /// cannot be built leaves everything as it was. Returns at once: what stops does so at its
    /// next page boundary, all of them together.
    pub fn apply(&mut self, wanted: Vec<Wish>) -> Result<diff::Diff, Vec<Problem>> {
        let wanted: BTreeMap<_, _> = wanted
            .into_iter()
            .map(|wish| (wish.config.name.clone(), wish))
            .collect();
        let running = self
            .running
            .iter()
            .map(|(name, run)| (name.clone(), run.wish.clone()))
            .collect();
        let diff = diff::diff(&running, &wanted);

        let mut sources = HashMap::new();
        let mut problems = Vec::new();
        for name in diff.added.iter().chain(&diff.changed) {
            match (self.build)(&wanted[name]) {
                Ok(source) => drop(sources.insert(name.clone(), source)),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }

        for name in &diff.removed {
            self.stop(name);
        }
        for (name, source) in sources {
            let wish = wanted[&name].clone();
            match self.running.get_mut(&name) {
                Some(run) => run.change(wish, source, &self.shared),
                None => self.start(name, wish, source),
            }
        }
        for name in &diff.retimed {
            if let Some(run) = self.running.get_mut(name) {
                let source = run.control.borrow().source.clone();
                run.wish = wanted[name].clone();
                run.control.send_replace(Wanted {
                    config: run.wish.config.clone(),
                    source,
                });
            }
        }
        Ok(diff)
    }

    /// Stops everything at page boundaries and waits for it until `deadline` has passed; whether
    /// all ended in time.
    pub async fn shutdown(&mut self, deadline: Duration) -> bool {
        let names: Vec<_> = self.running.keys().cloned().collect();
        for name in &names {
            self.stop(name);
        }
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok()
    }

    /// Names of the connectors that run.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.running.keys().cloned().collect()
    }

    fn start(&mut self, name: Arc<str>, wish: Wish, source: Arc<dyn Source>) {
        let mut status = ConnectorStatus::new(&name, &wish.config.kind);
        let wanted = Wanted {
            config: wish.config.clone(),
            source,
        };
        status.poll_interval_ms = u64::try_from(wanted.interval().as_millis()).unwrap_or(u64::MAX);
        let (control, receiver) = watch::channel(wanted);
        let stop = CancellationToken::new();
        let before = self.stopping.remove(&name);
        let loops = run_until_stopped(self.shared.clone(), receiver, stop.clone());
        let registry = self.shared.registry.clone();
        if before.is_none() {
            registry.insert(status.clone());
        }
        let task = self.tasks.spawn(async move {
            if let Some(before) = before {
                // Its panic was told where it happened. The board is its own until it ends.
                let _ = before.await;
                registry.insert(status);
            }
            loops.await;
        });
        self.running.insert(
            name,
            Running {
                wish,
                control,
                stop,
                task,
            },
        );
    }

    fn stop(&mut self, name: &Arc<str>) {
        if let Some(run) = self.running.remove(name) {
            run.stop.cancel();
            self.stopping.retain(|_, task| !task.is_finished());
            let registry = self.shared.registry.clone();
            let (name, task) = (name.clone(), run.task);
            let key = name.clone();
            let gone = self.tasks.spawn(async move {
                let _ = task.await;
                // A successor comes onto the board only after this.
                registry.remove(&name);
            });
            self.stopping.insert(key, gone);
        }
    }
}

impl Running {
    fn change(&mut self, wish: Wish, source: Arc<dyn Source>, shared: &Shared) {
        let wanted = Wanted {
            config: wish.config.clone(),
            source,
        };
        let run_id = ConnectorStatus::new(&wish.config.name, &wish.config.kind).run_id;
        shared.registry.update(&wish.config.name, |status| {
            status.kind = wish.config.kind.to_string();
            status.run_id = run_id;
        });
        self.wish = wish;
        self.control.send_replace(wanted);
    }
}

/// Runs one poller; one that panics is started again, and its neighbours do not notice.
async fn run_until_stopped(
    shared: Shared,
    wanted: watch::Receiver<Wanted>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
    let previous = PreviousOwner::default();
    while !stop.is_cancelled() {
        let poller = UniversalPollingConnector::new(
            shared.clone(),
            wanted.clone(),
            stop.clone(),
            previous.clone(),
        );
        let Err(panic) = AssertUnwindSafe(poller.run()).catch_unwind().await else {
            return;
        };
        let (name, provider) = {
            let wanted = wanted.borrow();
            (
                wanted.config.name.clone(),
                wanted.source.provider().to_owned(),
            )
        };
        let reason = panic_text(&*panic).to_owned();
        let pause = backoff.next_delay();
        ConnectorMetrics::new(&name, &provider).restarted();
        tracing::error!(
            connector.id = &*name,
            error = reason,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "connector {name} panicked; it starts again"
        );
        shared.registry.update(&name, |status| {
            status.phase = Phase::Starting;
            status.consecutive_failures += 1;
            status.last_error = Some(format!("panicked: {reason}"));
            status.deadline = None;
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
