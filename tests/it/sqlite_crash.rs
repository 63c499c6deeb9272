//! Two workers of one connector on one SQLite file, killed and stopped at random instants: the
//! stream holds every item once and in order, and state and versions agree with it.
//!
//! The test binary runs itself again as the workers. A run prints its seed; `CRASH_SEED=…`
//! repeats its choices.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{
    self, Acquired, Commit, Committed, KnownVersion, Lease, Output, Owner, Store, StoreOptions,
    VersionEntry, version_field,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

const CONNECTOR: &str = "crash";
const OUTPUT: &str = "raw-input-signals";
const TTL: Duration = Duration::from_millis(300);
/// Item `n` is a new version of key `n % KEYS`.
const KEYS: u64 = 50;
const KILLS: u32 = 30;
const STOPS: u32 = 6;

/// A worker ends by itself after this, should its parent be gone.
const WORKER_LIFE: Duration = Duration::from_mins(2);

async fn open(path: &Path) -> Arc<dyn Store> {
    let address = format!("sqlite:{}", path.display());
    let options = StoreOptions::default();
    store::open(&address.parse().unwrap(), &options)
        .await
        .unwrap()
}

/// Bytes of version `n`.
fn version_of(n: u64) -> Version {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Version(bytes)
}

/// Items `from..to` in one commit.
fn batch(sequence: u64, from: u64, to: u64) -> Commit {
    let signal = |n: u64| Signal {
        kind: ChangeKind::Updated,
        subject: n.to_string(),
        version: version_of(n),
        time: "2026-02-24T10:30:00Z".to_owned(),
        data: vec![b'x'; 500].into(),
    };
    let latest: HashMap<u64, u64> = (from..to).map(|n| (n % KEYS, n)).collect();
    let entry = |(key, n): (&u64, &u64)| VersionEntry {
        field: version_field("items", &key.to_string()),
        known: KnownVersion {
            version: version_of(*n),
            instant: None,
            day: None,
        },
    };
    Commit {
        acknowledged: Vec::new(),
        sequence,
        output: Output {
            stream: OUTPUT.into(),
            max_len: 0,
        },
        origin: Origin {
            connector: CONNECTOR.into(),
            stream: "items".into(),
            provider: "test".into(),
            tenant: None,
            via: Via::Poll,
        },
        signals: (from..to).map(signal).collect(),
        versions: latest.iter().map(entry).collect(),
        gone: Vec::new(),
        state: vec![("cursor:items".to_owned(), Some(to.to_string()))],
        dead_letters: Vec::new(),
    }
}

/// Not a test of its own: what the workers of the tests below run.
#[tokio::test]
async fn committing_worker() {
    let Some(path) = std::env::var_os("CRASH_WORKER_STORE") else {
        return;
    };
    let store = open(Path::new(&path)).await;
    let mut random: StdRng = rand::make_rng();
    let started = Instant::now();
    let mut previous: Option<Owner> = None;
    while started.elapsed() < WORKER_LIFE {
        let owner = Owner::new("worker");
        let attempt = store
            .acquire(CONNECTOR, &owner, previous.as_ref(), TTL)
            .await;
        let Ok(Acquired::Held(lease, state)) = attempt else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let cursor = state.fields.get("cursor:items");
        let next = cursor.map_or(0, |text| text.parse().unwrap());
        commit_until_refused(&*store, &lease, state.sequence, next, &mut random).await;
        previous = Some(owner);
    }
}

async fn commit_until_refused(
    store: &dyn Store,
    lease: &Lease,
    mut sequence: u64,
    mut next: u64,
    random: &mut StdRng,
) {
    loop {
        let to = next + random.random_range(1..=20);
        let commit = batch(sequence + 1, next, to);
        // Now and then the caller loses patience: in doubt, so acquire anew and reload.
        let patience = match random.random_range(0..10) {
            0 => Duration::from_micros(random.random_range(0..5_000)),
            _ => WORKER_LIFE,
        };
        match timeout(patience, store.commit(lease, &commit)).await {
            Ok(Ok(Committed::Applied { lease_held: true })) => {}
            _ => return,
        }
        (sequence, next) = (sequence + 1, to);
    }
}

/// A running worker; killed on drop.
struct Worker(Child);

impl Worker {
    fn start(path: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["sqlite_crash::committing_worker", "--exact"])
            .env("CRASH_WORKER_STORE", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.unwrap().success(), "{command}");
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was seen of the stream so far.
struct Witness {
    store: Arc<dyn Store>,
    after: Option<String>,
    items: u64,
    sequence: u64,
    epoch: u64,
}

impl Witness {
    /// Reads on, while no worker runs, and compares stream, state and versions.
    async fn check(&mut self, context: &str) {
        loop {
            let after = self.after.as_deref();
            let entries = self.store.read_stream(OUTPUT, after, 5_000, Duration::ZERO);
            let entries = entries.await.unwrap();
            let Some(last) = entries.last() else { break };
            self.after = Some(last.id.clone());
            for entry in &entries {
                let field = |name: &str| {
                    let (_, value) = entry
                        .fields
                        .iter()
                        .find(|(field, _)| field == name)
                        .unwrap();
                    std::str::from_utf8(value).unwrap().parse::<u64>().unwrap()
                };
                assert_eq!(field("subject"), self.items, "{context}: lost or twice");
                let (epoch, sequence) = (field("epoch"), field("sequence"));
                assert!(
                    epoch >= self.epoch,
                    "{context}: epoch {epoch} after {}",
                    self.epoch
                );
                let follows = sequence == self.sequence || sequence == self.sequence + 1;
                assert!(
                    follows,
                    "{context}: commit {sequence} after {}",
                    self.sequence
                );
                (self.epoch, self.sequence) = (epoch, sequence);
                self.items += 1;
            }
        }
        let state = self.store.load_state(CONNECTOR).await.unwrap();
        assert_eq!(
            state.sequence, self.sequence,
            "{context}: sequence and stream"
        );
        let cursor = state.fields.get("cursor:items").map_or("0", |text| text);
        assert_eq!(
            cursor,
            self.items.to_string(),
            "{context}: cursor and stream"
        );
        let mut versions = HashMap::new();
        let mut each = |field: &[u8], known: KnownVersion| {
            versions.insert(field.to_vec(), known.version);
        };
        self.store
            .scan_versions(CONNECTOR, &mut each)
            .await
            .unwrap();
        let expected = (self.items.saturating_sub(KEYS)..self.items).map(|n| {
            let field = version_field("items", &(n % KEYS).to_string());
            (field, version_of(n))
        });
        assert_eq!(
            versions,
            expected.collect(),
            "{context}: versions and stream"
        );
    }
}

fn seed() -> u64 {
    let given: Option<OsString> = std::env::var_os("CRASH_SEED");
    let seed = given.map_or_else(rand::random, |text| {
        text.to_str()
            .and_then(|text| text.parse().ok())
            .expect("CRASH_SEED is a number")
    });
    eprintln!("CRASH_SEED={seed}");
    seed
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    StopPastTtl,
}

#[tokio::test]
async fn killed_and_stopped_workers_lose_and_repeat_nothing() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let path: PathBuf = home.path().join("store.db");
    let mut witness = Witness {
        store: open(&path).await,
        after: None,
        items: 0,
        sequence: 0,
        epoch: 0,
    };
    let mut workers = [Worker::start(&path), Worker::start(&path)];
    let mut faults: Vec<Fault> = vec![Fault::Kill; KILLS as usize];
    for _ in 0..STOPS {
        let at = random.random_range(0..faults.len());
        faults.insert(at, Fault::StopPastTtl);
    }
    for (round, fault) in faults.into_iter().enumerate() {
        let context = format!("seed {seed}, round {round} ({fault:?})");
        sleep(Duration::from_micros(random.random_range(0..200_000))).await;
        let [first, second] = &mut workers;
        let (victim, other) = if random.random() {
            (first, second)
        } else {
            (second, first)
        };
        match fault {
            Fault::Kill => {
                victim.kill();
                other.signal("STOP");
                witness.check(&context).await;
                other.signal("CONT");
                *victim = Worker::start(&path);
            }
            Fault::StopPastTtl => {
                victim.signal("STOP");
                sleep(TTL + Duration::from_millis(random.random_range(100..400))).await;
                // Whatever it had in hand, the other worker's epoch is newer by now, unless it
                // was stopped with the write lock, which keeps everybody out.
                victim.signal("CONT");
                sleep(Duration::from_millis(20)).await;
                victim.signal("STOP");
                other.signal("STOP");
                witness.check(&context).await;
                victim.signal("CONT");
                other.signal("CONT");
            }
        }
    }

    // The survivors go on.
    let before = witness.items;
    let deadline = Instant::now() + Duration::from_secs(15);
    while witness.items < before + 100 {
        assert!(Instant::now() < deadline, "seed {seed}: the workers hang");
        sleep(Duration::from_millis(200)).await;
        for worker in &workers {
            worker.signal("STOP");
        }
        witness.check(&format!("seed {seed}, afterwards")).await;
        for worker in &workers {
            worker.signal("CONT");
        }
    }
    eprintln!(
        "{} items, {} commits, {} epochs",
        witness.items, witness.sequence, witness.epoch
    );
    assert!(
        witness.epoch > u64::from(STOPS),
        "seed {seed}: no lease ever moved"
    );
}
