//! `serve`: what is taken, what becomes of it, and what is refused.

use std::io::{Read as _, Write as _};
use std::time::Instant as Clock;

use connector_worker::store::{self, StoreOptions};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::provider::{SECRET, SOON, Site, item};
use crate::support::redis::RedisServer;

fn changed(id: u64, v: u64) -> Value {
    json!({ "event": "changed", "item": item(id, v) })
}

fn heads(signals: &[Value]) -> Vec<String> {
    let head = |signal: &Value| {
        let text = |field: &str| signal[field].as_str().unwrap_or_default().to_owned();
        format!(
            "{} {} {} {}",
            text("type"),
            text("subject"),
            signal["data"]["v"],
            text("via")
        )
    };
    signals.iter().map(head).collect()
}

async fn push_and_poll_become_one_stream(site: Site) {
    site.items.held.lock().unwrap().insert(1, 1);
    let worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    site.signals(1);
    // Newer, known, older; again under the same id; of another stream; gone; and back too late.
    for (id, body) in [
        ("a", changed(1, 5)),
        ("b", changed(1, 5)),
        ("c", changed(1, 3)),
        ("a", changed(1, 9)),
        ("d", changed(2, 1)),
        (
            "e",
            json!({ "event": "command", "trigger": "t1", "text": "/do it" }),
        ),
        ("f", json!({ "event": "gone", "item": item(2, 4) })),
        ("g", changed(2, 3)),
        ("h", json!({ "event": "quiet" })),
        ("i", json!({ "event": "of no route" })),
        ("j", changed(3, 1)),
    ] {
        assert_eq!(site.deliver(&client, id, &body).await, 200, "{id}");
    }
    let signals = site.signals(6);
    assert_eq!(
        heads(&signals),
        [
            "items.items.created 1 1 poll",
            "items.items.updated 1 5 webhook",
            "items.items.created 2 1 webhook",
            "items.commands.created t1 null webhook",
            "items.items.deleted 2 null webhook",
            "items.items.created 3 1 webhook",
        ]
    );
    // What was delivered is no news to the next poll, which a delivery asks for.
    site.items.held.lock().unwrap().extend([(1, 5), (3, 2)]);
    let polls = *site.items.listed.lock().unwrap();
    assert_eq!(
        site.deliver(&client, "k", &json!({ "event": "look" }))
            .await,
        200
    );
    let signals = site.signals(7);
    assert_eq!(heads(&signals)[6], "items.items.updated 3 2 poll");
    assert!(*site.items.listed.lock().unwrap() > polls);
    drop(worker);
    // Stopping and starting takes nothing twice.
    let worker = site.serve("again", &[]).await;
    assert_eq!(site.deliver(&client, "j", &changed(3, 1)).await, 200);
    assert_eq!(site.deliver(&client, "l", &changed(3, 7)).await, 200);
    assert_eq!(
        heads(&site.signals(8))[7],
        "items.items.updated 3 7 webhook"
    );
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn push_and_poll_become_one_stream_in_redis() {
    let server = RedisServer::start();
    push_and_poll_become_one_stream(Site::new(Some(&server.url()), json!({})).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn push_and_poll_become_one_stream_in_the_embedded_store() {
    push_and_poll_become_one_stream(Site::new(None, json!({})).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status() {
    let site = Site::new(None, json!({})).await;
    let _worker = site
        .serve("serve", &["--role", "receiver", "--body-timeout", "500ms"])
        .await;
    let client = reqwest::Client::new();
    let post = |url: &str, headers: http::HeaderMap, body: bytes::Bytes| {
        let request = client.post(url).headers(headers).body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let (headers, body) = site.signed("1", &changed(1, 1));
    let other = site.public.replace("/webhooks/c", "/webhooks/d");
    assert_eq!(post(&other, headers.clone(), body.clone()).await, 404);
    let tenant = |name: &str| {
        site.public
            .replace("/webhooks/c", &format!("/webhooks/{name}/c"))
    };
    assert_eq!(
        post(&tenant("other"), headers.clone(), body.clone()).await,
        404
    );
    assert_eq!(
        post(&tenant("acme"), headers.clone(), body.clone()).await,
        200
    );
    assert_eq!(client.get(&site.public).send().await.unwrap().status(), 405);

    let mut unsigned = headers.clone();
    unsigned.remove("x-signature");
    assert_eq!(post(&site.public, unsigned, body.clone()).await, 401);
    let mut changed_body = body.to_vec();
    changed_body[5] ^= 1;
    assert_eq!(
        post(&site.public, headers.clone(), changed_body.into()).await,
        401
    );
    let mut html = headers.clone();
    html.insert(CONTENT_TYPE, "text/html".parse().unwrap());
    assert_eq!(post(&site.public, html, body.clone()).await, 415);
    assert_eq!(
        post(&site.public, headers.clone(), vec![b'x'; 100_001].into()).await,
        413
    );
    let (signed, nonsense) = site.signed("2", &Value::Null);
    assert_eq!(&nonsense[..], b"null");
    assert_eq!(post(&site.public, signed, nonsense).await, 200);

    // A question that is signed is answered, and not queued.
    let (signed, hello) = site.signed("3", &json!({ "event": "hello", "challenge": "abc" }));
    let answer = client
        .post(&site.public)
        .headers(signed)
        .body(hello)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(answer.text().await.unwrap(), "abc");

    // Compressed on the way, and as a form.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let (mut zipped, plain) = site.signed("4", &changed(4, 4));
    encoder.write_all(&plain).unwrap();
    zipped.insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(
        post(&site.public, zipped, encoder.finish().unwrap().into()).await,
        200
    );

    // Slow, or with a head beyond all bounds.
    let raw = |request: &[u8]| {
        let address = site
            .public
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let answer = raw(b"POST /webhooks/c HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let head = format!(
        "POST /webhooks/c HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n",
        "a".repeat(33_000)
    );
    let answer = raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    let waiting = queue(&site).await;
    assert_eq!(waiting, ["1", "2", "4"]);
}

/// Ids of the deliveries that wait.
async fn queue(site: &Site) -> Vec<String> {
    let store = store::open(&site.store.parse().unwrap(), &StoreOptions::default())
        .await
        .unwrap();
    let waiting = store.waiting("c", None, 100_000).await.unwrap();
    waiting.into_iter().map(|one| one.delivery.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_rates_are_limited() {
    let site = Site::new(None, json!({ "allowIps": ["192.0.2.0/24"] })).await;
    let options = [
        "--role",
        "receiver",
        "--trusted-proxies",
        "127.0.0.1",
        "--rate-per-connector",
        "3",
    ];
    let _worker = site.serve("serve", &options).await;
    let client = reqwest::Client::new();
    let (headers, body) = site.signed("1", &changed(1, 1));
    let from = |address: &'static str| {
        let request = client
            .post(&site.public)
            .headers(headers.clone())
            .body(body.clone());
        async move {
            request
                .header("x-forwarded-for", address)
                .send()
                .await
                .unwrap()
        }
    };
    assert_eq!(from("198.51.100.1").await.status(), 403);
    assert_eq!(from("192.0.2.9").await.status(), 200);
    let mut limited = None;
    for _ in 0..20 {
        let answer = from("192.0.2.9").await;
        if answer.status() == 429 {
            limited = Some(answer);
            break;
        }
    }
    assert!(limited.unwrap().headers().contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_senders_are_told_to_come_back() {
    let mut server = RedisServer::start_durable();
    let site = Site::new(Some(&server.url()), json!({})).await;
    let worker = site.serve("serve", &["--role", "receiver"]).await;
    let client = reqwest::Client::new();
    assert_eq!(site.deliver(&client, "1", &changed(1, 1)).await, 200);
    server.kill();
    let (headers, body) = site.signed("2", &changed(2, 1));
    let answer = client
        .post(&site.public)
        .headers(headers)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    server.restart();
    let started = Clock::now();
    while site.deliver(&client, "2", &changed(2, 1)).await != 200 {
        assert!(started.elapsed() < SOON, "{}", worker.log());
    }
    assert_eq!(queue(&site).await, ["1", "2"]);
    assert!(!worker.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_bounded_and_what_was_taken_is_processed() {
    let site = Site::new(None, json!({ "maxQueued": 5 })).await;
    let client = reqwest::Client::new();
    let receiver = site.serve("receiver", &["--role", "receiver"]).await;
    let mut taken = Vec::new();
    for id in 0..20_u64 {
        match site
            .deliver(&client, &format!("d{id}"), &changed(id, 1))
            .await
        {
            200 => taken.push(id.to_string()),
            503 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(taken.len(), 5);
    drop(receiver);
    let _worker = site.serve("all", &[]).await;
    let found: Vec<String> = site
        .signals(5)
        .iter()
        .map(|signal| signal["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_deliveries_and_blocks_nobody() {
    let site = Site::new(None, json!({})).await;
    let _worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    let poison = json!({ "event": "changed", "item": { "no": "key" } });
    assert_eq!(site.deliver(&client, "p", &poison).await, 200);
    let nothing = json!({ "event": "changed" });
    assert_eq!(site.deliver(&client, "q", &nothing).await, 200);
    // Its record cannot be fetched for a while.
    *site.items.broken.lock().unwrap() = Some(503);
    let thin = json!({ "event": "thin", "item": { "id": 7 } });
    assert_eq!(site.deliver(&client, "r", &thin).await, 200);
    assert_eq!(site.deliver(&client, "s", &changed(1, 1)).await, 200);
    assert_eq!(heads(&site.signals(1)), ["items.items.created 1 1 webhook"]);
    site.items.held.lock().unwrap().insert(7, 3);
    *site.items.broken.lock().unwrap() = None;
    assert_eq!(
        heads(&site.signals(2))[1],
        "items.items.created 7 3 webhook"
    );
    let dead = site.worker().run(&["dlq", "list", "c"]).json();
    let dead = dead.as_array().unwrap();
    let mut ids: Vec<&str> = dead
        .iter()
        .map(|one| one["delivery"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["p", "q"]);
    let shown = site
        .worker()
        .run(&["dlq", "show", "c", dead[0]["id"].as_str().unwrap()])
        .json();
    assert_eq!(shown["attempts"], 1);
    assert_eq!(shown["body"]["event"], "changed");
    // Tried again they fail again, under the same ids; then they are dealt with.
    let ran = site.worker().run(&["dlq", "replay", "c"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let started = Clock::now();
    let again = loop {
        let again = site.worker().run(&["dlq", "list", "c"]).json();
        if again.as_array().unwrap().len() == 2 {
            break again;
        }
        assert!(started.elapsed() < SOON, "{again}");
    };
    assert_ne!(again[0]["id"], dead[0]["id"]);
    let ran = site.worker().run(&["dlq", "purge", "c", "--yes"]);
    assert!(ran.out.contains('2'), "{ran:?}");
    assert_eq!(site.worker().run(&["dlq", "list", "c"]).json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_holds_up_nobody_and_what_is_not_selected_is_left_out() {
    let site = Site::new(None, json!({})).await;
    site.items.hanging.lock().unwrap().extend(1..=20);
    let _worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    for id in 1..=20 {
        let thin = json!({ "event": "thin", "item": { "id": id } });
        assert_eq!(site.deliver(&client, &format!("t{id}"), &thin).await, 200);
    }
    let theirs = json!({ "event": "changed", "team": "theirs", "item": item(31, 1) });
    assert_eq!(site.deliver(&client, "x", &theirs).await, 200);
    // Nobody knows it: the next poll tells what became of it.
    let gone = json!({ "event": "thin", "item": { "id": 32 } });
    assert_eq!(site.deliver(&client, "y", &gone).await, 200);
    assert_eq!(site.deliver(&client, "z", &changed(33, 1)).await, 200);
    assert_eq!(
        heads(&site.signals(1)),
        ["items.items.created 33 1 webhook"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_is_an_event_of_its_own_where_its_stream_has_no_key() {
    let site = Site::new(None, json!({})).await;
    let _worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    let event = json!({ "event": "event", "text": "the same" });
    for id in ["a", "b", "b"] {
        assert_eq!(site.deliver(&client, id, &event).await, 200);
    }
    assert_eq!(site.deliver(&client, "c", &changed(1, 1)).await, 200);
    assert_eq!(
        heads(&site.signals(3)),
        [
            "items.events.created a null webhook",
            "items.events.created b null webhook",
            "items.items.created 1 1 webhook",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_before_a_crash_is_not_called_deleted_by_the_next_listing() {
    let site = Site::new(None, json!({})).await;
    site.items.held.lock().unwrap().insert(1, 1);
    let client = reqwest::Client::new();
    let mut worker = site.serve("first", &[]).await;
    site.signals(1);
    // The listing is not as quick as the delivery.
    assert_eq!(site.deliver(&client, "a", &changed(9, 1)).await, 200);
    site.signals(2);
    worker.kill();
    let polls = *site.items.listed.lock().unwrap();
    let _worker = site.serve("second", &[]).await;
    let started = Clock::now();
    while *site.items.listed.lock().unwrap() == polls {
        assert!(started.elapsed() < SOON);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // What a poll finds is committed before deliveries that come after it.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(site.deliver(&client, "b", &changed(10, 1)).await, 200);
    assert_eq!(
        heads(&site.signals(3)),
        [
            "items.items.created 1 1 poll",
            "items.items.created 9 1 webhook",
            "items.items.created 10 1 webhook",
        ]
    );
}
