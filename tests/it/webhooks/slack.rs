//! Slack: events, slash commands and interactive payloads each end in a stream of their own, and
//! every answer comes within three seconds.

use std::time::{Duration, Instant as Clock};

use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::sign;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{recordings, serve};
use crate::support::raw_http::{RawServer, answer};
use crate::support::worker::Worker;

/// Slack waits no longer.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_delivery_has_its_stream_and_a_quick_answer() {
    // Polls hang: they must hold up nobody.
    let api = RawServer::start(|_, _| answer("503 Service Unavailable", "", "{}")).await;
    let home = tempfile::tempdir().unwrap();
    let recorded: Vec<_> = recordings()
        .into_iter()
        .filter(|one| one.provider == "slack" && !one.name.starts_with("negative."))
        .collect();
    let config = json!({ "connectors": [{
        "name": "slack", "type": "SLACK", "maxRetries": 0,
        "webhook": { "secrets": [recorded[0].secret.expose()] },
        "providerConfig": { "baseUrl": api.url.as_str(), "token": "xoxb-1" },
    }]});
    std::fs::write(home.path().join("connectors.json"), config.to_string()).unwrap();
    let store = format!("sqlite:{}", home.path().join("store.db").display());
    let worker = Worker::new(home.path()).env("CONNECTOR_STORE", &store);
    let (_process, address) = serve(&worker).await;
    let catalog = Catalog::load(None).unwrap();
    let webhooks = catalog
        .get("SLACK")
        .unwrap()
        .metadata
        .webhooks
        .clone()
        .unwrap();
    let client = reqwest::Client::new();
    let mut wanted = std::collections::BTreeMap::<&str, usize>::new();
    for one in &recorded {
        // Signed anew: recordings are old.
        let now = Timestamp::now();
        let signed = sign(&webhooks.schemes[0], &one.secret, &one.delivery(now), now).unwrap();
        let url = format!("http://{address}/webhooks/slack");
        let sent = Clock::now();
        let request = client.post(url).headers(signed.headers).body(signed.body);
        let answer = request.send().await.unwrap();
        assert!(
            sent.elapsed() < PATIENCE,
            "{}: {:?}",
            one.name,
            sent.elapsed()
        );
        assert_eq!(answer.status(), 200, "{}", one.name);
        let text = answer.text().await.unwrap();
        let stream = match &*one.name {
            "url_verification" => {
                assert_eq!(text, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
                continue;
            }
            // Sent again, and known.
            "event.app_mention.retry" | "app_rate_limited" => continue,
            name if name.starts_with("event.") => "events",
            name if name.starts_with("slash_command") => "commands",
            _ => "interactions",
        };
        assert_eq!(text, "", "{}", one.name);
        *wanted.entry(stream).or_default() += 1;
    }
    let total: usize = wanted.values().sum();
    let ran = worker.run(&["tail", "--from-start", "--count", &total.to_string()]);
    let mut found = std::collections::BTreeMap::<String, usize>::new();
    for line in ran.out.lines() {
        let signal: Value = serde_json::from_str(line).unwrap();
        assert_eq!(signal["via"], "webhook");
        assert_ne!(
            signal["data"]["token"], "verification_token",
            "a secret is kept"
        );
        *found
            .entry(signal["stream"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|(stream, n)| (stream.to_owned(), n))
        .collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
}
