//! Webhooks: what is trusted, what it becomes, and what is refused.

mod arbitrary;
mod crash;
mod details;
mod edge;
mod generic;
mod identity;
mod kit;
mod provider;
mod recorded;
mod serving;
mod slack;
mod soak;
mod vectors;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use connector_worker::connector::WebhookSecret;
use connector_worker::webhook::{Delivery, Unverified};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use crate::support::ops::Ops;
use crate::support::worker::{Process, Worker};

/// The worker as a receiver that is ready, and where it listens.
pub async fn serve(worker: &Worker) -> (Process, String) {
    let listen = Ops::reserve();
    let address = listen.address();
    let serving = worker.clone().arg("serve").arg("--listen").arg(&address);
    let process = serving.start("serve");
    let ready = format!("http://{address}/readyz");
    let started = std::time::Instant::now();
    while reqwest::get(&ready)
        .await
        .map_or(0, |answer| answer.status().as_u16())
        != 200
    {
        assert!(started.elapsed() < provider::SOON, "{}", process.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (process, address)
}

/// A delivery from files, with the secret of its folder.
pub struct Recording {
    pub provider: String,
    pub name: String,
    pub headers: HeaderMap,
    pub query: Option<String>,
    pub body: Bytes,
    pub secret: WebhookSecret,
}

impl Recording {
    pub fn delivery(&self, now: Timestamp) -> Delivery<Unverified> {
        let (headers, body) = (self.headers.clone(), self.body.clone());
        let target = ("/webhooks/c", self.query.as_deref());
        Delivery::new(Method::POST, target, headers, body, now)
    }
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webhooks")
}

/// `Name: value` lines.
pub fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

/// Every recorded delivery.
pub fn recordings() -> Vec<Recording> {
    let mut found = Vec::new();
    for provider in std::fs::read_dir(folder()).unwrap() {
        let provider = provider.unwrap().path();
        let Ok(signing) = std::fs::read(provider.join("signing.json")) else {
            continue;
        };
        let signing: serde_json::Value = serde_json::from_slice(&signing).unwrap();
        for file in std::fs::read_dir(&provider).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            let Some(name) = name.strip_suffix(".headers") else {
                continue;
            };
            let secret = signing["secrets"][name].as_str();
            let secret = secret.or(signing["secret"].as_str()).unwrap();
            found.push(Recording {
                provider: provider.file_name().unwrap().to_str().unwrap().to_owned(),
                name: name.to_owned(),
                query: signing["query"].as_str().map(str::to_owned),
                headers: headers(&std::fs::read_to_string(&file).unwrap()),
                body: std::fs::read(provider.join(format!("{name}.body")))
                    .unwrap()
                    .into(),
                secret: WebhookSecret::from(secret),
            });
        }
    }
    found.sort_by(|a, b| (&a.provider, &a.name).cmp(&(&b.provider, &b.name)));
    found
}
