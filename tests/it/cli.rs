//! Every command from the outside: what it prints, what it changes, and its exit code.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use redis::Commands;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::items::{Items, MANIFEST};
use crate::support::raw_http::{RawServer, answer};
use crate::support::redis::RedisServer;
use crate::support::worker::{BINARY, Process, Worker};

const SOON: Duration = Duration::from_secs(20);

/// Names of the summary's fields, in the order in which documentation shows them.
const SUMMARY: [&str; 8] = [
    "fetched",
    "published",
    "skipped_unchanged",
    "failed",
    "deleted",
    "durationMs",
    "pages",
    "notModified",
];

/// Fields of a signal without a tenant, in their order.
const FIELDS: [&str; 14] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "version",
    "time",
    "datacontenttype",
    "connector",
    "stream",
    "via",
    "epoch",
    "sequence",
    "data",
];

fn configure(directory: &Path, address: &str) {
    fs::write(directory.join("items.yaml"), MANIFEST).unwrap();
    let config = json!({ "connectors": [{
        "name": "a", "type": "MANIFEST", "manifest": "items.yaml", "maxRetries": 0,
        "pollIntervalMs": 200, "providerConfig": { "baseUrl": address },
    }]});
    fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
}

#[test]
fn validate_tells_what_keeps_a_stream_of_a_manifest_from_working() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), "http://127.0.0.1:9");
    let broken = MANIFEST.replace("config['base_url']", "confg['base_url']");
    fs::write(directory.path().join("items.yaml"), broken).unwrap();
    let output = std::process::Command::new(BINARY)
        .arg("validate")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("items.yaml:13:23: error: "), "{told}");
    assert!(told.contains("did you mean config?"), "{told}");
    // Other streams may be read all the same.
    assert!(output.status.success(), "{told}");
}

/// Makes the stream one that remembers where its last read ended.
fn keep_a_cursor(directory: &Path) {
    let cursor = "incremental_sync: { type: DatetimeBasedCursor, cursor_field: at, \
                  datetime_format: '%s', start_datetime: '0' }";
    let text = MANIFEST.replace("primary_key: id", &format!("primary_key: id\n    {cursor}"));
    assert_ne!(text, MANIFEST);
    fs::write(directory.join("items.yaml"), text).unwrap();
}

/// A connector `a` of 50 items and the embedded store.
async fn site() -> (TempDir, Items, Worker) {
    let directory = tempfile::tempdir().unwrap();
    let items = Items::start(50).await;
    configure(directory.path(), items.url());
    let worker = Worker::new(directory.path());
    (directory, items, worker)
}

fn running(worker: &Worker) -> Process {
    let process = worker.start("worker");
    process.wait_for_log("poll completed", SOON);
    process
}

#[track_caller]
fn code(worker: &Worker, arguments: &str, expected: i32) -> crate::support::worker::Ran {
    let ran = worker.run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, Some(expected), "{arguments}: {ran:#?}");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_prints_a_summary_that_adds_up_and_the_next_publishes_nothing() {
    let (_directory, items, worker) = site().await;
    let numbers = |ran: crate::support::worker::Ran| {
        let summary = ran.json();
        let names: Vec<_> = summary.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, SUMMARY);
        let number = |name: &str| summary[name].as_u64().unwrap();
        let [fetched, published, skipped, failed, deleted] = [
            number("fetched"),
            number("published"),
            number("skipped_unchanged"),
            number("failed"),
            number("deleted"),
        ];
        assert_eq!(fetched, published - deleted + skipped + failed);
        (fetched, published, skipped)
    };
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 50, 0));
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 0, 50));
    items.bump(7);
    assert_eq!(numbers(code(&worker, "poll a", 0)), (50, 1, 49));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_prints_signals_and_writes_nothing() {
    let redis = RedisServer::start();
    let (_directory, items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let dump = || {
        let mut connection = redis.connection();
        let keys: Vec<String> = connection.keys("*").unwrap();
        let dumped = keys.into_iter().map(|key| {
            let bytes: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
            (key, bytes)
        });
        dumped.collect::<HashMap<_, _>>()
    };
    let lines = |arguments: &str| -> Vec<Value> {
        let ran = code(&worker, arguments, 0);
        let parse = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            let names: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, FIELDS);
            event
        };
        ran.out.lines().map(parse).collect()
    };
    assert_eq!(lines("preview a").len(), 50);
    assert!(dump().is_empty());
    assert_eq!(lines("preview a --limit 3 --stream items").len(), 3);
    code(&worker, "poll a", 0);
    let before = dump();
    assert!(lines("preview a").is_empty());
    items.bump(3);
    let changed = lines("preview a");
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["type"], "items.items.updated");
    assert_eq!(changed[0]["subject"], "3");
    assert_eq!(dump(), before);
    code(&worker, "preview a --stream itemz", 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_was_published() {
    let (_directory, _items, worker) = site().await;
    code(&worker, "poll a", 0);
    let ran = code(&worker, "tail --from-start --count 2", 0);
    let subjects: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["subject"].clone())
        .collect();
    assert_eq!(subjects, ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_survives_a_round_trip() {
    let (directory, _items, worker) = site().await;
    code(&worker, "poll a", 0);
    let exported = code(&worker, "state export a", 0);
    let file = directory.path().join("state.json");
    fs::write(&file, &exported.out).unwrap();
    let versions = exported.json()["itemVersions"]["items"].clone();
    assert_eq!(versions.as_object().unwrap().len(), 50);

    code(&worker, "state reset a --yes", 0);
    let empty = code(&worker, "state show a", 0).json();
    assert_eq!(empty["itemVersions"], json!({}));
    code(&worker, "state import a state.json --yes", 0);
    assert_eq!(code(&worker, "poll a", 0).json()["published"], 0);
    let again = code(&worker, "state show a", 0).json();
    assert_eq!(again["itemVersions"]["items"], versions);

    code(&worker, "state reset a --stream items --yes", 0);
    assert_eq!(code(&worker, "poll a", 0).json()["published"], 50);
    let set = "state set a --stream items --cursor {\"n\":1} --yes";
    let refused = code(&worker, set, 2);
    assert!(refused.log.contains("has no cursor"), "{}", refused.log);
    keep_a_cursor(directory.path());
    code(&worker, set, 0);
    let set = code(&worker, "state show a", 0).json();
    assert_eq!(set["cursors"]["items"], json!({ "n": 1 }));

    let other = exported
        .out
        .replace("\"connector\": \"a\"", "\"connector\": \"z\"");
    fs::write(directory.path().join("other.json"), other).unwrap();
    for refused in [
        "state reset a",
        "state set a --stream items --cursor 1",
        "state import a state.json",
        "state set a --stream items --cursor {bad --yes",
        "state reset a --stream itemz --yes",
        "state import a other.json --yes",
        "leases release a",
        "dlq purge a",
    ] {
        code(&worker, refused, 2);
    }
    let unknown = code(&worker, "state reset b --yes", 78);
    assert!(
        unknown.log.contains("no connector is named \"b\""),
        "{}",
        unknown.log
    );
    let after = code(&worker, "state show a", 0).json();
    assert_eq!(
        after["itemVersions"], set["itemVersions"],
        "nothing was changed"
    );
    code(&worker, "state import a other.json --rename --yes", 0);
    let renamed = code(&worker, "state show a", 0).json();
    assert_eq!(renamed["itemVersions"]["items"], versions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_shown_in_the_layout_that_it_has() {
    let redis = RedisServer::start();
    let (_directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    assert_eq!(code(&worker, "state show a", 0).json()["schema"], 1);
    code(&worker, "poll a", 0);
    let state = "connector:state:a";
    let _: u64 = redis.connection().hset(state, "schema", 9).unwrap();
    assert_eq!(code(&worker, "state show a", 0).json()["schema"], 9);
    code(&worker, "poll a", 78);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_about_the_connectors_that_were_asked_for() {
    let (directory, items, worker) = site().await;
    let entry = |name: &str, enabled: bool| {
        json!({
            "name": name, "type": "MANIFEST", "manifest": "items.yaml", "enabled": enabled,
            "leaseTtlSeconds": if enabled { 30 } else { 5 }, "requestTimeoutMs": 15000,
            "providerConfig": { "baseUrl": items.url() },
        })
    };
    let config = json!({ "connectors": [entry("a", true), entry("b", false)] });
    fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let all = code(&worker, "validate", 0);
    assert!(all.log.contains("leaseTtlSeconds"), "{}", all.log);
    assert!(
        all.out.contains("(1 connector to run, 1 disabled)"),
        "{}",
        all.out
    );
    for one in ["validate --name a", "check a", "--name a status -o json"] {
        let ran = worker.run(&one.split(' ').collect::<Vec<_>>());
        assert!(!ran.log.contains("leaseTtlSeconds"), "{one}: {}", ran.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_is_none() {
    let (_directory, _items, mut worker) = site().await;
    for variable in [
        "CONNECTOR_NAME",
        "CONNECTOR_STORE",
        "CONNECTORS_CONFIG_PATH",
    ] {
        worker = worker.env(variable, "");
    }
    let worker = worker.env("CONNECTOR_WORKER_HTTP_ADDR", "");
    for command in [
        "validate --name a",
        "--name a validate",
        "validate",
        "poll a",
    ] {
        code(&worker, command, 0);
    }
    code(&worker, "status --name a", 1);
    code(&worker, "status --name=", 2);
    code(&worker.env("CONNECTOR_NAME", "b, "), "validate --name a", 0);
}

#[test]
fn options_that_a_command_does_not_read_are_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(directory.path());
    for unread in [
        "demo --config nowhere.json --for 0s",
        "demo --allow-eviction --for 0s",
        "leases list --config nowhere.json",
        "tail --config nowhere.json --count 0",
    ] {
        let ran = code(&worker, unread, 0);
        assert!(ran.log.contains("has no meaning for"), "{}", ran.log);
    }
    let help = code(&worker, "demo --help", 0).out;
    assert!(
        !help.contains("--config") && !help.contains("store.db"),
        "{help}"
    );
    code(
        &worker.env("CONNECTORS_CONFIG_PATH", "nowhere.json"),
        "leases list",
        0,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_lease_is_respected_and_can_be_taken_away() {
    let redis = RedisServer::start();
    let (directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let process = running(&worker);
    let owner: String = redis.connection().get("lease:a").unwrap();
    fs::write(
        directory.path().join("state.json"),
        code(&worker, "state export a", 0).out,
    )
    .unwrap();
    for command in [
        "poll a",
        "state reset a --yes",
        "state import a state.json --yes",
        "run --no-wait",
        "--no-wait",
    ] {
        let ran = code(&worker, command, 75);
        let holder = owner
            .split('|')
            .find(|part| part.contains('/'))
            .unwrap_or(&owner);
        assert!(ran.log.contains(holder), "{command}: {}", ran.log);
        assert!(ran.log.contains(" ms"), "{command}: {}", ran.log);
    }
    keep_a_cursor(directory.path());
    code(&worker, "state set a --stream items --cursor 1 --yes", 75);
    let listed = code(&worker, "leases list -o json", 0).json();
    assert_eq!(listed[0]["connector"], "a");

    let standby = worker.start("standby");
    standby.wait_for_log("standby", SOON);
    code(&worker, "leases release a --yes", 0);
    standby.wait_for_log("lease acquired", SOON);
    process.wait_for_log("lease lost", SOON);
    assert_eq!(
        redis.connection().xlen::<_, u64>("raw-input-signals"),
        Ok(50)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_answers_by_its_exit_code() {
    let (_directory, items, worker) = site().await;
    let never = code(&worker, "status -o json", 1).json();
    assert_eq!(never[0]["health"], "degraded");
    let process = running(&worker);
    let status = code(&worker, "status", 0).json();
    assert_eq!(status[0]["health"], "healthy");
    assert!(status[0]["leaseHolder"].is_string());
    assert!(
        code(&worker, "status -o table", 0)
            .out
            .starts_with("CONNECTOR")
    );
    drop((process, items));

    let server = RawServer::start(|_, _| answer("401 Unauthorized", "", "")).await;
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), server.url.as_str());
    let worker = Worker::new(directory.path());
    let process = worker.start("worker");
    process.wait_for_log("poll failed", SOON);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(code(&worker, "status", 2).json()[0]["health"], "unhealthy");
    code(&worker, "--name a status", 2);
    code(&worker, "status --name b", 78);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_replayed_and_purged() {
    let redis = RedisServer::start();
    let (directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let manifest = directory.path().join("items.yaml");
    let keyed_by = |field: &str| {
        let rule = format!("signals: {{ items: {{ subject: /{field} }} }} }}");
        let text = MANIFEST.replace("version: 1.0.0 }", &format!("version: 1.0.0, {rule}"));
        assert_ne!(text, MANIFEST);
        fs::write(&manifest, text).unwrap();
    };
    keyed_by("missing");
    assert_eq!(code(&worker, "poll a", 0).json()["failed"], 50);
    let letters = code(&worker, "dlq list a", 0).json();
    assert_eq!(letters.as_array().unwrap().len(), 50);
    assert_eq!(
        code(&worker, "dlq list a --limit 3", 0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let id = letters[7]["id"].as_str().unwrap();
    let shown = code(&worker, &format!("dlq show a {id}"), 0).json();
    assert_eq!(shown["data"]["id"], 7);
    assert!(shown["reason"].as_str().unwrap().contains("/missing"));
    code(&worker, "dlq show a 1-1", 1);
    code(&worker, "dlq replay a 1-1", 1);

    let count = || {
        code(&worker, "dlq list a", 0)
            .json()
            .as_array()
            .unwrap()
            .len()
    };
    let published = || {
        redis
            .connection()
            .xlen::<_, u64>("raw-input-signals")
            .unwrap()
    };
    let failed_again = code(&worker, "dlq replay a", 1);
    assert!(
        failed_again.out.contains("50 failed again"),
        "{failed_again:?}"
    );
    assert_eq!((count(), published()), (50, 0), "nothing is lost");

    keyed_by("id");
    let letters = code(&worker, "dlq list a", 0).json();
    let id = letters[7]["id"].as_str().unwrap();
    code(&worker, &format!("dlq replay a {id}"), 0);
    assert_eq!((count(), published()), (49, 1));
    let _: String = redis.connection().set("lease:a", "another/1/2").unwrap();
    code(&worker, "dlq replay a", 75);
    assert_eq!((count(), published()), (49, 1));
    let _: u64 = redis.connection().del("lease:a").unwrap();
    let other = letters[8]["id"].as_str().unwrap();
    code(&worker, &format!("dlq purge a {other} --yes"), 0);
    code(&worker, "dlq replay a", 0);
    assert_eq!((count(), published()), (0, 49));
    assert_eq!(
        code(&worker, "poll a", 0).json()["published"],
        1,
        "the purged one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_what_is_wrong() {
    let (directory, items, worker) = site().await;
    let closed = worker.clone().env("REDIS_URL", "redis://127.0.0.1:1");
    code(&closed, "poll a", 69);
    let unreached = code(&closed, "status", 2).json();
    assert_eq!(unreached[0]["health"], "unhealthy");
    let why = unreached[0]["reasons"][0].as_str().unwrap();
    assert!(why.contains("cannot reach"), "{why}");
    code(&worker, "check a", 0);
    for usage in [
        "--bogus",
        "bogus",
        "poll",
        "--watch poll a",
        "--name a poll a",
        "run --http-addr x",
    ] {
        code(&worker, usage, 2);
    }
    for unknown in [
        "poll b",
        "check b",
        "run --name b",
        "--name b run",
        "--name b",
        "validate --name b",
    ] {
        let ran = code(&worker, unknown, 78);
        assert!(
            ran.log.contains("no connector is named \"b\""),
            "{}",
            ran.log
        );
    }
    drop(items);
    for (status, expected) in [("401 U", 77), ("403 F", 77), ("500 I", 69), ("404 N", 1)] {
        let server = RawServer::start(move |_, _| answer(status, "", "{}")).await;
        configure(directory.path(), server.url.as_str());
        code(&worker, "check a", expected);
        code(&worker, "poll a", expected);
    }
    configure(directory.path(), "http://127.0.0.1:1");
    code(&worker, "check a", 69);
    configure(directory.path(), "${NOT_THERE}");
    let ran = code(&worker, "run", 78);
    assert!(ran.log.contains("connectors.json:1:"), "{}", ran.log);
    assert!(ran.log.contains("NOT_THERE"), "{}", ran.log);
    code(&worker, "status", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gives_up_on_a_store_that_stays_away() {
    let (_directory, _items, worker) = site().await;
    code(&worker.env("REDIS_URL", "redis://127.0.0.1:1"), "run", 69);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_evict_is_refused() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let (_directory, _items, worker) = site().await;
    let worker = worker.env("REDIS_URL", &redis.url());
    let ran = code(&worker, "run", 78);
    assert!(ran.log.contains("noeviction"), "{}", ran.log);
    code(&worker, "poll a --allow-eviction", 0);
}

#[test]
fn types_schemas_and_completions_are_printed_without_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::new(directory.path());
    let types = code(&worker, "connectors list", 0).json();
    let names: Vec<_> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["type"])
        .collect();
    let catalog = connector_worker::source::manifest::catalog::Catalog::load(None).unwrap();
    let kinds: Vec<_> = catalog.kinds().map(|kind| kind.kind.to_string()).collect();
    assert_eq!(names, kinds.iter().collect::<Vec<_>>());
    assert!(
        code(&worker, "connectors list -o table", 0)
            .out
            .starts_with("TYPE")
    );
    let jira = code(&worker, "connectors show JIRA", 0).json();
    assert!(jira["providerConfig"]["properties"]["jql"].is_object());
    assert!(jira["providerConfig"]["properties"]["baseUrl"].is_object());
    let github = code(&worker, "connectors show GITHUB", 0).json();
    let app = json!({
        "name": "app", "keys": ["appId", "privateKey"], "optional": ["installationId"],
    });
    assert_eq!(github["auth"][1], app);
    let shown = code(&worker, "connectors show DATADOG -o table", 0).out;
    for part in ["authentication", "apiKey", "required, secret. API key"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = code(&worker, "connectors show NOAA_WEATHER -o table", 0).out;
    assert!(shown.contains("no credentials"), "{shown}");
    assert!(
        code(&worker, "connectors show NOPE", 2)
            .log
            .contains("GITHUB")
    );
    for schema in ["schema", "schema --signal"] {
        let schema = code(&worker, schema, 0).json();
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = code(&worker, &format!("completions {shell}"), 0).out;
        assert!(script.contains("connector-worker"), "{shell}");
    }
}

#[test]
fn help_reads_like_a_page_of_documentation() {
    let help = |arguments: &[&str]| {
        let mut command = std::process::Command::new(BINARY);
        let output = command.args(arguments).env_clear().output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_run", help(&["run", "--help"]));
    insta::assert_snapshot!("help_state_set", help(&["state", "set", "--help"]));
}

#[test]
fn lint_tells_everything_that_is_wrong_with_a_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    let lint = |more: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("connector-worker").unwrap();
        let output = command
            .env_clear()
            .current_dir(directory.path())
            .args(["manifest", "lint", "shop.yaml"])
            .args(more)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), stdout)
    };
    let good = include_str!("../../docs/creating-connectors.md");
    let (_, good) = good.split_once("```yaml title=my-crm.yaml\n").unwrap();
    let (good, _) = good.split_once("```").unwrap();
    std::fs::write(&file, good).unwrap();
    assert_eq!(lint(&["--deny-warnings"]), (0, String::new()));

    let warned = good.replace(", airbyte_secret: true", "");
    std::fs::write(&file, &warned).unwrap();
    let (code, shown) = lint(&[]);
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains(": warning: token looks like a secret"),
        "{shown}"
    );
    assert_eq!(lint(&["--deny-warnings"]).0, 78);

    let wrong = warned
        .replace("config['token']", "confg['token']")
        .replace("field_path:", "field_paht:");
    std::fs::write(&file, wrong).unwrap();
    let (code, shown) = lint(&[]);
    assert_eq!(code, 78);
    for part in [
        ": error: BearerAuthenticator.api_token uses `confg`",
        ": error: DpathExtractor has no field_path",
        "did you mean field_path?) [unknown-field]",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let (_, json) = lint(&["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"], 3);
    assert_eq!(json["findings"][0]["file"], "shop.yaml");
    assert!(json["findings"][0]["line"].is_u64());
}
