//! A running worker follows its configuration file: the last valid one wins, and what did not
//! change is not touched.
//!
//! The random edits print their seed; `RELOAD_SEED=…` repeats them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant as Clock};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::items::{Items, MANIFEST};
use crate::support::ops::Ops;
use crate::support::worker::{Process, Worker};

/// A directory with a manifest, a provider, and a worker's address.
struct Site {
    directory: TempDir,
    items: Items,
    ops: Ops,
}

impl Site {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("items.yaml"), MANIFEST).unwrap();
        Self {
            directory,
            items: Items::start(3).await,
            ops: Ops::reserve(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The entry of one connector.
    fn entry(&self, name: &str) -> Value {
        json!({
            "name": name, "type": "MANIFEST", "manifest": self.path("items.yaml"),
            "pollIntervalMs": 200,
            "providerConfig": { "baseUrl": self.items.url(), "token": "t" },
        })
    }

    fn configure(&self, connectors: &[Value]) {
        let text = json!({ "connectors": connectors }).to_string();
        fs::write(self.path("connectors.json"), text).unwrap();
    }

    fn worker(&self) -> Worker {
        Worker::new(self.directory.path())
            .env("CONNECTOR_WORKER_HTTP_ADDR", &self.ops.address())
            .env("CONNECTOR_STORE", "memory:")
    }

    /// Name → (epoch, run id) of all that hold their lease.
    fn tenures(&self) -> BTreeMap<String, (u64, String)> {
        let connectors = self.ops.connectors();
        let tenure = |connector: &Value| {
            let run = connector["runId"].as_str()?.to_owned();
            let name = connector["name"].as_str()?.to_owned();
            Some((name, (connector["epoch"].as_u64()?, run)))
        };
        connectors.iter().filter_map(tenure).collect()
    }

    fn wait_for_tenures(&self, count: usize) -> BTreeMap<String, (u64, String)> {
        self.ops
            .wait_until(&format!("{count} connectors hold their lease"), || {
                self.tenures().len() == count
            });
        self.tenures()
    }

    /// Those that are disabled are on the board too, as stopped.
    fn wait_for_names(&self, wanted: &[&str]) {
        self.ops.wait_for(&format!("{wanted:?} run"), |connectors| {
            let names = connectors
                .iter()
                .filter(|one| one["phase"] != "stopped")
                .map(|one| one["name"].clone());
            names.collect::<Vec<_>>() == wanted
        });
    }
}

fn stops_cleanly(process: &mut Process) {
    process.signal("TERM");
    let status = process.wait(Duration::from_secs(20));
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{}",
        process.log()
    );
}

/// One random configuration: the entries that shall run and the text of the file, or `None` and
/// a text that must change nothing.
fn random_edit(site: &Site, random: &mut StdRng) -> (Option<BTreeMap<String, u64>>, String) {
    let mut entries = vec![site.entry("untouched")];
    let mut running = BTreeMap::from([("untouched".to_owned(), 200)]);
    for index in 0..5 {
        let name = format!("c{index}");
        let mut entry = site.entry(&name);
        let interval = 200 + random.random_range(0..3) * 50;
        entry["pollIntervalMs"] = interval.into();
        match random.random_range(0..6) {
            0 => continue,
            1 => {
                entry["enabled"] = false.into();
                entries.push(entry);
                continue;
            }
            2 => entry["requestTimeoutMs"] = (5000 + random.random_range(0..3) * 1000).into(),
            3 => entry["outputStream"] = "elsewhere".into(),
            _ => {}
        }
        entries.push(entry);
        running.insert(name, interval);
    }
    let mut document = json!({ "connectors": entries });
    match random.random_range(0..5) {
        0 => {
            let mut text = document.to_string();
            text.truncate(text.len() / 2);
            (None, text)
        }
        1 => {
            document["connectors"][0]["pollIntervalMS"] = 100.into();
            (None, document.to_string())
        }
        _ => (Some(running), document.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_edits_at_speed_the_last_valid_file_runs() {
    let seed = std::env::var_os("RELOAD_SEED")
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or_else(rand::random);
    println!("RELOAD_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new().await;
    site.configure(&[site.entry("untouched"), site.entry("c0")]);
    let mut process = site.worker().start("worker");
    let before = site.wait_for_tenures(2)["untouched"].clone();

    let file = site.path("connectors.json");
    for _ in 0..120 {
        let (_, text) = random_edit(&site, &mut random);
        replace(&file, &text);
        process.signal("HUP");
        if random.random_bool(0.5) {
            sleep(Duration::from_millis(random.random_range(0..30)));
        }
    }
    let (wanted, text) = loop {
        if let (Some(running), text) = random_edit(&site, &mut random) {
            break (running, text);
        }
    };
    replace(&file, &text);
    process.signal("HUP");
    site.ops
        .wait_for(&format!("{wanted:?} runs"), |connectors| {
            let interval = |one: &Value| {
                let polled = one["epoch"].as_u64()?;
                let name = one["name"].as_str()?.to_owned();
                (polled > 0).then_some((name, one["pollIntervalMs"].as_u64()?))
            };
            let running = connectors.iter().filter(|one| one["phase"] != "stopped");
            let running: Option<BTreeMap<_, _>> = running.map(interval).collect();
            running.is_some_and(|running| running == wanted)
        });

    // An invalid file changes nothing, and everybody can see that it is there.
    let tenures = site.wait_for_tenures(wanted.len());
    replace(&file, "{ \"connectors\": [ { \"nmae\": \"x\" } ] }");
    process.signal("HUP");
    site.ops.wait_until("the problem is shown", || {
        let details = site.ops.json("/readyz");
        let problems = details["reload"]["problems"].as_array();
        problems.is_some_and(|all| all.iter().any(|one| one.to_string().contains(":1:21: ")))
    });
    assert_eq!(site.ops.get("/readyz").unwrap().0, 200);
    let metrics = site.ops.get("/metrics").unwrap().1;
    assert!(metrics.contains("connector_worker_config_reload_failed 1"));
    assert_eq!(site.tenures(), tenures);
    assert_eq!(tenures["untouched"], before);

    replace(&file, &text);
    process.signal("HUP");
    site.ops.wait_until("the problem is gone", || {
        site.ops.json("/readyz")["reload"].is_null()
    });
    let metrics = site.ops.get("/metrics").unwrap().1;
    assert!(metrics.contains("connector_worker_config_reload_failed 0"));
    assert_eq!(site.tenures(), tenures);
    stops_cleanly(&mut process);
}

/// As editors and deployments do: nobody sees half a file.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_one_of_a_hundred_whose_credential_changed_is_touched() {
    let site = Site::new().await;
    let entries: Vec<_> = (0..100)
        .map(|index| {
            let mut entry = site.entry(&format!("c{index:02}"));
            entry["pollIntervalMs"] = 60_000.into();
            entry["providerConfig"]["token"] = match index {
                42 => format!("${{file:{}}}", site.path("token").display()),
                _ => format!("${{TOKEN_{index}:-t}}"),
            }
            .into();
            entry
        })
        .collect();
    site.configure(&entries);
    fs::write(site.path("token"), "first").unwrap();
    let mut process = site.worker().start("worker");
    let mut wanted = site.wait_for_tenures(100);

    fs::write(site.path("token"), "second").unwrap();
    let started = Clock::now();
    process.signal("HUP");
    let old = wanted.remove("c42").unwrap();
    site.ops.wait_until("the changed one runs anew", || {
        site.tenures().get("c42").is_some_and(|new| new.1 != old.1)
    });
    let took = started.elapsed();
    println!("took {took:?}");
    // A second is what is promised of an optimised build on a quiet machine.
    assert!(took < Duration::from_secs(4), "{took:?}");
    let mut after = site.wait_for_tenures(100);
    assert_eq!(after.remove("c42").unwrap().0, old.0, "it keeps its epoch");
    assert_eq!(after, wanted);
    stops_cleanly(&mut process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_file_is_reloaded_when_a_config_map_is_swapped() {
    let site = Site::new().await;
    let mount = |version: &str, names: &[&str]| {
        let directory = site.path(version);
        fs::create_dir(&directory).unwrap();
        let entries: Vec<_> = names.iter().map(|name| site.entry(name)).collect();
        let text = json!({ "connectors": entries }).to_string();
        fs::write(directory.join("connectors.json"), text).unwrap();
        let link = site.path("..data_tmp");
        symlink(version, &link).unwrap();
        fs::rename(link, site.path("..data")).unwrap();
    };
    mount("..one", &["a"]);
    symlink("..data/connectors.json", site.path("connectors.json")).unwrap();
    let mut process = site.worker().arg("--watch").start("worker");
    let before = site.wait_for_tenures(1);
    mount("..two", &["a", "b"]);
    let after = site.wait_for_tenures(2);
    assert_eq!(after["a"], before["a"]);
    stops_cleanly(&mut process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_again_when_its_volume_is_swapped() {
    let site = Site::new().await;
    let mount = |version: &str, token: &str| {
        let directory = site.path(version);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("token"), token).unwrap();
        let link = site.path("..data_tmp");
        symlink(version, &link).unwrap();
        fs::rename(link, site.path("..data")).unwrap();
    };
    mount("..one", "old");
    symlink("..data/token", site.path("token")).unwrap();
    let mut with_secret = site.entry("a");
    with_secret["providerConfig"]["token"] = "${file:token}".into();
    site.configure(&[with_secret, site.entry("b")]);
    let mut process = site.worker().arg("--watch").start("worker");
    let before = site.wait_for_tenures(2);
    mount("..two", "new");
    site.ops
        .wait_until("the connector runs with the new secret", || {
            let now = site.tenures();
            now.get("a").is_some_and(|now| now.1 != before["a"].1)
        });
    assert_eq!(site.tenures()["b"], before["b"], "the other is not touched");
    // The same again is no change, and what is missing for a moment is no reason to stop.
    fs::remove_file(site.path("..data")).unwrap();
    process.wait_for_log("configuration not reloaded", Duration::from_secs(20));
    mount("..three", "new");
    site.ops.wait_until("the problem is gone", || {
        site.ops
            .get("/readyz")
            .is_some_and(|(_, body)| !body.contains("token"))
    });
    assert_eq!(site.tenures()["b"], before["b"]);
    stops_cleanly(&mut process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_connector_that_is_disabled_or_removed_idles_until_it_is_back() {
    let site = Site::new().await;
    let (on, mut off) = (site.entry("x"), site.entry("x"));
    off["enabled"] = false.into();
    site.configure(&[on.clone(), site.entry("other")]);
    let mut process = site.worker().arg("--name").arg("x").start("worker");
    site.wait_for_names(&["x"]);
    for without in [vec![off], vec![site.entry("other")]] {
        site.configure(&without);
        process.signal("HUP");
        site.wait_for_names(&[]);
        assert_eq!(site.ops.get("/readyz").unwrap().0, 200);
        assert_eq!(site.ops.get("/livez").unwrap().0, 200);
        site.configure(std::slice::from_ref(&on));
        process.signal("HUP");
        site.wait_for_names(&["x"]);
        site.wait_for_tenures(1);
    }
    stops_cleanly(&mut process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_connector_that_is_disabled_at_the_start_idles() {
    let site = Site::new().await;
    let mut off = site.entry("x");
    off["enabled"] = false.into();
    site.configure(&[off]);
    let mut process = site.worker().arg("--name").arg("x").start("worker");
    site.ops.wait_until("it is ready", || {
        site.ops
            .get("/readyz")
            .is_some_and(|(status, _)| status == 200)
    });
    site.configure(&[site.entry("x")]);
    process.signal("HUP");
    site.wait_for_tenures(1);
    stops_cleanly(&mut process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_hangs_keeps_no_worker_from_stopping() {
    let site = Site::new().await;
    site.configure(&[site.entry("a")]);
    let mut process = site.worker().start("worker");
    site.wait_for_tenures(1);
    // Nobody ever writes into it: reading waits for ever.
    fs::remove_file(site.path("connectors.json")).unwrap();
    let made = Command::new("mkfifo")
        .arg(site.path("connectors.json"))
        .status();
    assert!(made.unwrap().success());
    process.signal("HUP");
    sleep(Duration::from_millis(200));
    process.signal("HUP");
    process.signal("USR1");
    process.wait_for_log("state of connector a", Duration::from_secs(10));
    stops_cleanly(&mut process);
}
