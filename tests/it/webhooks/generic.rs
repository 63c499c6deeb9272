//! Types that are only delivered, and signatures that a connector's entry describes.

use bytes::Bytes;
use connector_worker::source::manifest::catalog::Manifest;
use connector_worker::webhook::{Delivery, Scheme, sign};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::provider::{MANIFEST, SOON};
use crate::support::ops::Ops;
use crate::support::raw_http::{RawServer, answer};
use crate::support::worker::{Process, Worker};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// A key pair of RFC 8032: the public half, and the private one, which signs here.
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const PRIVATE: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

fn scheme(signature: &str) -> Scheme {
    let head = "type: DeclarativeSource
metadata:
  connector:
    webhooks:
      streams: { events: {} }
";
    let text = format!("{head}      signature: {signature}\n");
    let manifest = Manifest::read("m.yaml", &text, "m").unwrap();
    manifest.metadata.webhooks.unwrap().schemes[0].clone()
}

struct Hooks {
    home: tempfile::TempDir,
    listen: Ops,
}

impl Hooks {
    fn new(connectors: &Value) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = json!({ "connectors": connectors });
        std::fs::write(home.path().join("connectors.json"), config.to_string()).unwrap();
        Self {
            home,
            listen: Ops::reserve(),
        }
    }

    fn worker(&self) -> Worker {
        let store = format!("sqlite:{}", self.home.path().join("store.db").display());
        Worker::new(self.home.path()).env("CONNECTOR_STORE", &store)
    }

    async fn serve(&self) -> Process {
        let worker = self
            .worker()
            .arg("serve")
            .arg("--listen")
            .arg(&self.listen.address());
        let process = worker.start("serve");
        let started = std::time::Instant::now();
        let ready = format!("http://{}/readyz", self.listen.address());
        while reqwest::get(&ready)
            .await
            .map_or(0, |answer| answer.status().as_u16())
            != 200
        {
            assert!(started.elapsed() < SOON, "{}", process.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        process
    }

    async fn deliver(
        &self,
        name: &str,
        scheme: &Scheme,
        secret: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers
            .iter()
            .chain(&[("content-type", "application/json")])
        {
            map.insert(
                name.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            );
        }
        let path = format!("/webhooks/{name}");
        let now = Timestamp::now();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let delivery = Delivery::new(Method::POST, (&path, None), map, body, now);
        let signed = sign(scheme, &secret.into(), &delivery, now).unwrap();
        let query = signed
            .query
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let url = format!("http://{}{path}{query}", self.listen.address());
        let request = reqwest::Client::new().post(url).headers(signed.headers);
        request
            .body(signed.body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    fn signals(&self, count: usize) -> Vec<Value> {
        let count = count.to_string();
        let ran = self
            .worker()
            .run(&["tail", "--from-start", "--count", &count]);
        let lines = ran.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_types_need_nothing_but_a_secret() {
    let custom = json!({
        "type": "hmac", "algorithm": "sha512", "header": "X-Acme", "encoding": "base64",
    });
    let hooks = Hooks::new(&json!([
        { "name": "usual", "type": "WEBHOOK", "webhook": { "secrets": [SECRET, PUBLIC] } },
        { "name": "own", "type": "WEBHOOK", "webhook": { "secrets": ["s"], "signature": custom } },
        { "name": "pay", "type": "STRIPE", "webhook": { "secrets": ["whsec_stripe"] } },
    ]));
    let validated = hooks.worker().run(&["validate"]);
    assert_eq!(validated.code, Some(0), "{validated:?}");
    let _worker = hooks.serve().await;
    let standard = Scheme::preset("standard_webhooks").unwrap();
    let svix = Scheme::preset("svix").unwrap();
    let stripe = Scheme::preset("stripe").unwrap();
    let hub = scheme("{ type: hmac, header: X-Hub-Signature-256, prefix: 'sha256=' }");
    let own = scheme("{ type: hmac, algorithm: sha512, header: X-Acme, encoding: base64 }");
    let deliver = async |name, scheme, secret, id: &[(&str, &str)], body| {
        hooks.deliver(name, scheme, secret, id, body).await
    };
    let event = r#"{"type":"made","n":1}"#;
    assert_eq!(
        deliver(
            "usual",
            &standard[0],
            SECRET,
            &[("webhook-id", "m1")],
            event
        )
        .await,
        200
    );
    assert_eq!(
        deliver(
            "usual",
            &standard[1],
            PRIVATE,
            &[("webhook-id", "m2")],
            event
        )
        .await,
        200
    );
    assert_eq!(
        deliver("usual", &svix[0], SECRET, &[("svix-id", "m3")], event).await,
        200
    );
    assert_eq!(
        deliver("usual", &hub, SECRET, &[("x-webhook-id", "m4")], event).await,
        200
    );
    assert_eq!(deliver("own", &own, "s", &[], r#"{"n":5}"#).await, 200);
    let charge = r#"{"id":"evt_1","type":"charge.succeeded","created":1750000000}"#;
    assert_eq!(
        deliver("pay", &stripe[0], "whsec_stripe", &[], charge).await,
        200
    );
    // Not with another connector's secret, nor in another way.
    assert_eq!(deliver("own", &hub, "s", &[], event).await, 401);
    assert_eq!(deliver("pay", &stripe[0], SECRET, &[], charge).await, 401);
    let mut seen: Vec<String> = hooks
        .signals(6)
        .iter()
        .map(|signal| {
            format!(
                "{} {}",
                signal["type"].as_str().unwrap(),
                signal["connector"].as_str().unwrap()
            )
        })
        .collect();
    seen.sort();
    insta::assert_json_snapshot!(seen);
}

/// A type that says nothing of webhooks polls when somebody who is trusted says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_any_connector_makes_it_poll() {
    let api = RawServer::start(|number, _| {
        let body = format!("[{{\"id\":{number},\"at\":\"2026-01-01T00:00:00Z\",\"v\":1}}]");
        answer("200 OK", "Content-Type: application/json\r\n", body)
    })
    .await;
    let hooks = Hooks::new(&json!([{
        "name": "any", "type": "MANIFEST", "manifest": "plain.yaml", "pollIntervalMs": 3_600_000,
        "webhook": { "secrets": [SECRET] },
        "providerConfig": { "baseUrl": api.url.as_str().trim_end_matches('/') },
    }]));
    let (plain, _) = MANIFEST.split_once("    webhooks:").unwrap();
    std::fs::write(hooks.home.path().join("plain.yaml"), plain).unwrap();
    let _worker = hooks.serve().await;
    assert_eq!(hooks.signals(1)[0]["subject"], "0");
    let standard = Scheme::preset("standard_webhooks").unwrap();
    let (name, id) = ("any", [("webhook-id", "m1")]);
    assert_eq!(
        hooks
            .deliver(name, &standard[0], "whsec_AAAA", &id, "{}")
            .await,
        401
    );
    assert_eq!(
        hooks.deliver(name, &standard[0], SECRET, &id, "{}").await,
        200
    );
    let polled = hooks.signals(2);
    assert_eq!(polled[1]["subject"], "1");
    assert_eq!(polled[1]["via"], "poll");
}
