//! Identity tokens: made by the issuer's key, for this connector, by the account that it expects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::{Delivery, Identity, KeySet, Refusal, Verifier};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::provider::{SOON, Site, item};
use crate::support::raw_http::{RawServer, answer};

const KEYS: &str = include_str!("../../fixtures/keys/rsa.jwks.json");
const PRIVATE: &str = include_str!("../../fixtures/keys/rsa-pkcs1.pem");
const AUDIENCE: &str = "https://hooks.example.com/webhooks/mail";
const SENDER: &str = "push@project.iam.gserviceaccount.com";

fn claims(now: Timestamp) -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "113774264463038321964",
        "email": SENDER, "email_verified": true,
        "iat": now.as_second(), "exp": now.as_second() + 3_600,
    })
}

fn token(claims: &Value, key: &str) -> String {
    let header = Header {
        kid: Some(key.to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    let lines = PRIVATE.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).unwrap();
    encode(&header, claims, &EncodingKey::from_rsa_der(&der)).unwrap()
}

fn gmail(keys: &KeySet) -> Verifier {
    let catalog = Catalog::load(None).unwrap();
    let webhooks = catalog
        .get("GMAIL")
        .unwrap()
        .metadata
        .webhooks
        .clone()
        .unwrap();
    let identity = Identity {
        audience: AUDIENCE.into(),
        sender: SENDER.into(),
        keys: keys.clone(),
    };
    Verifier::with_identity(&webhooks, &[], Some(&identity))
}

fn delivery(token: &str, now: Timestamp) -> Delivery<connector_worker::webhook::Unverified> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let body = Bytes::from_static(include_bytes!(
        "../../fixtures/webhooks/gmail/pubsub_push.body"
    ));
    Delivery::new(Method::POST, ("/webhooks/mail", None), headers, body, now)
}

#[test]
fn a_token_of_the_expected_account_is_trusted_and_no_other() {
    let keys = KeySet::default();
    let verifier = gmail(&keys);
    let now = Timestamp::from_second(1_750_000_000).unwrap();
    let good = token(&claims(now), "rsa-1");
    let verify = |token: &str, now| verifier.look(&delivery(token, now), now);
    assert_eq!(verify(&good, now), Err(Refusal::UnknownKey));
    assert!(keys.replace(b"{}").is_err() && keys.replace(b"{\"keys\":[]}").is_err());
    keys.replace(KEYS.as_bytes()).unwrap();
    assert_eq!(verify(&good, now), Ok(()));
    let later = now + jiff::SignedDuration::from_hours(2);
    assert!(matches!(verify(&good, later), Err(Refusal::Stale { .. })));
    assert_eq!(
        verify(&token(&claims(now), "rsa-2"), now),
        Err(Refusal::UnknownKey)
    );
    for (claim, other) in [
        ("aud", json!("https://hooks.example.com/webhooks/other")),
        ("iss", json!("https://accounts.example.com")),
        ("email", json!("somebody@project.iam.gserviceaccount.com")),
        ("email", Value::Null),
        ("email_verified", json!(false)),
    ] {
        let mut changed = claims(now);
        changed[claim] = other;
        assert_eq!(
            verify(&token(&changed, "rsa-1"), now),
            Err(Refusal::Mismatch),
            "{claim}"
        );
    }
    let several = json!([AUDIENCE, "other"]);
    let mut changed = claims(now);
    changed["aud"] = several;
    assert_eq!(verify(&token(&changed, "rsa-1"), now), Ok(()));
    // The public key is no shared secret.
    let header = Header {
        kid: Some("rsa-1".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let public = EncodingKey::from_secret(KEYS.as_bytes());
    let forged = encode(&header, &claims(now), &public).unwrap();
    assert_eq!(verify(&forged, now), Err(Refusal::Malformed));
    // Every bit of it.
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone().into_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = String::from_utf8(changed) else {
            continue;
        };
        if format!("Bearer {changed}")
            .parse::<http::HeaderValue>()
            .is_ok()
        {
            assert!(verify(&changed, now).is_err(), "bit {bit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_when_a_delivery_needs_them() {
    let published = RawServer::start(|number, _| match number {
        // The issuer is away at first.
        0 | 1 => answer("503 Service Unavailable", "", ""),
        _ => answer("200 OK", "Content-Type: application/json\r\n", KEYS),
    })
    .await;
    let site = Site::new(None, json!({ "audience": AUDIENCE, "sender": SENDER })).await;
    let manifest = std::fs::read_to_string(site.manifest()).unwrap();
    let oidc = format!(
        "signature: {{ type: oidc, from: 'header:Authorization', prefix: 'Bearer ', \
         issuers: ['https://accounts.google.com'], keys: '{}certs' }}",
        published.url
    );
    let manifest = manifest.replace("signature: { type: hmac, header: X-Signature }", &oidc);
    std::fs::write(site.manifest(), manifest).unwrap();
    let _worker = site.serve("serve", &[]).await;
    let client = reqwest::Client::new();
    let deliver = |token: String, id: &'static str| {
        let body = json!({ "event": "changed", "item": item(1, 1) }).to_string();
        let request = client
            .post(&site.public)
            .bearer_auth(token)
            .header("x-delivery", id)
            .header("content-type", "application/json")
            .body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let good = token(&claims(Timestamp::now()), "rsa-1");
    assert_eq!(deliver("a.b.c".to_owned(), "0").await, 401);
    assert_eq!(published.requests().len(), 0);
    // Nobody knows yet whether it is right.
    assert_eq!(deliver(good.clone(), "1").await, 503);
    let started = std::time::Instant::now();
    while deliver(good.clone(), "1").await != 200 {
        assert!(started.elapsed() < SOON);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert_eq!(
        deliver(token(&claims(Timestamp::now()), "rsa-9"), "2").await,
        401
    );
    assert_eq!(site.signals(1)[0]["subject"], "1");
}
