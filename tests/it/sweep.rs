//! What dates do not show: once a day everything is listed, and what is missing is gone; or the
//! stream is read further back than otherwise.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::party::{Asked, Party, Reply};
use crate::support::worker::{Ran, Worker};

fn query_of(asked: &Asked) -> HashMap<String, String> {
    let query = asked.target.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// Jira with two issues, of which one is deleted later.
fn jira(asked: &Asked, is_deleted: bool) -> Reply {
    let issue = |id: &str| json!({ "id": id, "key": format!("A-{id}"), "fields": { "updated": "2026-02-01T10:00:00.000+0000" } });
    let query = query_of(asked);
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

/// Jira Data Center, whose pages are counted, with one issue on each.
fn data_center(asked: &Asked, is_deleted: bool) -> Reply {
    let query = query_of(asked);
    let is_sweep = query["fields"] == "id";
    let ids: &[&str] = match (is_sweep, is_deleted, query["jql"].contains("updated >= 0 ")) {
        (true, true, _) => &["2", "3"],
        (true, false, _) | (false, _, true) => &["1", "2", "3"],
        (false, _, false) => &[],
    };
    let start: usize = query.get("startAt").map_or(0, |at| at.parse().unwrap());
    let issues: Vec<Value> = ids
        .iter()
        .skip(start)
        .take(1)
        .map(|id| json!({ "id": id, "fields": { "updated": format!("2026-02-01T10:00:0{id}.000+0000") } }))
        .collect();
    Reply::json(json!({ "startAt": start, "total": ids.len(), "issues": issues }))
}

/// GitHub with three issues on two numbered pages, and a repository that has no issues at all.
fn github(asked: &Asked, is_deleted: bool) -> Reply {
    if asked.path() == "/repos/o/off/issues" {
        return Reply::status(
            410,
            json!({ "message": "Issues are disabled for this repo" }),
        );
    }
    let query = query_of(asked);
    let issue = |id: u32| json!({ "id": id, "number": id, "updated_at": "2026-02-01T10:00:00Z" });
    if query["sort"] == "updated" {
        let is_first = query["since"].starts_with("1970");
        let all = if is_first {
            vec![issue(1), issue(2), issue(3)]
        } else {
            Vec::new()
        };
        return Reply::json(Value::from(all));
    }
    assert_eq!(query.get("since"), None);
    if query.contains_key("page") {
        return Reply::json(json!([issue(3)]));
    }
    let page = if is_deleted {
        json!([issue(2)])
    } else {
        json!([issue(1), issue(2)])
    };
    let next = format!(
        "<http://{}/repos/o/r/issues?state=all&sort=created&direction=asc&per_page=100&page=2>; rel=\"next\"",
        asked.header("host").unwrap()
    );
    Reply::json(page).header("link", &next)
}

/// GitLab with two merge requests, which goes on from a key.
fn gitlab(asked: &Asked, is_deleted: bool) -> Reply {
    let query = query_of(asked);
    assert_eq!(query["pagination"], "keyset");
    let one = |id: u32| json!({ "id": id, "iid": id, "updated_at": "2026-02-01T10:00:00.000Z" });
    match (&*query["order_by"], is_deleted) {
        ("created_at", true) => Reply::json(json!([one(2)])),
        ("created_at", false) => Reply::json(json!([one(1), one(2)])),
        _ if query["updated_after"].starts_with("1970") => Reply::json(json!([one(1), one(2)])),
        _ => Reply::json(json!([])),
    }
}

/// A worker with this connector and a store that lasts.
fn worker(directory: &Path, connector: &Value) -> Worker {
    let config = json!({ "connectors": [connector] });
    std::fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
    Worker::new(directory).env("CONNECTOR_STORE", "sqlite:store.db")
}

/// Polls connector `c` as if it were `now`; one number of the summary.
async fn poll(worker: &Worker, now: &str, number: &str) -> Value {
    let worker = worker.clone().env("CONNECTOR_WORKER_NOW", now);
    let ran = tokio::task::spawn_blocking(move || worker.run(&["poll", "c"]));
    let ran: Ran = ran.await.unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()[number].clone()
}

async fn deletions_of(
    config: impl Fn(&str) -> Value,
    answer: impl Fn(&Asked, bool) -> Reply + Send + Sync + 'static,
) -> Vec<Value> {
    let is_deleted = Arc::new(AtomicBool::new(false));
    let of = is_deleted.clone();
    let party = Party::start(move |asked, _| answer(asked, of.load(Ordering::Relaxed))).await;
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), &config(&party.url));
    let poll = |now| poll(&worker, now, "deleted");
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

#[tokio::test(flavor = "multi_thread")]
async fn issues_of_a_data_center_that_are_gone_are_deleted_when_a_second_look_misses_them_too() {
    let config = |base: &str| {
        json!({ "name": "c", "type": "JIRA",
            "providerConfig": { "baseUrl": base, "apiToken": "t", "sweepHours": 24 } })
    };
    assert_eq!(deletions_of(config, data_center).await, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_of_github_that_are_gone_are_deleted_within_a_day() {
    let config = |base: &str| {
        json!({ "name": "c", "type": "GITHUB", "streams": ["issues"],
            "providerConfig": { "baseUrl": base, "token": "t", "repositories": ["o/r", "o/off"] } })
    };
    assert_eq!(deletions_of(config, github).await, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_requests_of_gitlab_that_are_gone_are_deleted_within_a_day() {
    let config = |base: &str| {
        json!({ "name": "c", "type": "GITLAB", "streams": ["merge_requests"],
            "providerConfig": { "baseUrl": base, "token": "t", "projects": ["7"] } })
    };
    assert_eq!(deletions_of(config, gitlab).await, [0, 0, 1, 0]);
}

/// A channel with an old message, an old thread and a new one; both old ones change later.
fn slack(asked: &Asked, has_changed: bool) -> Reply {
    let query = query_of(asked);
    // 5 February, an hour later, and 10 February 2026.
    let (old, then, new) = (
        "1770249600.000100",
        "1770253200.000100",
        "1770681600.000100",
    );
    let late = "1770768000.000100";
    if asked.path() == "/conversations.replies" {
        let (start, mut replies) = if query["ts"] == new {
            (new, vec![])
        } else {
            (old, vec![then])
        };
        if has_changed && start == old {
            replies.push(late);
        }
        let start = json!({ "ts": start, "thread_ts": start });
        let replies = replies
            .iter()
            .map(|ts| json!({ "ts": ts, "thread_ts": query["ts"] }));
        let messages: Vec<Value> = std::iter::once(start).chain(replies).collect();
        return Reply::json(json!({ "ok": true, "messages": messages }));
    }
    let text = if has_changed { "edited" } else { "said" };
    let latest = if has_changed { late } else { then };
    let all = [
        json!({ "ts": new, "thread_ts": new, "reply_count": 1, "latest_reply": new }),
        json!({ "ts": old, "text": text, "thread_ts": old, "reply_count": 1, "latest_reply": latest }),
    ];
    let oldest: f64 = query["oldest"].parse().unwrap();
    let listed: Vec<&Value> = all
        .iter()
        .filter(|one| one["ts"].as_str().unwrap().parse::<f64>().unwrap() >= oldest)
        .collect();
    Reply::json(json!({ "ok": true, "messages": listed }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_old_messages_of_slack_is_found_within_a_day() {
    let has_changed = Arc::new(AtomicBool::new(false));
    let of = has_changed.clone();
    let party = Party::start(move |asked, _| slack(asked, of.load(Ordering::Relaxed))).await;
    let directory = tempfile::tempdir().unwrap();
    let connector = json!({ "name": "c", "type": "SLACK", "streams": ["messages", "threads"],
        "providerConfig": { "baseUrl": party.url, "token": "xoxb-1", "channels": ["C1"] } });
    let worker = worker(directory.path(), &connector);
    let poll = |now| poll(&worker, now, "published");
    // Two messages and a reply.
    assert_eq!(poll("2026-02-11T00:00:00Z").await, 3);
    has_changed.store(true, Ordering::Relaxed);
    assert_eq!(poll("2026-02-11T12:00:00Z").await, 0);
    // The edit, and the reply to the old thread.
    assert_eq!(poll("2026-02-12T00:00:01Z").await, 2);
    assert_eq!(poll("2026-02-12T01:00:00Z").await, 0);
}
