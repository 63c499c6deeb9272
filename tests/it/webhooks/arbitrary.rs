//! Arbitrary bytes, headers and forms: no panic, and nothing is trusted.

use std::sync::LazyLock;

use bytes::Bytes;
use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::{Delivery, Payload, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use proptest::prelude::*;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load(None).unwrap());

const NAMES: [&str; 8] = [
    "x-hub-signature-256",
    "x-hub-signature",
    "authorization",
    "content-type",
    "content-encoding",
    "x-github-event",
    "x-github-delivery",
    "webhook-signature",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"application/x-www-form-urlencoded".to_vec()),
        Just(b"gzip".to_vec()),
        Just(b"sha256=".to_vec()),
        Just(b"JWT a.b.c".to_vec()),
        "sha256=[0-9a-f]{64}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        "payload=[%0-9a-fA-F{}:+&=]{0,60}".prop_map(String::into_bytes),
        r#"\{"(issue|action|webhookEvent)":[\[{0-9"a-z]{0,30}"#.prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn strangers_are_refused_without_a_panic(
        headers in proptest::collection::vec((0..NAMES.len(), value()), 0..6),
        query in proptest::option::of("[ -~]{0,30}"),
        body in body(),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(HeaderName::from_static(NAMES[name]), value);
            }
        }
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let body = Bytes::from(body);
        // What is decoded is decoded without a panic, trusted or not.
        let _ = Payload::decode(&map, &body, 1000);
        for manifest in CATALOG.kinds() {
            let Some(webhooks) = &manifest.metadata.webhooks else { continue };
            let target = ("/webhooks/c", query.as_deref());
            let delivery = Delivery::new(Method::POST, target, map.clone(), body.clone(), now);
            let _ = webhooks.handshake(&delivery, &body, false);
            let verifier = Verifier::new(webhooks, &["a secret".into()]);
            prop_assert!(verifier.verify(delivery, now).is_err());
        }
    }
}
