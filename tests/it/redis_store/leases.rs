//! Leases lost, released and waited for.

use std::time::Duration;

use connector_worker::store::{Acquired, Committed, Owner, Renewed};
use tokio::time::{Instant, sleep, timeout};

use super::{NAME, TTL, acquire, ask, commit, open};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_deleted_lease_key_is_lost_and_not_taken_back() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (lease, _) = acquire(&*store).await;
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Held);
    let _: i64 = ask(&mut server.connection(), "DEL lease:jira-prod");
    assert_eq!(store.renew(&lease, 0).await.unwrap(), Renewed::Lost);
    // Nobody took over, so the page in hand may still be committed.
    assert_eq!(
        store.commit(&lease, &commit(1, &["a"])).await.unwrap(),
        Committed::Applied { lease_held: false }
    );
    assert_eq!(store.leases().await.unwrap(), []);
    acquire(&*store).await;
}

#[tokio::test]
async fn a_release_wakes_standbys_within_a_second() {
    let server = RedisServer::start();
    let (holder, standby) = tokio::join!(async { open(&server.url()).await }, async {
        open(&server.url()).await
    });
    let (lease, _) = acquire(&*holder).await;
    let started = Instant::now();
    let ((), ()) = tokio::join!(
        async {
            timeout(Duration::from_secs(5), standby.released(NAME))
                .await
                .expect("announced")
                .unwrap();
        },
        async {
            sleep(Duration::from_millis(300)).await;
            holder.release(&lease).await.unwrap();
        }
    );
    let waited = started.elapsed();
    assert!(
        waited > Duration::from_millis(250) && waited < Duration::from_millis(1300),
        "{waited:?}"
    );
    // Free already: there is nothing to wait for.
    timeout(Duration::from_secs(2), standby.released(NAME))
        .await
        .expect("free")
        .unwrap();
    let (next, _) = acquire(&*standby).await;
    assert_eq!(next.epoch, lease.epoch + 1);
}

#[tokio::test]
async fn standbys_of_many_connectors_share_a_connection_and_outlive_a_restart() {
    let mut server = RedisServer::start_durable();
    let (holder, standby) = (open(&server.url()).await, open(&server.url()).await);
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    for round in 0..2 {
        let mut leases = Vec::new();
        for name in &names {
            let owner = Owner::new("host");
            match holder.acquire(name, &owner, None, TTL * 10).await.unwrap() {
                Acquired::Held(lease, _) => leases.push(lease),
                busy @ Acquired::Busy { .. } => panic!("{busy:?}"),
            }
        }
        let waiting = futures::future::join_all(names.iter().map(|name| standby.released(name)));
        let ((), answers) = tokio::join!(
            async {
                sleep(Duration::from_millis(300)).await;
                let clients: String = ask(&mut server.connection(), "CLIENT LIST TYPE pubsub");
                assert_eq!(clients.lines().count(), 1, "round {round}: {clients}");
                for lease in &leases {
                    holder.release(lease).await.unwrap();
                }
            },
            async { timeout(Duration::from_secs(5), waiting).await.unwrap() }
        );
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        server.restart();
    }
}
