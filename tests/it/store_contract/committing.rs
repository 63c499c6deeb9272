//! The one write: all of it or none, once, in order, by the right worker.

use std::time::Duration;

use bytes::Bytes;
use connector_worker::signal::{ChangeKind, Origin, Signal, Version, Via};
use connector_worker::store::{Commit, Committed, KnownVersion, Output, VersionEntry};
use futures::future::join_all;
use tokio::time::sleep;

use super::scene::{OUTPUT, Scene, empty, known, letter, publish, signal, version};

pub async fn a_commit_writes_everything(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let commit = Commit {
        dead_letters: vec![letter("no key")],
        ..publish("a", 1, &["k1", "k2"])
    };
    scene.apply(&lease, &commit).await;

    assert_eq!(scene.field("subject").await, ["k1", "k2"]);
    assert_eq!(
        scene.versions("a").await,
        [
            (b"issues\0k1".to_vec(), known(1)),
            (b"issues\0k2".to_vec(), known(1)),
        ]
    );
    let state = scene.store.load_state("a").await.unwrap();
    assert_eq!((state.epoch, state.sequence, state.versions), (1, 1, 2));
    assert_eq!(state.fields["cursor:issues"], "1");
    let letters = scene.store.dead_letters("a", None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].letter, letter("no key"));
}

pub async fn entries_carry_the_documented_fields_in_order(scene: Scene) {
    let lease = scene.hold("jira-prod", "w1").await;
    let issue = |kind| Signal {
        kind,
        subject: "10042".to_owned(),
        version: Version(*b"0123456789abcde\xff"),
        time: "2026-02-24T10:30:00Z".to_owned(),
        data: "{\"id\":10042}".into(),
    };
    let mut commit = Commit {
        signals: vec![issue(ChangeKind::Created), issue(ChangeKind::Updated)],
        ..empty("jira-prod", 1)
    };
    commit.origin.tenant = Some("acme".into());
    scene.apply(&lease, &commit).await;
    let commit = Commit {
        signals: vec![issue(ChangeKind::Deleted)],
        origin: Origin {
            via: Via::Webhook,
            ..empty("jira-prod", 2).origin
        },
        ..empty("jira-prod", 2)
    };
    scene.apply(&lease, &commit).await;

    let version = "303132333435363738396162636465ff";
    let entries = scene.store.read_stream(OUTPUT, None, 10, Duration::ZERO);
    let entries = entries.await.unwrap();
    let texts = |at: usize| {
        let fields = entries[at].fields.iter();
        let texts = fields
            .map(|(name, value)| format!("{name}={}", String::from_utf8(value.to_vec()).unwrap()));
        texts.collect::<Vec<_>>()
    };
    let expected = |kind: &str, id: &str, tenant: Option<&str>, via: &str, sequence: &str| {
        let mut lines = vec![
            "specversion=1.0".to_owned(),
            format!("id=jira-prod/issues/10042@{version}{id}"),
            "source=/connectors/jira-prod/streams/issues".to_owned(),
            format!("type=jira.issues.{kind}"),
            "subject=10042".to_owned(),
            format!("version={version}"),
            "time=2026-02-24T10:30:00Z".to_owned(),
            "datacontenttype=application/json".to_owned(),
            "connector=jira-prod".to_owned(),
            "stream=issues".to_owned(),
        ];
        lines.extend(tenant.map(|tenant| format!("tenant={tenant}")));
        lines.extend([
            format!("via={via}"),
            "epoch=1".to_owned(),
            format!("sequence={sequence}"),
            "data={\"id\":10042}".to_owned(),
        ]);
        lines
    };
    let (first, second) = ("000000000001", "000000000002");
    let acme = Some("acme");
    assert_eq!(entries.len(), 3);
    assert_eq!(texts(0), expected("created", ".1", acme, "poll", first));
    assert_eq!(texts(1), expected("updated", ".1", acme, "poll", first));
    assert_eq!(
        texts(2),
        expected("deleted", "-deleted.2", None, "webhook", second)
    );
}

pub async fn an_identical_resend_writes_nothing_twice(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let commit = Commit {
        dead_letters: vec![letter("no key")],
        ..publish("a", 1, &["k1", "k2"])
    };
    for _ in 0..3 {
        scene.apply(&lease, &commit).await;
    }
    assert_eq!(scene.field("subject").await, ["k1", "k2"]);
    assert_eq!(
        scene.store.dead_letters("a", None, 10).await.unwrap().len(),
        1
    );
    assert_eq!(scene.store.load_state("a").await.unwrap().sequence, 1);
    scene.apply(&lease, &publish("a", 2, &["k3"])).await;
    assert_eq!(scene.field("subject").await, ["k1", "k2", "k3"]);
}

pub async fn a_sequence_that_does_not_follow_is_a_gap(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    for sequence in 1..=3 {
        scene.apply(&lease, &empty("a", sequence)).await;
    }
    for sequence in [1, 2, 5, 6, u64::MAX / 4] {
        let answer = scene
            .commit(&lease, &publish("a", sequence, &["lost"]))
            .await;
        assert_eq!(answer, Committed::Gap { stored: 3 }, "sequence {sequence}");
    }
    assert!(scene.field("subject").await.is_empty());
    scene.apply(&lease, &publish("a", 4, &["k"])).await;
}

pub async fn a_newer_epoch_fences_the_older(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    scene.apply(&old, &publish("a", 1, &["k1"])).await;
    scene.store.break_lease("a").await.unwrap();
    let new = scene.hold("a", "w2").await;
    // Even what was applied under it: the answer would make a zombie go on.
    for sequence in [1, 2, 3] {
        let answer = scene
            .commit(&old, &publish("a", sequence, &["zombie"]))
            .await;
        assert_eq!(answer, Committed::Fenced, "sequence {sequence}");
    }
    scene.apply(&new, &publish("a", 2, &["k2"])).await;
    // The same epoch number is not enough: a failover may hand it out twice.
    let mut forged = new.clone();
    forged.owner = old.owner.clone();
    let answer = scene.commit(&forged, &publish("a", 3, &["zombie"])).await;
    assert_eq!(answer, Committed::Fenced);
    assert_eq!(scene.field("subject").await, ["k1", "k2"]);
    assert_eq!(scene.field("epoch").await, ["1", "2"]);
}

pub async fn a_commit_without_lease_key_applies_and_says_so(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.store.break_lease("a").await.unwrap();
    let commit = publish("a", 1, &["k"]);
    let lost = Committed::Applied { lease_held: false };
    assert_eq!(scene.commit(&lease, &commit).await, lost);
    assert_eq!(scene.commit(&lease, &commit).await, lost);
    assert_eq!(scene.field("subject").await, ["k"]);
    // The lease stays free for a standby.
    assert!(scene.store.leases().await.unwrap().is_empty());
}

pub async fn a_commit_extends_the_lease(scene: Scene) {
    let ttl = Duration::from_millis(1_500);
    let (lease, _) = scene.hold_for("a", "w1", ttl).await;
    for sequence in 1..=4 {
        sleep(ttl / 3).await;
        scene.apply(&lease, &empty("a", sequence)).await;
    }
}

pub async fn a_commit_without_signals_moves_state_alone(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let state = vec![("etag:issues:ab".to_owned(), Some("\"x\"".to_owned()))];
    let commit = Commit {
        state,
        ..empty("a", 1)
    };
    scene.apply(&lease, &commit).await;
    assert!(scene.field("id").await.is_empty());
    assert_eq!(scene.store.last_entry(OUTPUT).await.unwrap(), None);
    let state = scene.store.load_state("a").await.unwrap();
    assert_eq!(
        (state.sequence, &*state.fields["etag:issues:ab"]),
        (1, "\"x\"")
    );
}

pub async fn a_refused_commit_writes_nothing(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    let first = Commit {
        versions: vec![version("issues", "stays", 1)],
        state: vec![("cursor:issues".to_owned(), Some("before".to_owned()))],
        ..empty("a", 1)
    };
    scene.apply(&old, &first).await;
    scene.store.break_lease("a").await.unwrap();
    let new = scene.hold("a", "w2").await;
    let full = |sequence| Commit {
        gone: vec![b"issues\0stays".to_vec()],
        state: vec![
            ("cursor:issues".to_owned(), None),
            ("etag:issues:1".to_owned(), Some("new".to_owned())),
        ],
        dead_letters: vec![letter("refused")],
        ..publish("a", sequence, &["k"])
    };
    assert_eq!(scene.commit(&old, &full(2)).await, Committed::Fenced);
    let gap = Committed::Gap { stored: 1 };
    assert_eq!(scene.commit(&new, &full(3)).await, gap);

    assert!(scene.field("id").await.is_empty());
    let kept = [(b"issues\0stays".to_vec(), known(1))];
    assert_eq!(scene.versions("a").await, kept);
    let state = scene.store.load_state("a").await.unwrap();
    assert_eq!(
        state.fields.into_iter().collect::<Vec<_>>(),
        [("cursor:issues".to_owned(), "before".to_owned())]
    );
    assert!(
        scene
            .store
            .dead_letters("a", None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn an_output_at_its_limit_is_bounded(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let limited = |sequence, keys: &[&str]| Commit {
        output: Output {
            stream: OUTPUT.into(),
            max_len: 3,
        },
        ..publish("a", sequence, keys)
    };
    scene.apply(&lease, &limited(1, &["k1", "k2"])).await;
    if scene.refuses_when_full {
        let answer = scene.commit(&lease, &limited(2, &["k3", "k4"])).await;
        assert_eq!(answer, Committed::Full { length: 2 });
        assert_eq!(scene.store.load_state("a").await.unwrap().sequence, 1);
        // The sequence was not used up, and what fits is taken.
        scene.apply(&lease, &limited(2, &["k3"])).await;
        // Nothing to append: a full output does not stop cursors.
        scene.apply(&lease, &limited(3, &[])).await;
        assert_eq!(scene.field("subject").await, ["k1", "k2", "k3"]);
    } else {
        scene.apply(&lease, &limited(2, &["k3", "k4"])).await;
        assert_eq!(scene.field("subject").await, ["k2", "k3", "k4"]);
        assert_eq!(scene.store.trim(OUTPUT).await.unwrap().length, 3);
    }
}

pub async fn large_commits_arrive_whole(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let keys: Vec<String> = (0..1_234).map(|n| format!("key-{n:04}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    for (sequence, page) in (1..).zip(names.chunks(250)) {
        let mut commit = publish("a", sequence, page);
        for signal in &mut commit.signals {
            signal.data = Bytes::from(vec![b'x'; 2_048]);
        }
        scene.apply(&lease, &commit).await;
    }
    assert_eq!(scene.field("subject").await, keys);
    assert_eq!(scene.store.load_state("a").await.unwrap().versions, 1_234);
    let gone = Commit {
        gone: scene
            .versions("a")
            .await
            .into_iter()
            .map(|(field, _)| field)
            .collect(),
        ..empty("a", 6)
    };
    assert_eq!(gone.gone.len(), 1_234);
    scene.apply(&lease, &gone).await;
    assert_eq!(scene.store.load_state("a").await.unwrap().versions, 0);
}

pub async fn any_bytes_arrive_unchanged(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let bytes: Vec<u8> = (0..=255).cycle().take(1_024).collect();
    let subject = "line\nquote\"'zero\0 \u{fffd} 𝄞 %s {}";
    let commit = Commit {
        signals: vec![Signal {
            subject: subject.to_owned(),
            data: bytes.clone().into(),
            ..signal("")
        }],
        versions: vec![
            VersionEntry {
                field: bytes.clone(),
                known: known(255),
            },
            version("issues", "", 0),
            version("issues", subject, 10),
        ],
        state: vec![("cursor:issues".to_owned(), Some(subject.to_owned()))],
        dead_letters: vec![connector_worker::store::DeadLetter {
            reason: subject.to_owned(),
            data: bytes.clone().into(),
            ..letter("")
        }],
        ..empty("a", 1)
    };
    scene.apply(&lease, &commit).await;

    let entries = scene.store.read_stream(OUTPUT, None, 10, Duration::ZERO);
    let fields = entries.await.unwrap().remove(0).fields;
    assert_eq!(fields[4], ("subject".to_owned(), subject.into()));
    assert_eq!(
        fields.last(),
        Some(&("data".to_owned(), bytes.clone().into()))
    );
    let fields: Vec<Vec<u8>> = commit
        .versions
        .iter()
        .map(|entry| entry.field.clone())
        .collect();
    let versions = scene.store.get_versions("a", &fields).await.unwrap();
    assert_eq!(
        versions,
        [Some(known(255)), Some(known(0)), Some(known(10))]
    );
    assert_eq!(scene.versions("a").await.len(), 3);
    let state = scene.store.load_state("a").await.unwrap();
    assert_eq!(state.fields["cursor:issues"], subject);
    let letters = scene.store.dead_letters("a", None, 1).await.unwrap();
    assert_eq!(letters[0].letter, commit.dead_letters[0]);
}

pub async fn concurrent_resends_apply_once(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    for sequence in 1..=5 {
        let commit = publish("a", sequence, &["k"]);
        let sends = (0..4).map(|_| scene.store.commit(&lease, &commit));
        for answer in join_all(sends).await {
            assert_eq!(answer.unwrap(), Committed::Applied { lease_held: true });
        }
    }
    let sequences: Vec<String> = (1..=5).map(|n| format!("{n:012}")).collect();
    assert_eq!(scene.field("sequence").await, sequences);
}

pub async fn connectors_share_an_output_but_nothing_else(scene: Scene) {
    let (a, b) = (scene.hold("a", "w1").await, scene.hold("b", "w1").await);
    scene.apply(&a, &publish("a", 1, &["k1"])).await;
    scene.apply(&b, &publish("b", 1, &["k1"])).await;
    scene.apply(&a, &publish("a", 2, &["k2"])).await;
    let mut other = publish("b", 2, &["k2"]);
    other.output.stream = "elsewhere".into();
    other.versions[0].known = KnownVersion {
        instant: Some(-1),
        ..known(9)
    };
    scene.apply(&b, &other).await;
    assert_eq!(scene.field("connector").await, ["a", "b", "a"]);
    let elsewhere = scene
        .store
        .read_stream("elsewhere", None, 10, Duration::ZERO);
    assert_eq!(elsewhere.await.unwrap().len(), 1);
    let field = [b"issues\0k2".to_vec()];
    let of = |connector| scene.store.get_versions(connector, &field);
    assert_eq!(of("a").await.unwrap(), [Some(known(1))]);
    assert_eq!(of("b").await.unwrap()[0].unwrap().instant, Some(-1));
    scene.store.release(&a).await.unwrap();
    scene.apply(&b, &publish("b", 3, &["k3"])).await;
}
