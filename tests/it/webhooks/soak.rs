//! The same mutations by poll and by webhook, in random order and delay: every version once, in
//! order, and the last one at the end.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant as Clock};

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use serde_json::json;

use super::provider::{SOON, Site, item};
use crate::support::redis::RedisServer;

const MUTATIONS: usize = 300;
const ITEMS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn mutations_by_poll_and_webhook_are_published_once_and_in_order_in_redis() {
    let server = RedisServer::start();
    soak(Site::new(Some(&server.url()), json!({})).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutations_by_poll_and_webhook_are_published_once_and_in_order_in_the_embedded_store() {
    soak(Site::new(None, json!({})).await).await;
}

async fn soak(site: Site) {
    site.poll_every(150);
    let worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    let mut random = rand::rng();
    let mut late = Vec::new();
    for step in 0..MUTATIONS {
        let id = random.random_range(1..=ITEMS);
        let v = {
            let mut items = site.items.held.lock().unwrap();
            let v = items.entry(id).or_default();
            *v += 1;
            *v
        };
        // Some show the item, some only name it.
        let event = if random.random_bool(0.2) {
            "thin"
        } else {
            "changed"
        };
        late.push((
            format!("{id}-{v}"),
            json!({ "event": event, "item": item(id, v) }),
        ));
        if step % 7 == 0 {
            late.shuffle(&mut random);
        }
        // Some at once, some later, some twice.
        while late.len() > random.random_range(0..12) {
            let (delivery, body) = late.swap_remove(random.random_range(0..late.len()));
            assert_eq!(site.deliver(&client, &delivery, &body).await, 200);
            if random.random_bool(0.1) {
                assert_eq!(site.deliver(&client, &delivery, &body).await, 200);
            }
        }
        if random.random_bool(0.2) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
        }
    }
    for (delivery, body) in late {
        assert_eq!(site.deliver(&client, &delivery, &body).await, 200);
    }
    let wanted: HashMap<u64, u64> = site.items.held.lock().unwrap().clone();
    let started = Clock::now();
    loop {
        let mut last: HashMap<u64, u64> = HashMap::new();
        let mut seen = HashSet::new();
        for signal in all(&site).await {
            assert_ne!(signal.2, "deleted", "{signal:?}");
            assert!(seen.insert((signal.0, signal.1)), "twice: {signal:?}");
            let before = last.insert(signal.0, signal.1).unwrap_or(0);
            assert!(before < signal.1, "{signal:?} after {before}");
        }
        if last == wanted {
            break;
        }
        assert!(
            started.elapsed() < SOON,
            "{last:?} is not {wanted:?}\n{}",
            worker.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Item, version and kind of every signal so far.
async fn all(site: &Site) -> Vec<(u64, u64, String)> {
    let options = connector_worker::store::StoreOptions::default();
    let store = connector_worker::store::open(&site.store.parse().unwrap(), &options)
        .await
        .unwrap();
    let entries = store
        .read_stream("raw-input-signals", None, 100_000, Duration::ZERO)
        .await
        .unwrap();
    let read = |entry: &connector_worker::store::StreamEntry| {
        let data: serde_json::Value = serde_json::from_slice(entry.field("data").unwrap()).unwrap();
        let kind = String::from_utf8_lossy(entry.field("type").unwrap()).into_owned();
        (
            data["id"].as_u64().unwrap_or_default(),
            data["v"].as_u64().unwrap_or_default(),
            kind.rsplit('.').next().unwrap_or_default().to_owned(),
        )
    };
    entries.iter().map(read).collect()
}
