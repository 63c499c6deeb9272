//! Issues that were deleted for good: once a day all ids are listed, and what is missing is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::party::{Asked, Party, Reply};
use crate::support::worker::{Ran, Worker};

/// Jira with two issues, of which one is deleted later.
fn jira(asked: &Asked, is_deleted: bool) -> Reply {
    let issue = |id: &str| json!({ "id": id, "key": format!("A-{id}"), "fields": { "updated": "2026-02-01T10:00:00.000+0000" } });
    let query: std::collections::HashMap<String, String> = url::form_urlencoded::parse(
        asked
            .target
            .split_once('?')
            .map_or("", |(_, query)| query)
            .as_bytes(),
    )
    .into_owned()
    .collect();
    match query.get("fields").map(String::as_str) {
        Some("id") => {
            assert_eq!(
                query["jql"],
                "(project = A) AND updated >= 0 ORDER BY key ASC"
            );
            assert_eq!(query["maxResults"], "5000");
            match (is_deleted, query.get("nextPageToken")) {
                (false, _) => Reply::json(json!({ "issues": [{ "id": "1" }, { "id": "2" }] })),
                (true, None) => Reply::json(json!({ "issues": [], "nextPageToken": "p2" })),
                (true, Some(_)) => Reply::json(json!({ "issues": [{ "id": "2" }] })),
            }
        }
        _ if query["jql"].contains("updated >= 0 ") => {
            Reply::json(json!({ "issues": [issue("1"), issue("2")], "isLast": true }))
        }
        // What changed lately: nothing.
        _ => Reply::json(json!({ "issues": [], "isLast": true })),
    }
}

/// Linear with two of everything, of which one is deleted later.
fn linear(asked: &Asked, is_deleted: bool) -> Reply {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let query = body["query"].as_str().unwrap();
    let connection = ["issues", "comments", "projects", "cycles"]
        .into_iter()
        .find(|name| query.contains(&format!(" {name}(")))
        .unwrap();
    let is_sweep = !query.contains("$since");
    let since = body["variables"]["since"].as_str().unwrap_or_default();
    let nodes = match (is_sweep, is_deleted) {
        (true, true) => json!([{ "id": "y" }]),
        (true, false) => json!([{ "id": "x" }, { "id": "y" }]),
        (false, _) if since.starts_with("1970") => json!([
            { "id": "x", "updatedAt": "2026-02-01T10:00:00.000Z" },
            { "id": "y", "updatedAt": "2026-02-01T10:00:00.000Z" },
        ]),
        (false, _) => json!([]),
    };
    let page = json!({ "nodes": nodes, "pageInfo": { "hasNextPage": false, "endCursor": null } });
    Reply::json(json!({ "data": { connection: page } }))
}

async fn deletions_of(
    config: impl Fn(&str) -> Value,
    answer: impl Fn(&Asked, bool) -> Reply + Send + Sync + 'static,
) -> Vec<Value> {
    let is_deleted = Arc::new(AtomicBool::new(false));
    let of = is_deleted.clone();
    let party = Party::start(move |asked, _| answer(asked, of.load(Ordering::Relaxed))).await;
    let directory = tempfile::tempdir().unwrap();
    let config = json!({ "connectors": [config(&party.url)] });
    std::fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let worker = Worker::new(directory.path()).env("CONNECTOR_STORE", "sqlite:store.db");
    let poll = |now: &'static str| {
        let worker = worker.clone().env("CONNECTOR_WORKER_NOW", now);
        async move {
            let ran = tokio::task::spawn_blocking(move || worker.run(&["poll", "c"]));
            let ran: Ran = ran.await.unwrap();
            assert_eq!(ran.code, Some(0), "{ran:?}");
            ran.json()["deleted"].clone()
        }
    };
    let mut deleted = vec![poll("2026-02-02T00:00:00Z").await];
    is_deleted.store(true, Ordering::Relaxed);
    let asked = party.asked().len();
    deleted.push(poll("2026-02-02T12:00:00Z").await);
    // Too early for a listing of ids: as many requests as there are streams to read.
    assert!(party.asked().len() - asked <= 4);
    deleted.push(poll("2026-02-03T00:00:01Z").await);
    deleted.push(poll("2026-02-03T01:00:00Z").await);
    deleted
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_of_jira_that_are_gone_are_deleted_within_a_day() {
    let config = |base: &str| {
        json!({ "name": "c", "type": "JIRA", "providerConfig": {
            "baseUrl": base, "email": "e", "apiToken": "t", "jql": "project = A ORDER BY created" } })
    };
    assert_eq!(deletions_of(config, jira).await, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_linear_that_are_gone_are_deleted_within_a_day() {
    let config = |base: &str| {
        json!({ "name": "c", "type": "LINEAR", "streams": ["issues", "comments", "projects", "cycles"],
            "providerConfig": { "baseUrl": base, "apiKey": "lin_api_0" } })
    };
    assert_eq!(deletions_of(config, linear).await, [0, 0, 4, 0]);
}
