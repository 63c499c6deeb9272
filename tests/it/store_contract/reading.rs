//! What was written is read back: state, versions, entries, dead letters, metrics.

use std::time::Duration;

use connector_worker::store::{Commit, Committed, KnownVersion, State, StreamLevel, VersionEntry};
use tokio::time::{Instant, sleep, timeout};

use super::scene::{LONG, OUTPUT, Scene, empty, known, letter, publish, version};

pub async fn unknown_names_are_empty(scene: Scene) {
    let store = &scene.store;
    store.ping().await.unwrap();
    assert_eq!(store.load_state("none").await.unwrap(), State::default());
    assert!(scene.versions("none").await.is_empty());
    let fields = [b"issues\0k".to_vec()];
    assert_eq!(store.get_versions("none", &fields).await.unwrap(), [None]);
    assert!(store.get_versions("none", &[]).await.unwrap().is_empty());
    assert!(store.load_metrics("none").await.unwrap().is_empty());
    assert!(
        store
            .dead_letters("none", None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.purge_dead_letters("none", None).await.unwrap(), 0);
    assert_eq!(store.last_entry("none").await.unwrap(), None);
    assert_eq!(store.trim("none").await.unwrap(), StreamLevel::default());
    let entries = store.read_stream("none", None, 10, Duration::ZERO);
    assert!(entries.await.unwrap().is_empty());
}

pub async fn state_survives_as_the_last_commit_left_it(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    scene.apply(&old, &publish("a", 1, &["k1", "k2"])).await;
    scene.apply(&old, &publish("a", 2, &["k2", "k3"])).await;
    scene.store.release(&old).await.unwrap();
    let (new, state) = scene.hold_for("a", "w2", LONG).await;
    assert_eq!((new.epoch, state.epoch), (2, 2));
    assert_eq!((state.sequence, state.versions), (2, 3));
    assert_eq!(state.fields["cursor:issues"], "2");
    assert_eq!(state, scene.store.load_state("a").await.unwrap());
}

pub async fn versions_are_set_replaced_and_removed(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let dated = KnownVersion {
        instant: Some(1_708_770_600_123),
        ..known(2)
    };
    let aged = KnownVersion {
        day: Some(20_000),
        ..known(3)
    };
    let both = KnownVersion {
        instant: Some(-62_135_596_800_000),
        day: Some(u16::MAX),
        ..known(4)
    };
    let entry = |key: &str, known| VersionEntry {
        known,
        ..version("issues", key, 0)
    };
    let set = Commit {
        versions: vec![
            entry("plain", known(1)),
            entry("dated", dated),
            entry("aged", aged),
            entry("both", both),
        ],
        ..empty("a", 1)
    };
    scene.apply(&lease, &set).await;
    let fields: Vec<Vec<u8>> = set
        .versions
        .iter()
        .map(|entry| entry.field.clone())
        .collect();
    let read = || scene.store.get_versions("a", &fields);
    assert_eq!(
        read().await.unwrap(),
        [Some(known(1)), Some(dated), Some(aged), Some(both)]
    );

    let change = Commit {
        versions: vec![entry("plain", dated), entry("dated", known(7))],
        gone: vec![fields[3].clone(), b"issues\0never there".to_vec()],
        ..empty("a", 2)
    };
    scene.apply(&lease, &change).await;
    let now = [Some(dated), Some(known(7)), Some(aged), None];
    assert_eq!(read().await.unwrap(), now);
    assert_eq!(scene.versions("a").await.len(), 3);
    assert_eq!(scene.store.load_state("a").await.unwrap().versions, 3);
}

pub async fn state_fields_are_set_and_removed(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let set = |sequence, fields: &[(&str, Option<&str>)]| Commit {
        state: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
            .collect(),
        ..empty("a", sequence)
    };
    let first = set(
        1,
        &[("cursor:a", Some("1")), ("cursor:b", Some("")), ("x", None)],
    );
    scene.apply(&lease, &first).await;
    let second = set(
        2,
        &[
            ("cursor:a", None),
            ("cursor:b", Some("2")),
            ("etag:b:q", Some("e")),
        ],
    );
    scene.apply(&lease, &second).await;
    let state = scene.store.load_state("a").await.unwrap();
    let fields: Vec<_> = state.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(fields, [("cursor:b", "2"), ("etag:b:q", "e")]);
}

fn two_streams(sequence: u64) -> Commit {
    let fields = [
        "cursor:issues",
        "etag:issues:ab12",
        "cursor:issues2",
        "etag:issues2:ab12",
        "cursor:a",
    ];
    Commit {
        versions: vec![
            version("issues", "k1", 1),
            version("issues", "k2", 1),
            version("issues2", "k1", 1),
            version("a", "issues", 1),
        ],
        state: fields
            .map(|field| (field.to_owned(), Some("x".to_owned())))
            .into(),
        ..publish("a", sequence, &["k1"])
    }
}

pub async fn a_reset_keeps_epoch_and_sequence(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.apply(&lease, &two_streams(1)).await;
    let answer = scene.store.reset_state(&lease, None).await.unwrap();
    assert_eq!(answer, Committed::Applied { lease_held: true });
    let state = scene.store.load_state("a").await.unwrap();
    assert_eq!((state.epoch, state.sequence, state.versions), (1, 1, 0));
    assert!(state.fields.is_empty(), "{state:?}");
    assert!(scene.versions("a").await.is_empty());
    // What was published stays published, and the numbering goes on.
    assert_eq!(scene.field("subject").await, ["k1"]);
    scene.apply(&lease, &two_streams(2)).await;
}

pub async fn a_reset_of_one_stream_spares_the_others(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.apply(&lease, &two_streams(1)).await;
    scene
        .store
        .reset_state(&lease, Some("issues"))
        .await
        .unwrap();
    let state = scene.store.load_state("a").await.unwrap();
    let fields: Vec<&str> = state.fields.keys().map(String::as_str).collect();
    assert_eq!(fields, ["cursor:a", "cursor:issues2", "etag:issues2:ab12"]);
    assert_eq!((state.epoch, state.sequence, state.versions), (1, 1, 2));
    let kept: Vec<Vec<u8>> = scene
        .versions("a")
        .await
        .into_iter()
        .map(|(f, _)| f)
        .collect();
    assert_eq!(kept, [b"a\0issues".to_vec(), b"issues2\0k1".to_vec()]);
}

pub async fn a_reset_is_fenced(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    scene.apply(&old, &two_streams(1)).await;
    scene.store.release(&old).await.unwrap();
    scene.hold("a", "w2").await;
    let answer = scene.store.reset_state(&old, None).await.unwrap();
    assert_eq!(answer, Committed::Fenced);
    assert_eq!(scene.store.load_state("a").await.unwrap().versions, 4);
}

pub async fn entries_are_read_in_order_from_any_point(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene
        .apply(&lease, &publish("a", 1, &["k1", "k2", "k3"]))
        .await;
    scene.apply(&lease, &publish("a", 2, &["k4", "k5"])).await;
    let mut read = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = scene
            .store
            .read_stream(OUTPUT, after.as_deref(), 2, Duration::ZERO);
        let page = page.await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        read.extend(page);
        assert!(read.len() <= 5);
    }
    let subjects: Vec<_> = read.iter().map(|entry| entry.fields[4].1.clone()).collect();
    assert_eq!(subjects, ["k1", "k2", "k3", "k4", "k5"]);
    assert_eq!(scene.store.last_entry(OUTPUT).await.unwrap(), after);
    let all = scene
        .store
        .read_stream(OUTPUT, Some("0-0"), 10, Duration::ZERO);
    assert_eq!(all.await.unwrap(), read);
}

pub async fn a_reader_waits_for_the_next_entry(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.apply(&lease, &publish("a", 1, &["k1"])).await;
    let last = scene.store.last_entry(OUTPUT).await.unwrap().unwrap();

    let start = Instant::now();
    let none = scene
        .store
        .read_stream(OUTPUT, Some(&last), 10, Duration::from_millis(300));
    assert!(none.await.unwrap().is_empty());
    assert!(
        start.elapsed() >= Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );

    let commit = publish("a", 2, &["k2"]);
    let write = async {
        sleep(Duration::from_millis(150)).await;
        scene.apply(&lease, &commit).await;
    };
    let read = scene.store.read_stream(OUTPUT, Some(&last), 10, LONG);
    let both = timeout(Duration::from_secs(5), async {
        tokio::join!(read, write).0
    });
    let entries = both.await.expect("the entry ends the wait").unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].fields[4].1, "k2");
}

pub async fn ids_that_are_none_are_refused(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let commit = Commit {
        dead_letters: vec![letter("x")],
        ..publish("a", 1, &["k1"])
    };
    scene.apply(&lease, &commit).await;
    let read = scene
        .store
        .read_stream(OUTPUT, Some("yesterday"), 1, Duration::ZERO);
    assert!(read.await.is_err());
    assert!(scene.store.dead_letters("a", Some("x"), 1).await.is_err());
    let ids = ["x".to_owned()];
    let purge = scene.store.purge_dead_letters("a", Some(&ids));
    assert!(purge.await.is_err());
}

pub async fn dead_letters_are_kept_and_purged(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let other = scene.hold("b", "w1").await;
    let poisoned = |connector, sequence, reasons: &[&str]| Commit {
        dead_letters: reasons.iter().map(|reason| letter(reason)).collect(),
        ..empty(connector, sequence)
    };
    scene.apply(&lease, &poisoned("a", 1, &["r1", "r2"])).await;
    scene.apply(&other, &poisoned("b", 1, &["other"])).await;
    scene.apply(&lease, &poisoned("a", 2, &["r3"])).await;

    let list = |after: Option<String>, count| {
        let store = &scene.store;
        async move {
            store
                .dead_letters("a", after.as_deref(), count)
                .await
                .unwrap()
        }
    };
    let all = list(None, 10).await;
    let reasons: Vec<&str> = all.iter().map(|entry| &*entry.letter.reason).collect();
    assert_eq!(reasons, ["r1", "r2", "r3"]);
    for entry in &all {
        assert_eq!(entry.letter.stream, "issues");
        assert!(entry.time.parse::<jiff::Timestamp>().is_ok(), "{entry:?}");
    }
    assert_eq!(list(None, 2).await, all[..2]);
    assert_eq!(list(Some(all[0].id.clone()), 10).await, all[1..]);

    let purge = |ids: Option<Vec<String>>| {
        let store = &scene.store;
        async move { store.purge_dead_letters("a", ids.as_deref()).await.unwrap() }
    };
    assert_eq!(purge(Some(vec![all[1].id.clone()])).await, 1);
    assert_eq!(purge(Some(vec![all[1].id.clone()])).await, 0);
    assert_eq!(list(None, 10).await.len(), 2);
    assert_eq!(purge(None).await, 2);
    assert!(list(None, 10).await.is_empty());
    let kept = scene.store.dead_letters("b", None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
}

pub async fn metrics_add_and_set(scene: Scene) {
    let record = |add: &'static [(&'static str, i64)], set: Vec<(&'static str, String)>| {
        let store = &scene.store;
        async move { store.record_metrics("a", add, &set).await.unwrap() }
    };
    record(
        &[("totalPolls", 1), ("failedPolls", 0)],
        vec![("lastPollTime", "2026-02-24T10:30:00Z".to_owned())],
    )
    .await;
    record(
        &[("totalPolls", 41)],
        vec![("averageLatencyMs", "12.5".to_owned())],
    )
    .await;
    record(
        &[("failedPolls", -2)],
        vec![("averageLatencyMs", "13".to_owned())],
    )
    .await;
    record(&[], vec![]).await;
    let metrics = scene.store.load_metrics("a").await.unwrap();
    assert_eq!(metrics["totalPolls"], "42");
    assert_eq!(metrics["failedPolls"], "-2");
    assert_eq!(metrics["averageLatencyMs"], "13");
    assert_eq!(metrics["lastPollTime"], "2026-02-24T10:30:00Z");
    assert!(scene.store.load_metrics("b").await.unwrap().is_empty());
    // Text is no counter.
    let wrong = scene.store.record_metrics("a", &[("lastPollTime", 1)], &[]);
    assert!(wrong.await.is_err());
}

pub async fn nothing_is_trimmed_without_consumers(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.apply(&lease, &publish("a", 1, &["k1", "k2"])).await;
    let level = scene.store.trim(OUTPUT).await.unwrap();
    assert_eq!((level.length, level.groups, level.trimmed), (2, 0, 0));
    assert_eq!(scene.field("subject").await, ["k1", "k2"]);
}
