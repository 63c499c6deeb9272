//! Who may try, who may write, and for how long.

use std::time::Duration;

use connector_worker::store::{Acquired, Committed, Owner, Renewed};
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::scene::{LONG, Scene, empty, publish};

const SHORT: Duration = Duration::from_millis(300);

/// Longer than [`SHORT`], with room for a slow machine.
const PAST_SHORT: Duration = Duration::from_millis(400);

pub async fn a_new_connector_starts_with_epoch_one_and_no_state(scene: Scene) {
    let (lease, state) = scene.hold_for("a", "w1", LONG).await;
    assert_eq!((lease.epoch, &*lease.connector), (1, "a"));
    assert_eq!((state.epoch, state.sequence, state.versions), (1, 0, 0));
    assert!(state.fields.is_empty(), "{state:?}");
}

pub async fn a_held_lease_is_busy_for_others(scene: Scene) {
    scene.hold("a", "host/1/aa").await;
    let second = Owner::from("w2");
    let answer = scene.store.acquire("a", &second, None, LONG).await.unwrap();
    let Acquired::Busy { holder, remaining } = answer else {
        panic!("two holders: {answer:?}");
    };
    assert_eq!(holder, "host/1/aa");
    assert!(remaining <= LONG && remaining > LONG / 2, "{remaining:?}");
    // A refused attempt moves nothing.
    assert_eq!(scene.store.load_state("a").await.unwrap().epoch, 1);
}

pub async fn a_repeated_acquisition_keeps_the_epoch(scene: Scene) {
    let first = scene.hold("a", "w1").await;
    let again = scene.hold("a", "w1").await;
    assert_eq!(first, again);
    scene.apply(&first, &publish("a", 1, &["k"])).await;
}

pub async fn an_expired_lease_goes_to_the_next_with_a_higher_epoch(scene: Scene) {
    let (old, _) = scene.hold_for("a", "w1", SHORT).await;
    sleep(PAST_SHORT).await;
    let new = scene.hold("a", "w2").await;
    assert!(new.epoch > old.epoch);
    let late = scene.commit(&old, &publish("a", 1, &["k"])).await;
    assert_eq!(late, Committed::Fenced);
    assert_eq!(scene.store.renew(&old, 0).await.unwrap(), Renewed::Fenced);
}

pub async fn the_previous_owner_is_replaced_at_once(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    let fresh = Owner::from("w1-again");
    let answer = scene.store.acquire("a", &fresh, Some(&old.owner), LONG);
    let Acquired::Held(new, _) = answer.await.unwrap() else {
        panic!("the previous owner is in its own way");
    };
    assert_eq!(new.epoch, old.epoch + 1);
    let late = scene.commit(&old, &publish("a", 1, &["k"])).await;
    assert_eq!(late, Committed::Fenced);
    scene.apply(&new, &publish("a", 1, &["k"])).await;
}

pub async fn a_foreign_previous_owner_opens_nothing(scene: Scene) {
    scene.hold("a", "w1").await;
    let (fresh, other) = (Owner::from("w2"), Owner::from("w3"));
    let answer = scene.store.acquire("a", &fresh, Some(&other), LONG).await;
    assert!(matches!(answer, Ok(Acquired::Busy { .. })), "{answer:?}");
}

pub async fn one_of_many_contenders_wins(scene: Scene) {
    let owners: Vec<Owner> = (0..16).map(|n| Owner::from(&*format!("w{n}"))).collect();
    let attempts = owners
        .iter()
        .map(|owner| scene.store.acquire("a", owner, None, LONG));
    let answers = join_all(attempts).await;
    let held = |answer: &Result<Acquired, _>| matches!(answer, Ok(Acquired::Held(..)));
    assert_eq!(answers.iter().filter(|answer| held(answer)).count(), 1);
    assert_eq!(scene.store.load_state("a").await.unwrap().epoch, 1);
}

pub async fn a_renewal_extends_the_lease(scene: Scene) {
    // Wide margins: a loaded machine may sleep much longer than asked.
    let (lease, _) = scene
        .hold_for("a", "w1", Duration::from_millis(1_500))
        .await;
    for _ in 0..4 {
        sleep(Duration::from_millis(500)).await;
        assert_eq!(scene.store.renew(&lease, 0).await.unwrap(), Renewed::Held);
    }
    let answer = scene
        .store
        .acquire("a", &Owner::from("w2"), None, LONG)
        .await;
    assert!(matches!(answer, Ok(Acquired::Busy { .. })), "{answer:?}");
}

pub async fn a_renewal_tells_why_it_failed(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    scene.apply(&lease, &publish("a", 1, &["k"])).await;
    let renew = |applied| scene.store.renew(&lease, applied);
    assert_eq!(renew(1).await.unwrap(), Renewed::Held);
    // The renewal overtook the answer of a commit.
    assert_eq!(renew(0).await.unwrap(), Renewed::Held);
    assert_eq!(renew(2).await.unwrap(), Renewed::Gap);
    scene.store.break_lease("a").await.unwrap();
    assert_eq!(renew(1).await.unwrap(), Renewed::Lost);
    scene.hold("a", "w2").await;
    assert_eq!(renew(1).await.unwrap(), Renewed::Fenced);
    // The fence comes first: a fenced worker must not reload and go on.
    assert_eq!(renew(2).await.unwrap(), Renewed::Fenced);
}

pub async fn an_expired_lease_is_lost_and_not_revived(scene: Scene) {
    let (lease, _) = scene.hold_for("a", "w1", SHORT).await;
    sleep(PAST_SHORT).await;
    assert_eq!(scene.store.renew(&lease, 0).await.unwrap(), Renewed::Lost);
    let answer = scene.commit(&lease, &empty("a", 1)).await;
    assert_eq!(answer, Committed::Applied { lease_held: false });
    assert!(scene.store.leases().await.unwrap().is_empty());
}

pub async fn a_released_lease_is_free_and_its_owner_fenced(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    scene.apply(&old, &publish("a", 1, &["k"])).await;
    scene.store.release(&old).await.unwrap();
    let late = scene.commit(&old, &publish("a", 2, &["late"])).await;
    assert_eq!(late, Committed::Fenced);
    assert_eq!(scene.store.renew(&old, 1).await.unwrap(), Renewed::Fenced);
    let (new, state) = scene.hold_for("a", "w2", LONG).await;
    assert_eq!((new.epoch, state.sequence), (old.epoch + 1, 1));
    assert_eq!(scene.field("subject").await, ["k"]);
}

pub async fn a_late_release_leaves_the_next_holder_alone(scene: Scene) {
    let old = scene.hold("a", "w1").await;
    scene.store.break_lease("a").await.unwrap();
    let new = scene.hold("a", "w2").await;
    scene.store.release(&old).await.unwrap();
    assert_eq!(scene.store.renew(&new, 0).await.unwrap(), Renewed::Held);
    scene.apply(&new, &publish("a", 1, &["k"])).await;
}

pub async fn a_release_wakes_standbys(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    let standby = async {
        for _ in 0..100 {
            scene.store.released("a").await.unwrap();
            let answer = scene
                .store
                .acquire("a", &Owner::from("w2"), None, LONG)
                .await;
            if matches!(answer, Ok(Acquired::Held(..))) {
                return;
            }
        }
        panic!("woken again and again for nothing");
    };
    let release = async {
        sleep(Duration::from_millis(100)).await;
        scene.store.release(&lease).await.unwrap();
    };
    let both = async { tokio::join!(standby, release) };
    timeout(Duration::from_secs(2), both)
        .await
        .expect("woken within a second or so");
}

pub async fn a_broken_lease_is_lost_but_fences_nobody_yet(scene: Scene) {
    let lease = scene.hold("a", "w1").await;
    assert!(scene.store.break_lease("a").await.unwrap());
    assert!(!scene.store.break_lease("a").await.unwrap());
    assert!(!scene.store.break_lease("unknown").await.unwrap());
    let answer = scene.commit(&lease, &publish("a", 1, &["k"])).await;
    assert_eq!(answer, Committed::Applied { lease_held: false });
    scene.hold("a", "w2").await;
    let late = scene.commit(&lease, &publish("a", 2, &["late"])).await;
    assert_eq!(late, Committed::Fenced);
}

pub async fn leases_are_listed_while_they_are_held(scene: Scene) {
    assert!(scene.store.leases().await.unwrap().is_empty());
    scene.hold("a", "w1").await;
    let released = scene.hold("b", "w1").await;
    scene.store.release(&released).await.unwrap();
    scene.hold_for("c", "w1", SHORT).await;
    sleep(PAST_SHORT).await;
    scene.hold("d", "w2").await;
    scene.store.break_lease("d").await.unwrap();
    scene.hold("d", "w3").await;
    let mut leases = scene.store.leases().await.unwrap();
    leases.sort_by(|left, right| left.connector.cmp(&right.connector));
    let seen = leases
        .iter()
        .map(|lease| (&*lease.connector, &*lease.owner, lease.epoch));
    assert_eq!(seen.collect::<Vec<_>>(), [("a", "w1", 1), ("d", "w3", 2)]);
    for lease in &leases {
        assert!(lease.remaining <= LONG && lease.remaining > LONG / 2);
    }
}
