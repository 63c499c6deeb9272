//! What is remembered, and what could not be published: shown, changed, carried elsewhere.

use std::fs;

use redis::Commands;
use serde_json::json;

use super::*;

/// Makes the stream one that remembers where its last read ended.
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
