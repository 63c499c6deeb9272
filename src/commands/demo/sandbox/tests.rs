//! What the sandbox serves, changes and keeps account of.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::client::{Client, ClientConfig, HttpJudge, Request, Response, Verdict, set_header};
use crate::client::{FetchError, Judge, TransportError};
use crate::store::StreamEntry;

struct Anything;

impl Judge for Anything {
    fn judge(&self, _: Result<&Response, &TransportError>, _: u32) -> Verdict {
        Verdict::Accept
    }
}

struct Asker {
    client: Client,
    sandbox: Sandbox,
}

impl Asker {
    async fn new(options: SandboxOptions) -> Self {
        Self {
            client: Client::new(ClientConfig::default()).unwrap(),
            sandbox: Sandbox::start(options).await.unwrap(),
        }
    }

    fn request(&self, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request {
            method: http::Method::GET,
            url: format!("{}{path}", self.sandbox.url()).parse().unwrap(),
            headers: http::HeaderMap::new(),
            body: None,
        };
        let basic = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{EMAIL}:{API_TOKEN}"))
        );
        set_header(&mut request.headers, "authorization", &basic).unwrap();
        for (name, value) in headers {
            set_header(&mut request.headers, name, value).unwrap();
        }
        request
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.client
            .send(&self.request(path, headers), &Anything)
            .await
            .unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path, &[]).await;
        assert_eq!(response.status, StatusCode::OK, "{path}");
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn all_issues(&self, jql: &str) -> Vec<Value> {
        let mut issues = Vec::new();
        let mut token = String::new();
        for _ in 0..50 {
            let jql = jql
                .replace(' ', "%20")
                .replace('=', "%3D")
                .replace('>', "%3E");
            let page = self
                .json(&format!(
                    "/rest/api/3/search/jql?jql={jql}&fields=*all&maxResults=7{token}"
                ))
                .await;
            issues.extend(page["issues"].as_array().unwrap().clone());
            assert_eq!(page["isLast"], json!(page.get("nextPageToken").is_none()));
            match page["nextPageToken"].as_str() {
                Some(next) => token = format!("&nextPageToken={next}"),
                None => return issues,
            }
        }
        panic!("the listing has no end");
    }
}

const QUIET: SandboxOptions = SandboxOptions {
    seed: 7,
    change_every: None,
    faults: false,
};

fn ids(listing: &Value) -> BTreeSet<String> {
    let features = listing["features"].as_array().unwrap().iter();
    features
        .map(|alert| alert["properties"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn entry(stream: &str, kind: &str, record: &Value) -> StreamEntry {
    let subject = record["properties"]["id"]
        .as_str()
        .or(record["id"].as_str())
        .unwrap();
    let text = |text: &str| Bytes::from(text.to_owned());
    StreamEntry {
        id: "1-0".to_owned(),
        fields: vec![
            ("type".to_owned(), text(kind)),
            ("subject".to_owned(), text(subject)),
            ("stream".to_owned(), text(stream)),
            ("data".to_owned(), text(&record.to_string())),
        ],
    }
}

#[tokio::test]
async fn alerts_change_only_by_steps_and_say_so_by_validators() {
    let asker = Asker::new(QUIET).await;
    let first = asker.get("/alerts/active?status=actual", &[]).await;
    let etag = first.headers["etag"].to_str().unwrap();
    let modified = first.headers["last-modified"].to_str().unwrap();
    for validator in [("if-none-match", etag), ("if-modified-since", modified)] {
        let again = asker
            .get("/alerts/active?status=actual", &[validator])
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    }
    let before = ids(&serde_json::from_slice(&first.body).unwrap());
    for _ in 0..20 {
        asker.sandbox.step();
    }
    let again = asker
        .get("/alerts/active?status=actual", &[("if-none-match", etag)])
        .await;
    assert_eq!(again.status, StatusCode::OK);
    let after = ids(&serde_json::from_slice(&again.body).unwrap());
    assert!(after.difference(&before).count() > 3, "new ones");
    assert!(before.difference(&after).count() > 3, "gone ones");
    assert_eq!(asker.sandbox.requests().not_modified, 2);
}

#[tokio::test]
async fn the_same_seed_changes_the_same_way() {
    let mut summaries = Vec::new();
    for seed in [3, 3, 4] {
        let asker = Asker::new(SandboxOptions { seed, ..QUIET }).await;
        (0..30).for_each(|_| asker.sandbox.step());
        let listing = asker.json("/alerts/active").await;
        let issues = asker.all_issues("project = EE ORDER BY updated").await;
        let keys: Vec<_> = issues.iter().map(|issue| issue["key"].clone()).collect();
        summaries.push((ids(&listing), keys));
    }
    assert_eq!(summaries[0], summaries[1]);
    assert_ne!(summaries[0], summaries[2]);
}

#[tokio::test]
async fn alerts_are_filtered_and_unknown_parameters_refused() {
    let asker = Asker::new(QUIET).await;
    let listing = asker.json("/alerts/active?severity=severe,minor").await;
    let features = listing["features"].as_array().unwrap();
    assert!(!features.is_empty());
    for alert in features {
        let severity = alert["properties"]["severity"].as_str().unwrap();
        assert!(["Severe", "Minor"].contains(&severity));
    }
    assert!(ids(&asker.json("/alerts/active?area=ZZ").await).is_empty());
    let refused = asker.get("/alerts/active?cachebust=1", &[]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn issues_are_read_page_by_page_oldest_change_first() {
    let asker = Asker::new(QUIET).await;
    let issues = asker
        .all_issues("project in (EE,K5) ORDER BY updated ASC")
        .await;
    assert_eq!(issues.len(), 16);
    let keys: BTreeSet<_> = issues
        .iter()
        .map(|issue| issue["key"].to_string())
        .collect();
    assert_eq!(keys.len(), 16);

    let before = jiff::Timestamp::now().as_millisecond();
    for _ in 0..3 {
        asker.sandbox.step();
    }
    let changed = asker
        .all_issues(&format!("(project = EE) AND updated >= {before}"))
        .await;
    assert!(
        !changed.is_empty() && changed.len() <= 3,
        "{}",
        changed.len()
    );
    let none = asker.all_issues("updated >= 99999999999999").await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn searches_are_refused_as_the_real_service_refuses_them() {
    let asker = Asker::new(QUIET).await;
    for query in [
        "jql=ORDER%20BY%20updated",
        "jql=",
        "jql=project%3DEE&nextPageToken=1.2.3",
    ] {
        let refused = asker
            .get(&format!("/rest/api/3/search/jql?{query}"), &[])
            .await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let ids_only = asker.json("/rest/api/3/search/jql?jql=project%3DEE").await;
    assert_eq!(ids_only["issues"][0].as_object().unwrap().len(), 1);
    for path in [
        "/rest/api/3/myself",
        "/rest/api/3/search/jql?jql=project%3DEE",
    ] {
        let refused = asker
            .get(path, &[("authorization", "Basic bm9ib2R5")])
            .await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn some_requests_fail_until_it_is_frozen() {
    let asker = Asker::new(SandboxOptions {
        faults: true,
        ..QUIET
    })
    .await;
    let mut statuses = BTreeSet::new();
    for _ in 0..20 {
        statuses.insert(asker.get("/alerts/active", &[]).await.status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([200, 429, 500]));
    asker.sandbox.freeze();
    for _ in 0..20 {
        assert_eq!(
            asker.get("/alerts/active", &[]).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn the_clients_own_reading_gets_through_the_failures() {
    let asker = Asker::new(SandboxOptions {
        faults: true,
        ..QUIET
    })
    .await;
    let request = asker.request("/alerts/active", &[]);
    for _ in 0..10 {
        let outcome: Result<_, FetchError> =
            asker.client.send(&request, &HttpJudge::default()).await;
        assert_eq!(outcome.unwrap().status, StatusCode::OK);
    }
    assert!(asker.sandbox.requests().limited > 0);
}

#[tokio::test]
async fn the_ledger_proves_that_each_version_arrived_once() {
    let asker = Asker::new(QUIET).await;
    let mut entries = Vec::new();
    let mut known: Vec<Value> = Vec::new();
    for _ in 0..10 {
        asker.sandbox.step();
        let listing = asker.json("/alerts/active").await;
        let features = listing["features"].as_array().unwrap();
        for alert in features.iter().filter(|alert| !known.contains(alert)) {
            entries.push(entry("alerts", "noaa.alerts.created", alert));
        }
        for alert in known.iter().filter(|alert| !features.contains(alert)) {
            entries.push(entry("alerts", "noaa.alerts.deleted", alert));
        }
        known.clone_from(features);
    }
    let ledger = asker.sandbox.ledger();
    let proof = ledger.prove(&entries);
    assert!(proof.holds(), "{proof}");
    assert_eq!(proof.served, proof.published);
    assert!(proof.gone > 0 && proof.gone == proof.deleted);

    let lost = ledger.prove(&entries[1..]);
    assert!(
        !lost.missing.is_empty() && lost.problems.is_empty(),
        "{lost}"
    );
    let mut twice = entries.clone();
    twice.push(entries[0].clone());
    assert!(!ledger.prove(&twice).problems.is_empty());
    let forged = entry("alerts", "noaa.alerts.deleted", known.last().unwrap());
    twice[entries.len()] = forged;
    assert!(!ledger.prove(&twice).problems.is_empty());
}
