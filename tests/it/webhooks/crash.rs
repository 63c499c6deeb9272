//! Receiver, consumer and Redis are killed at random instants: every delivery that got a 2xx is
//! published once, none twice, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use rand::RngExt as _;
use serde_json::json;

use super::provider::{SOON, Site, item};
use crate::support::redis::RedisServer;

const KILLS: usize = 50;
const ITEMS: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_survive_every_crash_once() {
    let mut server = RedisServer::start_durable();
    let site = Arc::new(Site::new(Some(&server.url()), json!({})).await);
    // Polls find nothing out: only deliveries publish.
    *site.items.broken.lock().unwrap() = Some(500);
    let mut worker = site.serve("serve", &[]).await;
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
        if kill % 5 == 4 {
            server.restart();
        } else {
            worker.kill();
            worker = site.serve("serve", &[]).await;
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
    drop(worker);
}

fn server_length(server: &RedisServer) -> usize {
    redis::cmd("XLEN")
        .arg("raw-input-signals")
        .query(&mut server.connection())
        .unwrap()
}
