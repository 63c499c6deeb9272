//! Start, reload, loss of a lease, panics: over memory, with paused time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use connector_worker::client::FetchError;
use connector_worker::clock::Clock;
use connector_worker::connector::ConnectorConfig;
use connector_worker::document::{Kind, Node, Problem};
use connector_worker::poller::Shared;
use connector_worker::registry::{ConnectorRegistry, ConnectorStatus, Health, Phase};
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::source::manifest::metadata::Metadata;
use connector_worker::source::{
    CheckReport, Events, Outcome, ReadState, Source, Stopped, StreamSpec,
};
use connector_worker::store::{MemoryStore, Store};
use connector_worker::supervisor::{Supervisor, Wish};

use crate::support::scripted::{by_id, config, end, page};

/// What the source of one connector does at each read.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    Works,
    Refused,
    Panics,
    NeverEnds,
}

struct Provider {
    streams: Vec<StreamSpec>,
    course: Course,
    reads: Arc<AtomicU32>,
}

#[async_trait]
impl Source for Provider {
    fn streams(&self) -> &[StreamSpec] {
        &self.streams
    }

    fn provider(&self) -> &'static str {
        "scripted"
    }

    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    async fn read(&self, _: &ReadState, events: &Events) -> Result<(), Stopped> {
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        match self.course {
            Course::Works => {
                events
                    .send(page(&[&format!("{{\"id\":1,\"v\":{read}}}")]))
                    .await?;
                events.send(end(Outcome::Complete)).await
            }
            Course::Refused => {
                let error = FetchError::Unauthorized("401".to_owned());
                events.send(end(Outcome::Incomplete(error))).await
            }
            Course::Panics => panic!("a bug in the source"),
            Course::NeverEnds => loop {
                events.send(page(&[])).await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            },
        }
    }

    async fn check(&self) -> Result<CheckReport, FetchError> {
        Ok(CheckReport::default())
    }
}

/// A process: one supervisor over a store.
struct Process {
    supervisor: Supervisor,
    registry: ConnectorRegistry,
    reads: Arc<Mutex<HashMap<Arc<str>, Arc<AtomicU32>>>>,
}

impl Process {
    fn new(store: &MemoryStore, courses: &[(&str, Course)]) -> Self {
        let registry = ConnectorRegistry::default();
        let shared = Shared {
            store: Arc::new(store.clone()),
            registry: registry.clone(),
            clock: Clock::System,
            max_backoff: None,
            host: "test".into(),
        };
        let reads: Arc<Mutex<HashMap<Arc<str>, Arc<AtomicU32>>>> = Arc::default();
        let counters = reads.clone();
        let courses: HashMap<String, Course> = courses
            .iter()
            .map(|(name, course)| ((*name).to_owned(), *course))
            .collect();
        let build = move |wish: &Wish| {
            if wish.config.kind.as_ref() == "BROKEN" {
                let message = "cannot be built".to_owned();
                return Err(vec![Problem {
                    file: "f".into(),
                    at: None,
                    message,
                    fix: None,
                }]);
            }
            let spec = StreamSpec {
                name: "s".into(),
                signal: by_id(),
                lists_everything: true,
                later_counts: false,
                asks_for_missing: false,
                unavailable: None,
            };
            let name = wish.config.name.clone();
            let source: Arc<dyn Source> = Arc::new(Provider {
                streams: vec![spec],
                course: courses.get(&*name).copied().unwrap_or(Course::Works),
                reads: counters.lock().unwrap().entry(name).or_default().clone(),
            });
            Ok(source)
        };
        Self {
            supervisor: Supervisor::new(shared, Arc::new(build)),
            registry,
            reads,
        }
    }

    fn reads(&self, name: &str) -> u32 {
        self.reads
            .lock()
            .unwrap()
            .get(name)
            .map_or(0, |reads| reads.load(Ordering::SeqCst))
    }

    fn status(&self, name: &str) -> ConnectorStatus {
        self.registry
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not on the board"))
    }
}

fn wish(name: &str, change: impl FnOnce(&mut ConnectorConfig)) -> Wish {
    let mut config = ConnectorConfig {
        name: name.into(),
        ..config()
    };
    config.poll_interval = Some(Duration::from_secs(1));
    change(&mut config);
    let manifest = Manifest {
        kind: "SCRIPTED".into(),
        id: "scripted".into(),
        version: None,
        display_name: "Scripted".to_owned(),
        spec: serde_json::Value::Null,
        streams: Vec::new(),
        makes_streams: false,
        poll_interval: None,
        document: Node::synthetic(Kind::Null),
        file: "scripted.yaml".into(),
        metadata: Metadata::default(),
    };
    Wish {
        config: Arc::new(config),
        manifest: Arc::new(manifest),
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn unchanged_connectors_survive_a_reload() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[]);
    process
        .supervisor
        .apply(vec![
            wish("a", |_| ()),
            wish("b", |_| ()),
            wish("c", |_| ()),
        ])
        .unwrap();
    seconds(3).await;
    let before: Vec<_> = ["a", "b"].map(|name| process.status(name)).into();
    assert_eq!(before[0].epoch, Some(1));

    let diff = process
        .supervisor
        .apply(vec![
            wish("a", |_| ()),
            wish("b", |config| config.output_stream = "other".into()),
            wish("d", |_| ()),
        ])
        .unwrap();
    assert_eq!(
        (diff.added, diff.changed),
        (vec![Arc::from("d")], vec![Arc::from("b")])
    );
    seconds(3).await;
    assert_eq!(process.status("a").run_id, before[0].run_id);
    assert_eq!(process.status("a").epoch, Some(1));
    assert_ne!(process.status("b").run_id, before[1].run_id);
    assert_eq!(
        process.status("b").epoch,
        Some(1),
        "a changed connector keeps its lease"
    );
    assert!(store.last_entry("other").await.unwrap().is_some());
    assert!(process.registry.get("c").is_none());
    let held: Vec<_> = store
        .leases()
        .await
        .unwrap()
        .into_iter()
        .map(|lease| lease.connector)
        .collect();
    assert_eq!(
        held,
        ["a", "b", "d"],
        "a removed connector's lease is released"
    );
    assert!(process.supervisor.shutdown(Duration::from_secs(5)).await);
    assert!(store.leases().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_needs_no_restart() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[]);
    let every = |wait: u64| {
        wish("a", move |config| {
            config.poll_interval = Some(Duration::from_secs(wait));
        })
    };
    process.supervisor.apply(vec![every(3600)]).unwrap();
    seconds(10).await;
    assert_eq!(process.reads("a"), 1);
    let run_id = process.status("a").run_id;
    let diff = process.supervisor.apply(vec![every(2)]).unwrap();
    assert_eq!(diff.retimed, [Arc::from("a")]);
    seconds(10).await;
    assert!(
        (5..=7).contains(&process.reads("a")),
        "{}",
        process.reads("a")
    );
    assert_eq!(process.status("a").run_id, run_id);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_cannot_be_built_changes_nothing() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[]);
    process.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(1).await;
    let run_id = process.status("a").run_id;
    let wanted = vec![
        wish("a", |config| config.kind = "BROKEN".into()),
        wish("b", |_| ()),
    ];
    assert!(process.supervisor.apply(wanted).is_err());
    seconds(3).await;
    assert_eq!(process.status("a").run_id, run_id);
    assert!(process.registry.get("b").is_none());
    assert!(process.reads("a") >= 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_many_reloads_wins() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[("busy", Course::NeverEnds)]);
    let mut random = 7_u64;
    for round in 0..200 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = random >> 33;
        let mut wanted = vec![wish("steady", |_| ())];
        for (bit, name) in ["a", "b", "busy", "c"].into_iter().enumerate() {
            if bits >> bit & 1 == 1 {
                wanted.push(wish(name, |config| {
                    config.max_retries = u32::try_from(bits >> 8 & 3).unwrap();
                }));
            }
        }
        process.supervisor.apply(wanted).unwrap();
        if round % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(bits % 50)).await;
        }
    }
    process
        .supervisor
        .apply(vec![wish("steady", |_| ()), wish("b", |_| ())])
        .unwrap();
    seconds(5).await;
    let shown: Vec<_> = process
        .registry
        .all()
        .into_iter()
        .map(|status| status.name)
        .collect();
    assert_eq!(shown, ["b", "steady"]);
    assert_eq!(process.status("steady").epoch, Some(1));
    assert_eq!(process.status("b").phase, Phase::Waiting);
    assert!(process.supervisor.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_standby_takes_over_within_a_second_of_a_clean_stop() {
    let store = MemoryStore::new();
    let (mut first, mut second) = (Process::new(&store, &[]), Process::new(&store, &[]));
    first.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(1).await;
    second.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(5).await;
    assert_eq!(second.status("a").phase, Phase::Standby);
    assert_eq!(second.status("a").health, Health::Healthy);
    assert_eq!(second.reads("a"), 0);
    assert!(first.supervisor.shutdown(Duration::from_secs(5)).await);
    seconds(1).await;
    assert_eq!(second.status("a").epoch, Some(2));
    assert!(second.reads("a") > 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_goes_to_the_standby() {
    let store = MemoryStore::new();
    let (mut first, mut second) = (Process::new(&store, &[]), Process::new(&store, &[]));
    first.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(1).await;
    second.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(1).await;
    assert!(store.break_lease("a").await.unwrap());
    seconds(15).await;
    assert_eq!(second.status("a").epoch, Some(2));
    assert_eq!(first.status("a").phase, Phase::Standby);
}

#[tokio::test(start_paused = true)]
async fn a_panic_restarts_its_connector_and_no_other() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[("mad", Course::Panics)]);
    process
        .supervisor
        .apply(vec![wish("mad", |_| ()), wish("sane", |_| ())])
        .unwrap();
    seconds(20).await;
    let mad = process.reads("mad");
    assert!((3..=10).contains(&mad), "backs off: {mad}");
    assert!(
        process
            .status("mad")
            .last_error
            .unwrap()
            .contains("a bug in the source")
    );
    assert!(process.reads("sane") >= 19);
    assert_eq!(process.status("sane").epoch, Some(1));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_hammered() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[("a", Course::Refused)]);
    process.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(3600).await;
    let reads = process.reads("a");
    assert!((4..=9).contains(&reads), "{reads}");
    assert_eq!(process.status("a").phase, Phase::Parked);
    assert_eq!(process.status("a").health, Health::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_endless_read_at_a_page() {
    let store = MemoryStore::new();
    let mut process = Process::new(&store, &[("a", Course::NeverEnds)]);
    process.supervisor.apply(vec![wish("a", |_| ())]).unwrap();
    seconds(2).await;
    let started = tokio::time::Instant::now();
    assert!(process.supervisor.shutdown(Duration::from_secs(5)).await);
    assert!(started.elapsed() < Duration::from_secs(1));
}
