//! Deliveries wait in their connector's queue until a commit takes them away.

use std::time::Duration;

use connector_worker::store::{
    Acknowledged, Commit, Committed, Enqueued, Failed, Owner, QueueLimits, QueuedDelivery,
    WaitingDelivery,
};

use super::scene::{LONG, Scene, empty, publish};

const LIMITS: QueueLimits = QueueLimits {
    dedupe: Duration::from_hours(24),
    max_ids: 1000,
    max_queued: 1000,
    max_bytes: 1 << 20,
};

fn delivery(id: &str) -> QueuedDelivery {
    QueuedDelivery {
        id: id.to_owned(),
        received_ms: 1_700_000_000_123,
        head: "{\"path\":\"/x\"}".into(),
        body: vec![0, 255, b'\n', b'{'].into(),
    }
}

fn deliveries(ids: &[&str]) -> Vec<QueuedDelivery> {
    ids.iter().map(|id| delivery(id)).collect()
}

async fn append(scene: &Scene, ids: &[&str]) -> Vec<Enqueued> {
    let answer = scene.store.enqueue("a", &LIMITS, &deliveries(ids)).await;
    answer.unwrap().outcomes
}

async fn waiting(scene: &Scene) -> Vec<WaitingDelivery> {
    scene.store.waiting("a", None, 10_000).await.unwrap()
}

async fn ids(scene: &Scene) -> Vec<String> {
    let waiting = waiting(scene).await;
    waiting.into_iter().map(|one| one.delivery.id).collect()
}

fn acknowledge(waiting: &[WaitingDelivery], failed: Option<&str>) -> Vec<Acknowledged> {
    let each = waiting.iter().map(|one| Acknowledged {
        entry: one.entry.clone(),
        bytes: one.delivery.bytes(),
        failed: failed.map(|reason| Failed {
            reason: reason.to_owned(),
            attempts: 3,
        }),
    });
    each.collect()
}

pub async fn deliveries_wait_in_order_and_unchanged(scene: Scene) {
    use Enqueued::Queued;
    assert_eq!(append(&scene, &["1", "2"]).await, [Queued, Queued]);
    assert_eq!(append(&scene, &["3"]).await, [Queued]);
    let all = waiting(&scene).await;
    let found: Vec<_> = all.iter().map(|one| one.delivery.clone()).collect();
    assert_eq!(found, deliveries(&["1", "2", "3"]));
    let after = scene
        .store
        .waiting("a", Some(&all[0].entry), 1)
        .await
        .unwrap();
    assert_eq!(after, all[1..2]);
    assert!(scene.store.waiting("b", None, 10).await.unwrap().is_empty());
}

pub async fn attempts_are_remembered_until_they_are_forgotten(scene: Scene) {
    append(&scene, &["1", "2", "3"]).await;
    let entries: Vec<String> = waiting(&scene)
        .await
        .into_iter()
        .map(|one| one.entry)
        .collect();
    let note = |begun: &[String], done: &[String]| {
        let (begun, done) = (begun.to_vec(), done.to_vec());
        let store = scene.store.clone();
        async move { store.note_attempts("a", &begun, &done).await.unwrap() }
    };
    note(&entries[..2], &[]).await;
    note(&entries[..1], &[]).await;
    // Another connector's are its own.
    scene.store.note_attempts("b", &entries, &[]).await.unwrap();
    let attempts = async || -> Vec<u32> {
        waiting(&scene)
            .await
            .iter()
            .map(|one| one.attempts)
            .collect()
    };
    assert_eq!(attempts().await, [2, 1, 0]);
    note(&entries[2..], &entries[..1]).await;
    assert_eq!(attempts().await, [0, 1, 1]);
    note(&[], &[]).await;
    assert_eq!(attempts().await, [0, 1, 1]);
}

pub async fn an_id_is_queued_once(scene: Scene) {
    use Enqueued::{Known, Queued};
    assert_eq!(
        append(&scene, &["1", "1", "2"]).await,
        [Queued, Known, Queued]
    );
    assert_eq!(append(&scene, &["2", "3"]).await, [Known, Queued]);
    // Also once it is processed.
    let lease = scene.hold("a", "w/1/1").await;
    let all = waiting(&scene).await;
    let commit = Commit {
        acknowledged: acknowledge(&all, None),
        ..empty("a", 1)
    };
    scene.apply(&lease, &commit).await;
    assert_eq!(append(&scene, &["1"]).await, [Known]);
    assert!(ids(&scene).await.is_empty());
    // Another connector's ids are its own.
    let other = scene.store.enqueue("b", &LIMITS, &deliveries(&["1"])).await;
    assert_eq!(other.unwrap().outcomes, [Queued]);
}

pub async fn ids_are_forgotten_in_time_and_beyond_their_number(scene: Scene) {
    use Enqueued::{Known, Queued};
    let few = QueueLimits {
        max_ids: 2,
        ..LIMITS
    };
    for (id, evicted) in [("1", 0), ("2", 0), ("3", 1)] {
        let answer = scene
            .store
            .enqueue("a", &few, &deliveries(&[id]))
            .await
            .unwrap();
        assert_eq!(
            (answer.outcomes, answer.evicted_ids),
            (vec![Queued], evicted)
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(
        append(&scene, &["3", "2", "1"]).await,
        [Known, Known, Queued]
    );
    tokio::time::sleep(Duration::from_millis(5)).await;
    let short = QueueLimits {
        dedupe: Duration::from_millis(1),
        ..LIMITS
    };
    let again = scene
        .store
        .enqueue("a", &short, &deliveries(&["3"]))
        .await
        .unwrap();
    assert_eq!(again.outcomes, [Queued]);
    // The last may have aged out by now.
    assert!(scene.store.queue_level("a").await.unwrap().ids <= 1);
}

pub async fn a_full_queue_takes_no_more_and_no_id(scene: Scene) {
    use Enqueued::{Full, Queued};
    let two = QueueLimits {
        max_queued: 2,
        ..LIMITS
    };
    let answer = scene
        .store
        .enqueue("a", &two, &deliveries(&["1", "2", "3"]))
        .await
        .unwrap();
    assert_eq!(answer.outcomes, [Queued, Queued, Full]);
    assert_eq!(
        (answer.queued, answer.bytes),
        (2, 2 * delivery("1").bytes())
    );
    let small = QueueLimits {
        max_bytes: 3 * delivery("1").bytes() - 1,
        ..LIMITS
    };
    let answer = scene
        .store
        .enqueue("a", &small, &deliveries(&["3"]))
        .await
        .unwrap();
    assert_eq!(answer.outcomes, [Full]);
    assert_eq!(append(&scene, &["3"]).await, [Queued]);
    // The first always fits.
    let tiny = QueueLimits {
        max_bytes: 1,
        ..LIMITS
    };
    let answer = scene
        .store
        .enqueue("b", &tiny, &deliveries(&["1", "2"]))
        .await
        .unwrap();
    assert_eq!(answer.outcomes, [Queued, Full]);
}

pub async fn a_commit_acknowledges_what_it_publishes(scene: Scene) {
    append(&scene, &["1", "2", "3"]).await;
    let lease = scene.hold("a", "w/1/1").await;
    let all = waiting(&scene).await;
    let commit = Commit {
        acknowledged: acknowledge(&all[..2], None),
        ..publish("a", 1, &["k"])
    };
    scene.apply(&lease, &commit).await;
    assert_eq!(ids(&scene).await, ["3"]);
    assert_eq!(scene.field("subject").await, ["k"]);
    // The same bytes again do nothing.
    append(&scene, &["4"]).await;
    scene.apply(&lease, &commit).await;
    assert_eq!(ids(&scene).await, ["3", "4"]);
    let level = scene.store.queue_level("a").await.unwrap();
    assert_eq!((level.queued, level.bytes), (2, 2 * delivery("1").bytes()));
    assert_eq!(level.oldest_ms, Some(1_700_000_000_123));
    // Whoever lost the lease acknowledges nothing.
    let owner = Owner::from("w/2/2");
    scene.store.release(&lease).await.unwrap();
    scene.store.acquire("a", &owner, None, LONG).await.unwrap();
    let late = Commit {
        acknowledged: acknowledge(&waiting(&scene).await, None),
        ..empty("a", 2)
    };
    assert_eq!(scene.commit(&lease, &late).await, Committed::Fenced);
    assert_eq!(ids(&scene).await, ["3", "4"]);
}

pub async fn a_failed_delivery_waits_among_the_dead_ones(scene: Scene) {
    append(&scene, &["1", "2", "3"]).await;
    let lease = scene.hold("a", "w/1/1").await;
    let all = waiting(&scene).await;
    let commit = Commit {
        acknowledged: [
            acknowledge(&all[..1], Some("poison")),
            acknowledge(&all[1..2], None),
            acknowledge(&all[2..], Some("more poison")),
        ]
        .concat(),
        ..empty("a", 1)
    };
    scene.apply(&lease, &commit).await;
    assert!(ids(&scene).await.is_empty());
    let dead = scene.store.dead_deliveries("a", None, 10).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].delivery, delivery("1"));
    assert_eq!(
        (&*dead[0].failed.reason, dead[0].failed.attempts),
        ("poison", 3)
    );
    assert!(dead[0].time.ends_with('Z'));
    let level = scene.store.queue_level("a").await.unwrap();
    assert_eq!((level.queued, level.bytes, level.dead), (0, 0, 2));

    // Back into the queue under the same id, although that is known.
    let entry = vec![dead[0].entry.clone()];
    assert_eq!(
        scene
            .store
            .replay_deliveries("a", Some(&entry))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        scene
            .store
            .replay_deliveries("a", Some(&entry))
            .await
            .unwrap(),
        0
    );
    assert_eq!(waiting(&scene).await[0].delivery, delivery("1"));
    assert_eq!(
        scene.store.queue_level("a").await.unwrap().bytes,
        delivery("1").bytes()
    );
    assert_eq!(
        scene.store.purge_dead_deliveries("a", None).await.unwrap(),
        1
    );
    assert!(
        scene
            .store
            .dead_deliveries("a", None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(ids(&scene).await, ["1"]);
}

pub async fn an_append_wakes_who_waits(scene: Scene) {
    let store = scene.store.clone();
    #[expect(clippy::disallowed_methods, reason = "awaited below")]
    let heard = tokio::spawn(async move {
        loop {
            let arrived = store.delivered("a");
            let _ = tokio::time::timeout(Duration::from_millis(500), arrived).await;
            if !store.waiting("a", None, 1).await.unwrap().is_empty() {
                return;
            }
        }
    });
    append(&scene, &["1"]).await;
    tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .unwrap()
        .unwrap();
}

pub async fn concurrent_appends_claim_an_id_once(scene: Scene) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = scene.store.clone();
        tasks.spawn(async move {
            store
                .enqueue("a", &LIMITS, &deliveries(&["1", "2"]))
                .await
                .unwrap()
                .outcomes
        });
    }
    let outcomes = tasks.join_all().await.concat();
    let queued = outcomes
        .iter()
        .filter(|one| **one == Enqueued::Queued)
        .count();
    assert_eq!((outcomes.len(), queued), (32, 2));
    assert_eq!(ids(&scene).await.len(), 2);
}
