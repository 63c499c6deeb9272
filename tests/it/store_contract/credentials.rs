//! Credentials: saved by revision, locked for a while, shared by whoever knows their id.

use std::time::Duration;

use connector_worker::store::{CredentialLock, Saved, StoredCredential, Turn, TurnRequest};

use super::Scene;
use super::scene::LONG;

fn stored(revision: u64, sealed: &[u8]) -> StoredCredential {
    StoredCredential {
        revision,
        sealed: sealed.to_vec().into(),
    }
}

pub async fn an_unknown_credential_is_empty(scene: Scene) {
    let store = &scene.store;
    assert_eq!(store.load_credential("c").await.unwrap(), stored(0, b""));
    store.unlock_credential("c", "a").await.unwrap();
    let lock = store.lock_credential("c", "a", LONG).await.unwrap();
    assert_eq!(lock, CredentialLock::Held(stored(0, b"")));
}

pub async fn a_lock_is_busy_for_others_until_it_is_given_up(scene: Scene) {
    let store = &scene.store;
    store.lock_credential("c", "a", LONG).await.unwrap();
    match store.lock_credential("c", "b", LONG).await.unwrap() {
        CredentialLock::Busy { remaining } => {
            assert!(remaining <= LONG && remaining > LONG / 2, "{remaining:?}");
        }
        held @ CredentialLock::Held(_) => panic!("{held:?}"),
    }
    // Another credential is another matter, and its holder may extend a lock.
    for (id, owner) in [("d", "b"), ("c", "a")] {
        let lock = store.lock_credential(id, owner, LONG).await.unwrap();
        assert_eq!(lock, CredentialLock::Held(stored(0, b"")));
    }
    store.unlock_credential("c", "b").await.unwrap();
    let lock = store.lock_credential("c", "b", LONG).await.unwrap();
    assert!(matches!(lock, CredentialLock::Busy { .. }), "{lock:?}");
    store.unlock_credential("c", "a").await.unwrap();
    let lock = store.lock_credential("c", "b", LONG).await.unwrap();
    assert!(matches!(lock, CredentialLock::Held(_)), "{lock:?}");
}

pub async fn a_lock_that_ended_goes_to_the_next(scene: Scene) {
    let store = &scene.store;
    let short = Duration::from_millis(60);
    store.lock_credential("c", "a", short).await.unwrap();
    loop {
        match store.lock_credential("c", "b", LONG).await.unwrap() {
            CredentialLock::Held(_) => break,
            CredentialLock::Busy { remaining } => {
                assert!(remaining <= short);
                tokio::time::sleep(remaining).await;
            }
        }
    }
}

pub async fn a_save_replaces_the_revision_that_was_read_and_no_other(scene: Scene) {
    let store = &scene.store;
    store.lock_credential("c", "a", LONG).await.unwrap();
    let save = async |owner: &str, revision, sealed: &[u8]| {
        store
            .save_credential("c", owner, revision, sealed, None)
            .await
            .unwrap()
    };
    let first = b"\0one\xff";
    assert_eq!(save("a", 0, first).await, Saved::Yes);
    assert_eq!(store.load_credential("c").await.unwrap(), stored(1, first));
    // The lock went with it.
    let lock = store.lock_credential("c", "b", LONG).await.unwrap();
    assert_eq!(lock, CredentialLock::Held(stored(1, first)));
    // An answer that was lost: the same again is the same thing.
    assert_eq!(save("a", 0, first).await, Saved::Yes);
    // A worker that read the older revision.
    assert_eq!(save("a", 0, b"late").await, Saved::Outdated);
    assert_eq!(store.load_credential("c").await.unwrap(), stored(1, first));
    let lock = store.lock_credential("c", "x", LONG).await.unwrap();
    assert!(matches!(lock, CredentialLock::Busy { .. }), "{lock:?}");
    // One whose lock ended is not refused for it.
    assert_eq!(save("c", 1, b"two").await, Saved::Yes);
    assert_eq!(store.load_credential("c").await.unwrap(), stored(2, b"two"));
}

pub async fn of_many_saves_of_one_revision_one_counts(scene: Scene) {
    let store = &scene.store;
    let attempts = (0..8).map(|number: u8| async move {
        let sealed = [number];
        store
            .save_credential("c", "x", 0, &sealed, Some(LONG))
            .await
            .unwrap()
    });
    let saved = futures::future::join_all(attempts).await;
    let kept = saved.iter().filter(|saved| **saved == Saved::Yes).count();
    assert_eq!(kept, 1);
    assert_eq!(store.load_credential("c").await.unwrap().revision, 1);
}

pub async fn a_wait_with_a_credential_is_everybodys_until_it_ends(scene: Scene) {
    let store = &scene.store;
    assert_eq!(store.wait_of_credential("c").await.unwrap(), None);
    store.make_credential_wait("c", LONG).await.unwrap();
    // A shorter one changes nothing, nor does that of another.
    let short = Duration::from_millis(60);
    store.make_credential_wait("c", short).await.unwrap();
    store.make_credential_wait("d", short).await.unwrap();
    let left = store.wait_of_credential("c").await.unwrap().unwrap();
    assert!(left <= LONG && left > LONG / 2, "{left:?}");
    while let Some(left) = store.wait_of_credential("d").await.unwrap() {
        assert!(left <= short, "{left:?}");
        tokio::time::sleep(left).await;
    }
    assert!(store.wait_of_credential("c").await.unwrap().is_some());
}

/// A turn at ten a second, four at once.
async fn turn(scene: &Scene, id: &str, process: &str, backlog: Duration) -> Turn {
    let request = TurnRequest {
        process,
        cost: Duration::from_millis(100),
        ahead: Duration::from_millis(300),
        backlog,
    };
    scene.store.take_turn(id, &request).await.unwrap()
}

pub async fn a_rate_is_one_process_s_until_another_asks(scene: Scene) {
    let none = Duration::ZERO;
    let first = turn(&scene, "r", "a", none).await;
    assert_eq!((first.backlog, first.processes), (none, 1));
    assert!(!first.alone_for.is_zero());
    // What it took meanwhile is what it says.
    let backlog = Duration::from_millis(2500);
    let began = std::time::Instant::now();
    assert_eq!(turn(&scene, "r", "a", backlog).await.backlog, backlog);
    // Another finds nothing of what was given away, nor of what was taken.
    let other = turn(&scene, "r", "b", none).await;
    assert_eq!((other.alone_for, other.processes), (none, 2));
    assert!(other.backlog <= backlog + Duration::from_millis(100));
    assert!(other.backlog + began.elapsed() >= backlog, "{other:?}");
    // Of another rate it knows nothing.
    let another = turn(&scene, "s", "b", none).await;
    assert_eq!((another.backlog, another.processes), (none, 1));
}

pub async fn turns_of_several_processes_follow_each_other(scene: Scene) {
    let processes = ["a", "b", "c"];
    for process in processes {
        turn(&scene, "r", process, Duration::ZERO).await;
    }
    let began = std::time::Instant::now();
    let asked = (0..30).map(|number| turn(&scene, "r", processes[number % 3], Duration::ZERO));
    let turns = futures::future::join_all(asked).await;
    let took = began.elapsed();
    let mut backlogs: Vec<_> = turns.iter().map(|turn| turn.backlog).collect();
    backlogs.sort_unstable();
    for pair in backlogs.windows(2) {
        let step = Duration::from_millis(100);
        assert!(pair[1] + took >= pair[0] + step, "{backlogs:?}");
    }
    assert!(backlogs[29] + took >= backlogs[0] + Duration::from_millis(2900));
    assert!(turns.iter().all(|turn| turn.processes == 3));
}
