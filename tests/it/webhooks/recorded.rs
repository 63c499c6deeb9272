//! Every recorded delivery is trusted and mapped; changed by one bit it is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use connector_worker::source::manifest::catalog::Catalog;
use connector_worker::webhook::{Id, Payload, Place, Refusal, Scheme, Verifier, Webhooks};
use http::HeaderValue;
use jiff::Timestamp;

use super::{Recording, recordings};

fn webhooks_of(recording: &Recording) -> Arc<Webhooks> {
    let catalog = Catalog::load(None).unwrap();
    let manifest = catalog.get(&recording.provider.to_uppercase()).unwrap();
    manifest.metadata.webhooks.clone().unwrap()
}

/// The time a recording was made, as far as it says so.
fn time_of(recording: &Recording, webhooks: &Webhooks) -> Timestamp {
    let any = Timestamp::from_second(1_700_000_000).unwrap();
    let at = webhooks.signed_at(&recording.delivery(any)).unwrap_or(any);
    if recording.name.contains("stale") {
        at + jiff::SignedDuration::from_mins(10)
    } else {
        at
    }
}

#[test]
fn recorded_deliveries_are_trusted_and_mapped() {
    let mut events = BTreeMap::<String, Vec<String>>::new();
    for recording in recordings() {
        let shown = format!("{}/{}", recording.provider, recording.name);
        let webhooks = webhooks_of(&recording);
        let now = time_of(&recording, &webhooks);
        let verifier = Verifier::new(&webhooks, std::slice::from_ref(&recording.secret));
        let trusted = verifier.verify(recording.delivery(now), now);
        if recording.name.starts_with("negative.") {
            assert!(trusted.is_err(), "{shown}");
            continue;
        }
        let trusted = trusted.unwrap_or_else(|refusal| panic!("{shown}: {refusal:?}"));
        let payload = Payload::decode(&trusted.headers, &trusted.body, 1 << 20).unwrap();
        let event = webhooks.event_of(&trusted, &payload);
        let id = webhooks.id_of("c", &trusted, &payload);
        let again = webhooks.id_of("c", &trusted, &payload);
        assert_eq!(id == again, webhooks.id != Id::None, "{shown}");
        let mut line = format!("{shown} {event}");
        for route in webhooks.routes_for(&event) {
            if !route.applies(&trusted, &payload) {
                continue;
            }
            match route
                .map(&event, &payload)
                .unwrap_or_else(|error| panic!("{shown}: {error}"))
            {
                Some(mapped) => {
                    assert!(!mapped.records.is_empty(), "{shown}");
                    let _ = write!(
                        line,
                        " -> {} {:?} x{}{}",
                        mapped.stream,
                        mapped.change,
                        mapped.records.len(),
                        if mapped.refetch { " refetch" } else { "" }
                    );
                }
                None => line += " -> nothing",
            }
            if route.wake {
                line += " wake";
            }
        }
        events
            .entry(recording.provider.clone())
            .or_default()
            .push(line);
    }
    let lines: Vec<String> = events.into_values().flatten().collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn one_flipped_bit_is_refused() {
    for recording in recordings() {
        if recording.name.starts_with("negative.") {
            continue;
        }
        let shown = format!("{}/{}", recording.provider, recording.name);
        let webhooks = webhooks_of(&recording);
        let now = time_of(&recording, &webhooks);
        let verifier = Verifier::new(&webhooks, std::slice::from_ref(&recording.secret));
        let covers_body = webhooks.schemes.iter().any(|scheme| {
            matches!(scheme, Scheme::Signature(signature) if recording.headers.contains_key(&signature.header))
        });
        // Every bit of a few hundred bytes, spread over the body.
        let step = recording.body.len().div_ceil(300).max(1);
        for at in (0..recording.body.len())
            .step_by(step)
            .filter(|_| covers_body)
        {
            for bit in 0..8 {
                let mut changed = recording.delivery(now);
                let mut body = changed.body.to_vec();
                body[at] ^= 1 << bit;
                changed.body = body.into();
                assert!(
                    verifier.verify(changed, now).is_err(),
                    "{shown} body byte {at} bit {bit}"
                );
            }
        }
        for scheme in &webhooks.schemes {
            let name = match scheme {
                Scheme::Signature(signature) => signature.header.clone(),
                Scheme::Token(token) => match &token.place {
                    Place::Header(name) => name.clone(),
                    Place::Query(_) | Place::Body(_) => {
                        token_elsewhere(&recording, &verifier, now);
                        continue;
                    }
                },
                Scheme::Jwt(_) | Scheme::Oidc(_) => continue,
            };
            let Some(value) = recording.headers.get(&name) else {
                continue;
            };
            for at in 0..value.len() {
                for bit in 0..8 {
                    let mut bytes = value.as_bytes().to_vec();
                    bytes[at] ^= 1 << bit;
                    let Ok(bytes) = HeaderValue::from_bytes(&bytes) else {
                        continue;
                    };
                    let mut changed = recording.delivery(now);
                    changed.headers.insert(name.clone(), bytes);
                    assert!(
                        verifier.verify(changed, now).is_err(),
                        "{shown} {name} byte {at} bit {bit}"
                    );
                }
            }
            let mut twice = recording.delivery(now);
            twice.headers.append(name.clone(), value.clone());
            assert!(verifier.verify(twice, now).is_err(), "{shown} {name} twice");
        }
    }
}

/// Every bit of a secret that stands in the address or in the body.
fn token_elsewhere(recording: &Recording, verifier: &Verifier, now: Timestamp) {
    let secret = recording.secret.expose();
    let flipped = |text: &[u8]| {
        let at = text
            .windows(secret.len())
            .position(|part| part == secret.as_bytes());
        let bits = at
            .into_iter()
            .flat_map(|at| at * 8..(at + secret.len()) * 8);
        let flip = |bit: usize| {
            let mut text = text.to_vec();
            text[bit / 8] ^= 1 << (bit % 8);
            text
        };
        bits.map(flip).collect::<Vec<_>>()
    };
    let mut tried = 0;
    for query in flipped(recording.query.as_deref().unwrap_or_default().as_bytes()) {
        let Ok(query) = String::from_utf8(query) else {
            continue;
        };
        let mut changed = recording.delivery(now);
        changed.query = Some(query);
        assert!(verifier.verify(changed, now).is_err());
        tried += 1;
    }
    for body in flipped(&recording.body) {
        let mut changed = recording.delivery(now);
        changed.body = body.into();
        assert!(verifier.verify(changed, now).is_err());
        tried += 1;
    }
    assert!(tried > 0, "{}/{}", recording.provider, recording.name);
}

#[test]
fn without_a_secret_nobody_is_trusted() {
    for recording in recordings() {
        let webhooks = webhooks_of(&recording);
        let now = time_of(&recording, &webhooks);
        for secrets in [vec![], vec!["".into()]] {
            let refusal = Verifier::new(&webhooks, &secrets).verify(recording.delivery(now), now);
            assert_eq!(refusal.unwrap_err(), Refusal::NoSecret);
        }
        let other = ["another secret".into()];
        let refused = Verifier::new(&webhooks, &other).verify(recording.delivery(now), now);
        assert!(refused.is_err());
        let during_rotation = ["another secret".into(), recording.secret.clone()];
        if !recording.name.starts_with("negative.") {
            let verifier = Verifier::new(&webhooks, &during_rotation);
            verifier.verify(recording.delivery(now), now).unwrap();
        }
    }
}
