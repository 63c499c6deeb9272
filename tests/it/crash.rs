//! Two real workers of one connector, hurt at random instants: the output stream ends with the
//! final version of every item, holds no version twice, and never goes backwards.
//!
//! A run prints its seed; `CRASH_SEED=…` repeats its choices, `CRASH_FAULTS=…` does more of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connector_worker::store::{self, Store, StoreOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use crate::support::items::{Items, MANIFEST};
use crate::support::proxy::{Cut, Proxy};
use crate::support::redis::RedisServer;
use crate::support::worker::{Process, Worker};

const OUTPUT: &str = "raw-input-signals";
const ITEMS: usize = 60;
const TTL: Duration = Duration::from_secs(1);

/// One way to hurt the pair.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// `kill -9` a worker and start it again.
    Kill,
    /// Stop a worker for longer than its lease lives.
    Pause,
    /// `kill -9` Redis and start it again.
    KillRedis,
    /// Cut the connection of a worker at its next commit.
    CutCommit(Cut),
}

const WITH_REDIS: [Fault; 8] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Pause,
    Fault::KillRedis,
    Fault::CutCommit(Cut::MidRequest),
    Fault::CutCommit(Cut::BeforeReply),
    Fault::Kill,
];

fn seed() -> u64 {
    std::env::var_os("CRASH_SEED")
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or_else(rand::random)
}

fn faults(default: u32) -> u32 {
    std::env::var_os("CRASH_FAULTS")
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or(default)
}

fn configure(directory: &Path, provider: &str) {
    std::fs::write(directory.join("items.yaml"), MANIFEST).unwrap();
    let config = serde_json::json!({ "connectors": [{
        "name": "crash", "type": "MANIFEST", "manifest": "items.yaml",
        "pollIntervalMs": 100, "leaseTtlSeconds": TTL.as_secs(),
        "providerConfig": { "baseUrl": provider },
    }]});
    std::fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
}

/// Changes items at random while the workers are being hurt.
struct Changes(Arc<AtomicBool>);

impl Changes {
    fn start(items: Arc<Items>, seed: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "ends by its flag, or with the test's runtime"
        )]
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while !stop.load(Ordering::Relaxed) {
                items.bump(random.random_range(0..ITEMS));
                sleep(Duration::from_millis(3)).await;
            }
        });
        Self(over)
    }

    fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every published (item, version, epoch), in the order of the stream.
async fn published(store: &dyn Store) -> Vec<(usize, u64, u64)> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let entries = store
            .read_stream(OUTPUT, after.as_deref(), 1000, Duration::ZERO)
            .await
            .unwrap();
        let Some(last) = entries.last() else {
            return all;
        };
        after = Some(last.id.clone());
        for entry in &entries {
            let field = |wanted: &str| {
                &entry
                    .fields
                    .iter()
                    .find(|(name, _)| name == wanted)
                    .unwrap()
                    .1
            };
            let data: serde_json::Value = serde_json::from_slice(field("data")).unwrap();
            let text = |wanted: &str| std::str::from_utf8(field(wanted)).unwrap().to_owned();
            let item = usize::try_from(data["id"].as_u64().unwrap()).unwrap();
            all.push((
                item,
                data["v"].as_u64().unwrap(),
                text("epoch").parse().unwrap(),
            ));
        }
    }
}

/// Waits until the stream holds the final version of every item, then checks every promise.
async fn prove(store: &dyn Store, items: &Items, workers: &[Process]) {
    let wanted = items.versions();
    let started = Instant::now();
    let all = loop {
        let all = published(store).await;
        let last: HashMap<usize, u64> = all
            .iter()
            .map(|(item, version, _)| (*item, *version))
            .collect();
        if wanted
            .iter()
            .enumerate()
            .all(|(item, version)| last.get(&item) == Some(version))
        {
            break all;
        }
        assert!(
            started.elapsed() < Duration::from_secs(40),
            "the stream does not get to the final versions: {last:?} against {wanted:?}\n{}",
            workers
                .iter()
                .map(|worker| tail(&worker.log()))
                .collect::<String>()
        );
        sleep(Duration::from_millis(200)).await;
    };
    let (mut latest, mut epoch) = (HashMap::new(), 0);
    for (item, version, by) in &all {
        if let Some(before) = latest.insert(*item, *version) {
            assert!(
                before < *version,
                "item {item}: version {version} after {before}"
            );
        }
        assert!(*by >= epoch, "a stale epoch wrote: {by} after {epoch}");
        epoch = *by;
    }
    println!("{} signals, {epoch} epochs", all.len());
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n") + "\n---\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_in_redis() {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut redis = RedisServer::start_durable();
    let directory = tempfile::tempdir().unwrap();
    let items = Arc::new(Items::start(ITEMS).await);
    configure(directory.path(), items.url());
    let proxies = [Proxy::start(redis.address()), Proxy::start(redis.address())];
    let workers = proxies
        .each_ref()
        .map(|proxy| Worker::new(directory.path()).env("REDIS_URL", &proxy.url()));
    let mut running: Vec<_> = workers
        .iter()
        .enumerate()
        .map(|(n, worker)| worker.start(&n.to_string()))
        .collect();
    let changes = Changes::start(items.clone(), seed);
    sleep(Duration::from_secs(1)).await;

    for _ in 0..faults(44) {
        let fault = WITH_REDIS[random.random_range(0..WITH_REDIS.len())];
        let victim = random.random_range(0..running.len());
        match fault {
            Fault::Kill => {
                running[victim].kill();
                sleep(Duration::from_millis(random.random_range(0..200))).await;
                running[victim] = workers[victim].start(&victim.to_string());
            }
            Fault::Pause => {
                running[victim].signal("STOP");
                sleep(TTL + Duration::from_millis(random.random_range(200..900))).await;
                running[victim].signal("CONT");
            }
            Fault::KillRedis => {
                redis.kill();
                sleep(Duration::from_millis(random.random_range(0..300))).await;
                redis.restart();
            }
            Fault::CutCommit(cut) => proxies[victim].cut_at(cut, OUTPUT.as_bytes()),
        }
        sleep(Duration::from_millis(random.random_range(50..600))).await;
    }
    changes.stop();
    let store = open(&redis.url()).await;
    prove(&*store, &items, &running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_in_the_embedded_store() {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let items = Arc::new(Items::start(ITEMS).await);
    configure(directory.path(), items.url());
    let worker = Worker::new(directory.path());
    let mut running: Vec<_> = (0..2).map(|n| worker.start(&n.to_string())).collect();
    let changes = Changes::start(items.clone(), seed);
    sleep(Duration::from_secs(1)).await;

    for _ in 0..faults(20) {
        let victim = random.random_range(0..running.len());
        if random.random_bool(0.8) {
            running[victim].kill();
            sleep(Duration::from_millis(random.random_range(0..200))).await;
            running[victim] = worker.start(&victim.to_string());
        } else {
            running[victim].signal("STOP");
            sleep(TTL + Duration::from_millis(random.random_range(200..900))).await;
            running[victim].signal("CONT");
        }
        sleep(Duration::from_millis(random.random_range(50..600))).await;
    }
    changes.stop();
    let file = directory.path().join(".connector-worker/store.db");
    let store = open(&format!("sqlite:{}", file.display())).await;
    prove(&*store, &items, &running).await;
}

async fn open(address: &str) -> Arc<dyn Store> {
    store::open(&address.parse().unwrap(), &StoreOptions::default())
        .await
        .unwrap()
}
