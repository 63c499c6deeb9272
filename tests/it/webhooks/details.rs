//! Records that a delivery only names are fetched where the provider has them, and become what a
//! poll would have made of them.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant as Clock};

use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::sign;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Recording, recordings, serve};
use crate::support::party::{Asked, Party, Reply};
use crate::support::worker::Worker;

/// How long a delivery may take to become a signal on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn recorded(provider: &str, name: &str) -> Recording {
    let mut all = recordings().into_iter();
    all.find(|one| one.provider == provider && one.name == name)
        .unwrap()
}

async fn deliver(one: &Recording, address: &str) {
    let catalog = Catalog::load(None).unwrap();
    let manifest = catalog.get(&one.provider.to_uppercase()).unwrap();
    let webhooks = manifest.metadata.webhooks.clone().unwrap();
    let now = Timestamp::now();
    let mut schemes = webhooks.schemes.iter();
    let signed = schemes.find_map(|way| sign(way, &one.secret, &one.delivery(now), now).ok());
    let signed = signed.unwrap();
    let url = format!("http://{address}/webhooks/c");
    let request = reqwest::Client::new().post(url).headers(signed.headers);
    let answer = request.body(signed.body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", one.name);
}

/// What was published, as `type subject`; less than `count` if no more comes.
async fn published(worker: &Worker, count: usize) -> Vec<String> {
    let count = count.to_string();
    let mut command = worker.command();
    let tail = command.args(["tail", "--from-start", "--count", &count]);
    let tail = tail.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = tail.spawn().unwrap();
    let started = Clock::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut out = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut out).unwrap();
    let shown = out.lines().map(|line| {
        let signal: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| signal[name].as_str().unwrap().to_owned();
        format!("{} {}", text("type"), text("subject"))
    });
    shown.collect()
}

fn jira(asked: &Asked) -> Reply {
    match asked.path() {
        "/rest/api/3/search/jql" if asked.target.contains("updated+%3E%3D+0+") => {
            Reply::json(json!({ "issues": [
                { "id": "10040", "fields": { "updated": "2019-02-01T10:00:00.000+0000" } }] }))
        }
        "/rest/api/3/search/jql" => Reply::json(json!({ "issues": [] })),
        "/rest/api/3/issue/10040/comment" => {
            Reply::json(json!({ "startAt": 0, "total": 1, "comments": [
                { "id": "10019", "created": "2019-02-01T10:00:00.000+0000",
                  "updated": "2019-02-01T10:00:00.000+0000", "body": null }] }))
        }
        path => match path.strip_prefix("/rest/api/3/issue/") {
            Some(id) => {
                assert_eq!(
                    asked.target.split_once('?').unwrap().1,
                    "fields=*navigable,updated"
                );
                Reply::json(
                    json!({ "id": id, "fields": { "updated": "2019-03-01T10:00:00.000+0000" } }),
                )
            }
            None => Reply::status(404, "{}"),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_jira_become_issues_and_deletions_of_comments() {
    let party = Party::start(|asked, _| jira(asked)).await;
    let created = recorded("jira", "issue_created_cloud");
    let mut deleted = recorded("jira", "comment_created_cloud");
    let body = String::from_utf8(deleted.body.to_vec()).unwrap();
    let body = body.replace("comment_created", "comment_deleted");
    deleted.body = body.into();
    let delivery: Value = serde_json::from_slice(&deleted.body).unwrap();
    assert_eq!(delivery["comment"]["id"], "10019");
    let home = tempfile::tempdir().unwrap();
    let config = json!({ "connectors": [{
        "name": "c", "type": "JIRA", "streams": ["issues", "comments"], "pollIntervalMs": 3_600_000,
        "webhook": { "secrets": [created.secret.expose()] },
        "providerConfig": { "baseUrl": party.url, "email": "a@example.org", "apiToken": "t" },
    }]});
    std::fs::write(home.path().join("connectors.json"), config.to_string()).unwrap();
    let worker = Worker::new(home.path()).env("CONNECTOR_STORE", "sqlite:store.db");
    let first = worker.clone();
    let polled = tokio::task::spawn_blocking(move || first.run(&["poll", "c"])).await;
    assert_eq!(polled.unwrap().json()["published"], 2);
    let (process, address) = serve(&worker).await;
    deliver(&created, &address).await;
    deliver(&deleted, &address).await;
    let id: Value = serde_json::from_slice(&created.body).unwrap();
    let id = id["issue"]["id"].as_str().unwrap();
    let mut found = published(&worker, 4).await;
    found.drain(..2);
    found.sort();
    assert_eq!(
        found,
        [
            "jira.comments.deleted 10019".to_owned(),
            format!("jira.issues.created {id}")
        ],
        "{}",
        process.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_gitlab_become_what_its_lists_hold() {
    let names = [
        "issue",
        "merge_request",
        "pipeline",
        "note_issue",
        "deployment",
    ];
    let party = Party::start(|asked, _| {
        let at = "2026-02-01T10:00:00.000Z";
        // A list ends in a word, a record in its number.
        let last = asked.path().rsplit('/').next().unwrap();
        match last.parse::<u64>() {
            Ok(id) => Reply::json(json!({ "id": id, "updated_at": at, "created_at": at })),
            Err(_) => Reply::json(json!([])),
        }
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let config = json!({ "connectors": [{
        "name": "c", "type": "GITLAB", "pollIntervalMs": 3_600_000,
        "streams": ["issues", "merge_requests", "pipelines", "notes", "deployments"],
        "webhook": { "secrets": [recorded("gitlab", "issue").secret.expose()] },
        "providerConfig": { "baseUrl": party.url, "token": "t", "groups": ["any"] },
    }]});
    std::fs::write(home.path().join("connectors.json"), config.to_string()).unwrap();
    let worker = Worker::new(home.path()).env("CONNECTOR_STORE", "sqlite:store.db");
    let (_process, address) = serve(&worker).await;
    for name in names {
        deliver(&recorded("gitlab", name), &address).await;
    }
    let found = published(&worker, names.len()).await;
    let mut asked: Vec<String> = party
        .asked()
        .iter()
        .map(|one| one.path().to_owned())
        .filter(|path| path.ends_with(|last: char| last.is_ascii_digit()))
        .collect();
    asked.sort();
    insta::assert_snapshot!(format!("{}\n{}", asked.join("\n"), found.join("\n")));
}
