//! The first thing a user runs: offline, nothing to set up, and what it shows is proven.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// Runs `demo` in a directory of its own, with nothing in the environment.
async fn demo(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector-worker"));
    command
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .kill_on_drop(true);
    let output = timeout(Duration::from_mins(1), command.output()).await;
    let output = output.expect("the demonstration does not end").unwrap();
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "it leaves files behind");
    output
}

#[tokio::test]
async fn the_demonstration_shows_events_and_proves_them() {
    let output = demo(&["--for", "6s", "--http-addr", "127.0.0.1:0"]).await;
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("status page: http://127.0.0.1:"), "{talk}");
    assert!(talk.contains("proven: each of "), "{talk}");

    let data = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = data
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let types: BTreeSet<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    for expected in [
        "noaa.alerts.created",
        "noaa.alerts.deleted",
        "jira.issues.created",
    ] {
        assert!(types.contains(expected), "{expected} is not in {types:?}");
    }
    let ids: BTreeSet<&str> = events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), events.len(), "every id once");
    for event in &events {
        let names: Vec<&str> = event
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = [
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
        assert_eq!(names, expected);
        assert!(event["data"].is_object());
    }
}
