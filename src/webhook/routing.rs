//! A trusted delivery → its id, its event, and what its manifest makes of it.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::delivery::{Delivery, Verified};
use super::payload::Payload;
use super::place::{Place, scalar};
use super::signature::encode_hex;
use super::spec::{Action, Change, Id, Route, Webhooks};
use crate::json::{self, Pointer};

/// A longer id is no id: its hash takes its place.
const MAX_ID_BYTES: usize = 200;

/// What one route makes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Stream name.
    pub stream: Arc<str>,
    /// Each a slice of the body.
    pub records: Vec<Bytes>,
    /// The key of the record, where it lacks one.
    pub key: Option<String>,
    /// What happened to them.
    pub change: Change,
    /// Fetch each before it is looked at.
    pub refetch: bool,
}

/// The delivery is not what its manifest describes; trying again will not help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unmappable {
    /// Nothing where the record should be.
    #[error("event {event} has no record at \"{pointer}\"")]
    NoRecord {
        /// Name of the event.
        event: String,
        /// Where it should be.
        pointer: String,
    },
}

impl Webhooks {
    /// The id under which a delivery is known: a repetition of it has the same, as [`Id`] says.
    pub fn id_of(
        &self,
        connector: &str,
        delivery: &Delivery<Verified>,
        payload: &Payload,
    ) -> String {
        let places = match &self.id {
            Id::At(places) => places,
            Id::None => return format!("own:{:032x}", rand::random::<u128>()),
        };
        let found = places.iter().find_map(|place| {
            let id = self.find(place, delivery, payload)?;
            (!id.is_empty()).then_some(id)
        });
        match found {
            Some(id) if id.len() <= MAX_ID_BYTES => id,
            Some(id) => hashed("id", &[id.as_bytes()]),
            None => hashed("body", &[connector.as_bytes(), b"\0", &delivery.body]),
        }
    }

    /// The event's name: `issues.opened`.
    pub fn event_of(&self, delivery: &Delivery<Verified>, payload: &Payload) -> String {
        let parts = self.event.iter();
        let parts = parts.filter_map(|place| self.find(place, delivery, payload));
        parts.collect::<Vec<_>>().join(".")
    }

    #[expect(clippy::unused_self, reason = "reads as part of the manifest's word")]
    fn find(
        &self,
        place: &Place,
        delivery: &Delivery<Verified>,
        payload: &Payload,
    ) -> Option<String> {
        place
            .find(
                &delivery.headers,
                delivery.query.as_deref(),
                payload.bytes(),
            )
            .map(std::borrow::Cow::into_owned)
    }

    /// What becomes of an event; empty when the manifest does not say.
    pub fn routes_for(&self, event: &str) -> &[Route] {
        let fitting = self.routes.iter().find(|(pattern, _)| pattern.fits(event));
        fitting.map_or(&[], |(_, routes)| routes)
    }

    /// The answer to a question that is no delivery.
    pub fn handshake<S>(
        &self,
        delivery: &Delivery<S>,
        body: &[u8],
        signed: bool,
    ) -> Option<String> {
        let find = |place: &Place| place.find(&delivery.headers, delivery.query.as_deref(), body);
        self.handshakes
            .iter()
            .filter(|handshake| handshake.signed == signed && handshake.method == delivery.method)
            .filter(|handshake| {
                let mut conditions = handshake.when.iter();
                conditions.all(|(place, value)| find(place).as_deref() == Some(&**value))
            })
            .find_map(|handshake| find(&handshake.answer).map(std::borrow::Cow::into_owned))
    }
}

impl Route {
    /// Whether the delivery meets the route's conditions.
    pub fn applies(&self, delivery: &Delivery<Verified>, payload: &Payload) -> bool {
        self.when.iter().all(|(place, values)| {
            let found = place.find(
                &delivery.headers,
                delivery.query.as_deref(),
                payload.bytes(),
            );
            found.is_some_and(|found| values.iter().any(|value| *value == found))
        })
    }

    /// The records of a delivery; `None` when the route publishes nothing.
    pub fn map(&self, event: &str, payload: &Payload) -> Result<Option<Mapped>, Unmappable> {
        let Action::Publish {
            stream,
            record,
            key,
            change,
            refetch,
        } = &self.action
        else {
            return Ok(None);
        };
        let path: Vec<&str> = record.parts().iter().map(String::as_str).collect();
        let missing = |pointer: &Pointer| Unmappable::NoRecord {
            event: event.to_owned(),
            pointer: pointer.to_string(),
        };
        let found = json::elements(payload.bytes(), &path).ok().flatten();
        let ranges = found.ok_or_else(|| missing(record))?;
        let key = match key {
            Some(pointer) => {
                let key = scalar(payload.bytes(), pointer).filter(|key| !key.is_empty());
                Some(key.ok_or_else(|| missing(pointer))?.into_owned())
            }
            None => None,
        };
        let records = ranges.into_iter().map(|range| payload.bytes().slice(range));
        Ok(Some(Mapped {
            stream: stream.clone(),
            records: records.collect(),
            key,
            change: *change,
            refetch: *refetch,
        }))
    }
}

fn hashed(what: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    format!("{what}:{}", encode_hex(&hash.finalize()))
}
