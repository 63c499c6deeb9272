//! Commits that wait behind one another: what a store does for the next ahead of its turn shows
//! nowhere before that turn comes.

use connector_worker::store::{Commit, Committed, Lease, Output, Prepared, Queue};

use super::scene::{OUTPUT, Scene, publish};

const APPLIED: Committed = Committed::Applied { lease_held: true };

/// A commit of these keys that may leave `max_len` entries in the output.
fn bounded(sequence: u64, keys: &[&str], max_len: u64) -> Commit {
    Commit {
        output: Output {
            stream: OUTPUT.into(),
            max_len,
        },
        ..publish("a", sequence, keys)
    }
}

/// Writes the first of `commits` while the others wait behind it, and answers those.
async fn write_first(
    scene: &Scene,
    lease: &Lease,
    commits: Vec<Commit>,
) -> (Committed, Option<Prepared>, Queue) {
    let (sender, mut queue) = Queue::channel(commits.len());
    for commit in commits {
        let prepared = scene.store.prepare(lease, commit);
        sender.try_send(prepared).unwrap();
    }
    drop(sender);
    let mut first = queue.take().await.unwrap();
    let answer = (scene.store)
        .commit_prepared(lease, &mut first, &mut queue)
        .await
        .unwrap();
    let next = queue.take().await;
    (answer, next, queue)
}

pub async fn waiting_commits_are_written_in_their_order(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let (sender, mut queue) = Queue::channel(30);
    for sequence in 1..=30 {
        let keys = [&*format!("{sequence}a"), &*format!("{sequence}b")];
        let prepared = scene.store.prepare(&lease, publish("a", sequence, &keys));
        sender.try_send(prepared).unwrap();
    }
    drop(sender);
    while let Some(mut commit) = queue.take().await {
        let answer = scene.store.commit_prepared(&lease, &mut commit, &mut queue);
        assert_eq!(answer.await.unwrap(), APPLIED);
        // Again, as after an answer that was lost.
        let answer = scene.store.commit_prepared(&lease, &mut commit, &mut queue);
        assert_eq!(answer.await.unwrap(), APPLIED);
    }
    let expected: Vec<String> = (1..=30)
        .flat_map(|sequence| [format!("{sequence}a"), format!("{sequence}b")])
        .collect();
    assert_eq!(scene.field("subject").await, expected);
    assert_eq!(scene.versions("a").await.len(), 60);
    assert_eq!(scene.store.load_state("a").await.unwrap().sequence, 30);
}

pub async fn a_waiting_commit_that_is_given_up_writes_nothing(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let commits = vec![publish("a", 1, &["first"]), publish("a", 2, &["given up"])];
    let (answer, next, queue) = write_first(&scene, &lease, commits).await;
    assert_eq!(answer, APPLIED);
    drop((next, queue));
    // Its place is free for another.
    scene.apply(&lease, &publish("a", 2, &["instead"])).await;
    assert_eq!(scene.field("subject").await, ["first", "instead"]);
    assert_eq!(scene.versions("a").await.len(), 2);
}

pub async fn a_waiting_commit_is_fenced_like_any_other(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    let commits = vec![publish("a", 1, &["first"]), publish("a", 2, &["zombie"])];
    let (answer, next, mut queue) = write_first(&scene, &old, commits).await;
    assert_eq!(answer, APPLIED);
    scene.store.break_lease("a").await.unwrap();
    let new = scene.hold("a", "w2").await;
    let late = (scene.store)
        .commit_prepared(&old, &mut next.unwrap(), &mut queue)
        .await;
    assert_eq!(late.unwrap(), Committed::Fenced);
    scene.apply(&new, &publish("a", 2, &["second"])).await;
    assert_eq!(scene.field("subject").await, ["first", "second"]);
}

pub async fn a_waiting_commit_minds_how_full_the_output_is(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let commits = vec![bounded(1, &["1", "2"], 3), bounded(2, &["3", "4"], 3)];
    let (answer, next, mut queue) = write_first(&scene, &lease, commits).await;
    assert_eq!(answer, APPLIED);
    let mut next = next.unwrap();
    for _ in 0..2 {
        let answer = scene
            .store
            .commit_prepared(&lease, &mut next, &mut queue)
            .await
            .unwrap();
        if scene.refuses_when_full {
            assert_eq!(answer, Committed::Full { length: 2 });
            assert_eq!(scene.field("subject").await, ["1", "2"]);
        } else {
            assert_eq!(answer, APPLIED);
            assert_eq!(scene.field("subject").await.last().unwrap(), "4");
        }
    }
}
