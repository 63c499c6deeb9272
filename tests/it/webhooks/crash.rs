//! Receiver, consumer and Redis are killed, each for itself, at random instants: every delivery
//! that got a 2xx is published once, none twice, in order. One that kills its consumer does so a
//! bounded number of times.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use rand::RngExt as _;
use serde_json::json;

use super::provider::{SOON, Site, item};
use crate::support::redis::RedisServer;

const KILLS: usize = 60;
const ITEMS: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_survive_every_crash_once() {
    let mut server = RedisServer::start_durable();
    let site = Arc::new(Site::new(Some(&server.url()), json!({})).await);
    // Polls find nothing out: only deliveries publish.
    *site.items.broken.lock().unwrap() = Some(500);
    let mut receiver = site.serve("receiver", &["--role", "receiver"]).await;
    let mut consumer = site.consume("consumer");
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders = tokio::task::JoinSet::new();
    for id in 1..=ITEMS {
        let (site, stop) = (site.clone(), stop.clone());
        senders.spawn(async move {
            let client = reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap();
            let mut v = 0;
            while !stop.load(Ordering::Relaxed) {
                let body = json!({ "event": "changed", "item": item(id, v + 1) });
                // The same id until it is taken, as providers do.
                while site
                    .deliver(&client, &format!("{id}-{}", v + 1), &body)
                    .await
                    != 200
                {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
                v += 1;
            }
            (id, v)
        });
    }
    let mut random = rand::rng();
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..400))).await;
        match kill % 3 {
            0 => {
                receiver.kill();
                receiver = site.serve("receiver", &["--role", "receiver"]).await;
            }
            1 => {
                consumer.kill();
                consumer = site.consume("consumer");
            }
            _ => server.restart(),
        }
    }
    stop.store(true, Ordering::Relaxed);
    let sent: HashMap<u64, u64> = senders.join_all().await.into_iter().collect();
    let total: u64 = sent.values().sum();
    assert!(total > 100, "{total} deliveries are no load");
    let wanted = usize::try_from(total).unwrap();
    let started = Clock::now();
    while site.signals(1).is_empty() || server_length(&server) < wanted {
        assert!(
            started.elapsed() < SOON,
            "{} of {wanted} signals",
            server_length(&server)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    for signal in site.signals(server_length(&server)) {
        let id = signal["subject"].as_str().unwrap().to_owned();
        seen.entry(id)
            .or_default()
            .push(signal["data"]["v"].as_u64().unwrap());
    }
    for (id, last) in sent {
        let versions: Vec<u64> = (1..=last).collect();
        assert_eq!(seen[&id.to_string()], versions, "item {id}");
    }
    drop((receiver, consumer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_kills_its_consumer_is_given_up() {
    for store in [true, false] {
        let server = store.then(RedisServer::start_durable);
        let url = server.as_ref().map(RedisServer::url);
        let site = Site::new(url.as_deref(), json!({})).await;
        site.items.hanging.lock().unwrap().insert(13);
        let receiver = site.serve("receiver", &["--role", "receiver"]).await;
        let client = reqwest::Client::new();
        for (id, body) in [
            ("a", json!({ "event": "changed", "item": item(1, 1) })),
            ("killer", json!({ "event": "thin", "item": { "id": 13 } })),
            ("b", json!({ "event": "changed", "item": item(2, 1) })),
        ] {
            assert_eq!(site.deliver(&client, id, &body).await, 200);
        }
        let mut kills = 0;
        let dead = loop {
            let before = site.items.hung.load(Ordering::SeqCst);
            let mut consumer = site.consume("consumer");
            let started = Clock::now();
            let dead = loop {
                if site.items.hung.load(Ordering::SeqCst) > before {
                    break None;
                }
                let dead = site.worker().run(&["dlq", "list", "c"]).json();
                if dead.as_array().is_some_and(|dead| !dead.is_empty()) {
                    break Some(dead);
                }
                assert!(started.elapsed() < SOON, "{}", consumer.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            consumer.kill();
            match dead {
                Some(dead) => break dead,
                None => kills += 1,
            }
            assert!(kills < 20);
        };
        assert_eq!(kills, 8);
        assert_eq!(dead[0]["delivery"], "killer");
        let ids: Vec<_> = site
            .signals(2)
            .iter()
            .map(|one| one["subject"].clone())
            .collect();
        assert_eq!(ids, ["1", "2"]);
        drop(receiver);
    }
}

fn server_length(server: &RedisServer) -> usize {
    redis::cmd("XLEN")
        .arg("raw-input-signals")
        .query(&mut server.connection())
        .unwrap()
}
