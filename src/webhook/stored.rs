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
use super::payload::Payload;
use super::scheme::{Scheme, Token};
use super::spec::Webhooks;
use super::token;
use crate::store::QueuedDelivery;

/// Ties a delivery to the request that brought it: <https://www.w3.org/TR/trace-context/>
const TRACE: HeaderName = HeaderName::from_static("traceparent");

/// Stands where a secret stood.
const SECRET_TAKEN_OUT: &str = "***";

#[derive(Serialize, Deserialize)]
struct Head {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    headers: Vec<(String, String)>,
}

/// What of a connector's deliveries is kept until they are processed.
#[derive(Debug)]
pub struct Kept {
    headers: BTreeSet<String>,
    parameters: BTreeSet<String>,
    /// Secrets that stand in the body.
    in_body: Vec<Token>,
}

impl Delivery<Verified> {
    /// As it waits under `id`: its body and what [`Kept`] says, without what holds a secret.
    pub fn to_queued(&self, kept: &Kept, payload: &Payload, id: String) -> QueuedDelivery {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let query = self.query.as_deref().unwrap_or_default();
        let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| kept.parameters.contains(&**name))
            .collect();
        let mut head = Head {
            path: self.path.clone(),
            query: (!parameters.is_empty()).then(|| {
                form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(parameters)
                    .finish()
            }),
            headers: self
                .headers
                .iter()
                .filter(|(name, _)| kept.headers.contains(name.as_str()))
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
        };
        let mut body = self.body.clone();
        let document = |body: &Bytes, token| token::replaced(token, body, SECRET_TAKEN_OUT);
        let without = kept.in_body.iter().fold(None, |without, token| {
            document(without.as_ref().unwrap_or(payload.bytes()), token).or(without)
        });
        if let Some(without) = without {
            // What was sent compressed or as a form is kept as the document it holds.
            body = without;
            let of_document = [CONTENT_ENCODING, CONTENT_TYPE];
            head.headers
                .retain(|(name, _)| !of_document.iter().any(|other| other == name.as_str()));
        }
        QueuedDelivery {
            id,
            received_ms: self.received.as_millisecond(),
            // Names and texts alone: this cannot fail.
            head: serde_json::to_vec(&head).unwrap_or_default().into(),
            body,
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

impl Kept {
    /// What the manifest looks at, but for what proves where a delivery comes from.
    pub fn of(webhooks: &Webhooks) -> Self {
        let mut headers: BTreeSet<String> = [CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT, TRACE]
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut parameters = BTreeSet::new();
        let redacted = webhooks.redact.iter().cloned();
        let mut in_body: Vec<Token> = redacted
            .map(|pointer| Token {
                place: Place::Body(pointer),
                each: None,
            })
            .collect();
        let routes = webhooks.routes.iter().flat_map(|(_, routes)| routes);
        let conditions = routes.flat_map(|route| route.when.iter().map(|(place, _)| place));
        let id = webhooks.id.places().iter();
        for place in id.chain(&webhooks.event).chain(conditions) {
            match place {
                Place::Header(name) => drop(headers.insert(name.to_string())),
                Place::Query(name) => drop(parameters.insert(name.clone())),
                Place::Body(_) => {}
            }
        }
        for scheme in &webhooks.schemes {
            let place = match scheme {
                Scheme::Signature(_) => continue,
                Scheme::Token(token) => &token.place,
                Scheme::Jwt(jwt) => &jwt.place,
                Scheme::Oidc(oidc) => &oidc.place,
            };
            match (place, scheme) {
                (Place::Header(name), _) => drop(headers.remove(name.as_str())),
                (Place::Query(name), _) => drop(parameters.remove(name)),
                (Place::Body(_), Scheme::Token(token)) => in_body.push(token.clone()),
                (Place::Body(_), _) => {}
            }
        }
        headers.remove("cookie");
        headers.remove("authorization");
        Self {
            headers,
            parameters,
            in_body,
        }
    }
}
