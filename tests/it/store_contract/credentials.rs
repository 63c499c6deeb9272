//! Credentials: saved by revision, locked for a while, shared by whoever knows their id.

use std::time::Duration;

use connector_worker::store::{CredentialLock, Saved, StoredCredential};

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
