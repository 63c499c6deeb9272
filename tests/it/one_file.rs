//! A provider that the worker does not know takes one file of YAML: the real binary reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::party::{Asked, Party, Reply};
use crate::support::worker::{Ran, Worker};

const MANIFEST: &str = include_str!("../fixtures/manifests/trackly.yaml");

/// What the tracker answers in the first, second, … poll.
fn answer(asked: &Asked, poll: usize) -> Reply {
    if asked.path() == "/oauth/token" {
        let token = json!({ "access_token": "t0", "token_type": "bearer", "expires_in": 3600 });
        return Reply::json(token);
    }
    if asked.header("authorization") != Some("Bearer t0") {
        return Reply::status(401, json!({ "ok": false, "why": "token" }));
    }
    let issue = |id: &str, day: u8| json!({ "id": id, "modified": format!("2026-02-{day:02}T00:00:00Z"), "assignee": null });
    let comment = |id: u8| json!({ "id": id, "written": format!("2026-02-{id:02}T00:00:00Z") });
    let is_second_page = asked.target.contains("after=n1");
    let body = match (asked.path(), poll) {
        ("/api/2/me", _) => json!({ "name": "bot", "scopes": ["issues:read"] }),
        ("/api/2/issues", 1) if is_second_page => {
            json!({ "issues": [issue("B", 2), issue("C", 3)], "meta": { "next": null } })
        }
        ("/api/2/issues", 1) => json!({ "issues": [issue("A", 1)], "meta": { "next": "n1" } }),
        ("/api/2/issues", 2) => json!({ "issues": [issue("A", 4)], "meta": { "next": null } }),
        ("/api/2/issues", _) => json!({ "ok": false, "why": "maintenance" }),
        ("/api/2/issues/A/comments", 1) => json!({ "comments": [comment(1), comment(2)] }),
        ("/api/2/issues/A/comments", _) => json!({ "comments": [comment(2), comment(3)] }),
        ("/api/2/issues/B/comments", _) => json!({ "comments": [comment(9)] }),
        ("/api/2/issues/C/comments", _) => json!({ "comments": [] }),
        ("/api/2/trash", 2) => {
            let gone = [("issue", "B"), ("label", "C"), ("issue", "unknown")];
            let gone = gone.map(|(kind, of)| json!({ "kind": kind, "of": of }));
            json!({ "gone": gone, "cursor": 7 })
        }
        ("/api/2/trash", 3) => json!({ "gone": [], "cursor": 7 }),
        _ => return Reply::status(404, json!({ "ok": false, "why": asked.target })),
    };
    Reply::json(body)
}

/// Type, key and order of what was published.
fn signals(ran: &Ran) -> Vec<String> {
    let lines = ran.out.lines();
    let mut signals: Vec<String> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|signal: Value| {
            let text = |key: &str| signal[key].as_str().unwrap().to_owned();
            format!("{} {}", text("type"), text("subject"))
        })
        .collect();
    signals.sort();
    signals
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_provider_takes_one_file_and_no_rust() {
    let poll = Arc::new(AtomicUsize::new(1));
    let of = poll.clone();
    let party = Party::start(move |asked, _| answer(asked, of.load(Ordering::Relaxed))).await;
    let directory = tempfile::tempdir().unwrap();
    let manifests = directory.path().join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    std::fs::write(manifests.join("trackly.yaml"), MANIFEST).unwrap();
    let config = json!({ "connectors": [{ "name": "tracker", "type": "TRACKLY", "providerConfig": {
        "baseUrl": party.url, "clientId": "c", "clientSecret": "${TRACKLY_SECRET}",
    } }] });
    std::fs::write(directory.path().join("connectors.json"), config.to_string()).unwrap();
    let worker = Worker::new(directory.path())
        .env("CONNECTOR_MANIFESTS_DIR", manifests.to_str().unwrap())
        .env("TRACKLY_SECRET", "s3cret-of-the-client")
        .env("CONNECTOR_STORE", "sqlite:store.db");
    let run = |arguments: Vec<&'static str>| {
        let worker = worker.clone();
        async move {
            let ran = tokio::task::spawn_blocking(move || worker.run(&arguments));
            let ran = ran.await.unwrap();
            assert!(!ran.out.contains("s3cret-of-the-client"), "{ran:?}");
            assert!(!ran.log.contains("s3cret-of-the-client"), "{ran:?}");
            ran
        }
    };

    let lint = vec![
        "manifest",
        "lint",
        "--deny-warnings",
        "manifests/trackly.yaml",
    ];
    let lint = run(lint).await;
    assert_eq!(lint.code, Some(0), "{lint:?}");
    let valid = run(vec!["validate"]).await;
    assert_eq!(valid.code, Some(0), "{valid:?}");
    let check = run(vec!["check", "tracker"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    for proven in [
        "knows us as bot",
        "issues:read",
        "stream comments can be read",
    ] {
        assert!(
            check.out.contains(proven) || check.log.contains(proven),
            "{check:?}"
        );
    }

    let first = run(vec!["poll", "tracker"]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    poll.store(2, Ordering::Relaxed);
    let second = run(vec!["poll", "tracker"]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    let published = run(vec!["tail", "--from-start", "--count", "10"]).await;
    assert_eq!(
        signals(&published),
        [
            r#"trackly.comments.created ["A",1]"#,
            r#"trackly.comments.created ["A",2]"#,
            r#"trackly.comments.created ["A",3]"#,
            r#"trackly.comments.created ["B",9]"#,
            r#"trackly.comments.deleted ["A",1]"#,
            "trackly.issues.created A",
            "trackly.issues.created B",
            "trackly.issues.created C",
            "trackly.issues.deleted B",
            "trackly.issues.updated A",
        ]
    );

    // What is no success is none, whatever the status says, and nothing is lost by it.
    poll.store(3, Ordering::Relaxed);
    let third = run(vec!["poll", "tracker"]).await;
    assert_eq!(third.code, Some(1), "{third:?}");
    assert!(third.log.contains("maintenance"), "{third:?}");
    let trash = party.asked_at("/api/2/trash");
    let since: Vec<&str> = trash.iter().map(|asked| &*asked.target).collect();
    assert_eq!(since, ["/api/2/trash?since=0", "/api/2/trash?since=7"]);
}
