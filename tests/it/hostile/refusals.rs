//! Refusals of several streams' requests: what is about the credentials ends the poll, what is about
//! one stream does not keep the others from being read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{MANIFEST, Scene, connector, page, start_manifest};
use crate::support::raw_http::{RawServer, Step, answer};

/// What the provider answers to a path.
type Answers = Arc<Mutex<Box<dyn Fn(&str) -> Vec<Step> + Send>>>;

/// Three streams that differ in their paths.
fn manifest() -> String {
    let (before, rest) = MANIFEST.split_once("  - type: DeclarativeStream").unwrap();
    let (stream, after) = rest.split_once("spec:\n").unwrap();
    let streams: String = ["items", "others", "rest"]
        .map(|name| {
            let stream = stream.replace("name: items", &format!("name: {name}"));
            let stream = stream.replace("path: /items", &format!("path: /{name}"));
            format!("  - type: DeclarativeStream{stream}")
        })
        .concat();
    format!("{before}{streams}spec:\n{after}").replace("RATE_LIMITS", "{}")
}

/// A worker that reads the three streams, its provider, and how that answers.
async fn scene(token: &str) -> (Scene, RawServer, Answers) {
    let answers: Answers = Arc::new(Mutex::new(Box::new(|_: &str| page(0..3, None))));
    let now = answers.clone();
    let server = RawServer::start(move |_, head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        now.lock().unwrap()(path)
    })
    .await;
    let scene = start_manifest(&[connector("items", &server, token)], &manifest());
    (scene, server, answers)
}

fn polls(scene: &Scene) -> u64 {
    scene.metric("polls_total", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_refused_credentials_one_request_a_poll_is_enough() {
    for (status, body) in [
        ("401 Unauthorized", r#"{"message": "Bad credentials"}"#),
        ("401 Unauthorized", "<html>"),
    ] {
        let (scene, server, answers) = scene("s3cret-token").await;
        scene.until_well();
        let (asked, before) = (Arc::new(AtomicUsize::new(0)), polls(&scene));
        let count = asked.clone();
        *answers.lock().unwrap() = Box::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answer(status, "", body)
        });
        let found = scene.until("it parks", |found| found["phase"] == "parked");
        assert_eq!(polls(&scene), before + 1);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{}", scene.process.log());
        assert_eq!(found["health"], "unhealthy");
        let failing = &found["failingStreams"];
        assert!(
            failing["items"].to_string().contains("answered 401"),
            "{failing}"
        );
        for name in ["others", "rest"] {
            let why = failing[name].to_string();
            assert!(why.contains("credentials refused: stream"), "{failing}");
            assert!(why.contains("not asked"), "{failing}");
        }
        assert_eq!(scene.metric("deletions_total", "items"), 0);
        // A minute at the least passes before they are tried again.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(!scene.process.log().contains("s3cret-token"));
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_stream_may_not_read_keeps_no_other_from_being_read() {
    for (status, headers) in [
        ("403 Forbidden", ""),
        // Another scope is wanted: the token is a good one.
        (
            "401 Unauthorized",
            "WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"items:read\"\r\n",
        ),
        ("404 Not Found", ""),
    ] {
        let (scene, _server, answers) = scene("t0ken").await;
        scene.until_well();
        *answers.lock().unwrap() = Box::new(move |path| match path {
            "/items" => answer(status, headers, "{}"),
            _ => page(0..5, None),
        });
        let found = scene.until("the others are read", |found| {
            found["failingStreams"]["items"].is_string()
                && found["lastSummary"]["fetched"] == json!(10)
        });
        assert_eq!(
            found["failingStreams"]
                .as_object()
                .map_or(0, serde_json::Map::len),
            1
        );
        scene.until("four new records", |_| {
            scene.metric("signals_published_total", "") == 9 + 4
        });
        let well = |found: &Value| found["health"] == "degraded" && found["phase"] != "parked";
        scene.until("degraded, not parked", well);
        assert_eq!(scene.metric("deletions_total", "items"), 0);
    }
}
