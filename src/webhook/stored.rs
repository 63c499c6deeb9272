//! A trusted delivery as it waits in the queue, and back.
//!
//! What proves it is checked once, before it is queued, and not kept: a token would be a secret
//! at rest.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::Place;
use super::delivery::{Delivery, Verified};
use super::scheme::Scheme;
use super::spec::Webhooks;
use crate::store::QueuedDelivery;

/// Ties a delivery to the request that brought it: <https://www.w3.org/TR/trace-context/>
const TRACE: HeaderName = HeaderName::from_static("traceparent");

#[derive(Serialize, Deserialize)]
struct Head {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl Delivery<Verified> {
    /// As it waits under `id`: body and the headers that its manifest looks at, without those
    /// that hold a secret.
    pub fn to_queued(&self, webhooks: &Webhooks, id: String) -> QueuedDelivery {
        let (names, parameters) = looked_at(webhooks);
        let headers = self
            .headers
            .iter()
            .filter(|(name, _)| names.contains(name.as_str()));
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let query = self.query.as_deref().unwrap_or_default();
        let kept: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| parameters.contains(&**name))
            .collect();
        let head = Head {
            path: self.path.clone(),
            query: (!kept.is_empty()).then(|| {
                form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(kept)
                    .finish()
            }),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
        };
        QueuedDelivery {
            id,
            received_ms: self.received.as_millisecond(),
            // Names and texts alone: this cannot fail.
            head: serde_json::to_vec(&head).unwrap_or_default().into(),
            body: self.body.clone(),
        }
    }

    /// What was queued. Only trusted deliveries are.
    pub fn from_queued(queued: &QueuedDelivery) -> Option<Self> {
        let head: Head = serde_json::from_slice(&queued.head).ok()?;
        let mut headers = HeaderMap::new();
        for (name, value) in head.headers {
            let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            else {
                continue;
            };
            headers.append(name, value);
        }
        let received = Timestamp::from_millisecond(queued.received_ms).unwrap_or_default();
        let body: Bytes = queued.body.clone();
        let target = (&*head.path, head.query.as_deref());
        Some(Delivery::new(Method::POST, target, headers, body, received).with_trust())
    }
}

/// Names of headers and parameters that are kept.
fn looked_at(webhooks: &Webhooks) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut names: BTreeSet<String> = [CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT, TRACE]
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut parameters = BTreeSet::new();
    let routes = webhooks.routes.iter().flat_map(|(_, routes)| routes);
    let conditions = routes.flat_map(|route| route.when.iter().map(|(place, _)| place));
    for place in webhooks.id.iter().chain(&webhooks.event).chain(conditions) {
        match place {
            Place::Header(name) => drop(names.insert(name.to_string())),
            Place::Query(name) => drop(parameters.insert(name.clone())),
            Place::Body(_) => {}
        }
    }
    for scheme in &webhooks.schemes {
        let place = match scheme {
            Scheme::Token(token) => &token.place,
            Scheme::Jwt(jwt) => &jwt.place,
            Scheme::Hmac(_) => continue,
        };
        match place {
            Place::Header(name) => drop(names.remove(name.as_str())),
            Place::Query(name) => drop(parameters.remove(name)),
            Place::Body(_) => {}
        }
    }
    names.remove("cookie");
    names.remove("authorization");
    (names, parameters)
}
