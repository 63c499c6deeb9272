//! The sandbox's weather service: alerts that are issued, replaced by updates, and gone.
//!
//! As with the real service nothing changes in place: an update is a new alert that refers to the
//! one it replaces.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::world::pick;

/// Alerts that are active at first.
const INITIAL: usize = 14;
/// Fewer than this and nothing more is taken away.
const FEWEST: usize = 8;
/// More than this and nothing more is added.
const MOST: usize = 24;

/// Query parameters that the real service knows; it answers 400 to any other.
const PARAMETERS: [&str; 14] = [
    "status",
    "message_type",
    "event",
    "code",
    "region_type",
    "point",
    "region",
    "area",
    "zone",
    "urgency",
    "severity",
    "certainty",
    "limit",
    "cursor",
];

#[derive(Debug)]
pub(super) struct Alerts {
    /// Recorded alerts; new ones are made from them.
    recorded: Vec<Value>,
    active: Vec<Value>,
    /// When the set last changed.
    updated: Timestamp,
    /// Number of the set, for its `ETag`.
    revision: u64,
}

impl Alerts {
    pub(super) fn new(now: Timestamp) -> Self {
        let recorded: Vec<Value> = serde_json::from_str(include_str!("../fixtures/alerts.json"))
            .expect("the embedded alerts are JSON");
        Self {
            active: recorded[..INITIAL].to_vec(),
            recorded,
            updated: now,
            revision: 0,
        }
    }

    pub(super) fn step(&mut self, random: &mut StdRng, now: Timestamp) {
        let at = random.random_range(0..self.active.len());
        match random.random_range(0..10) {
            0..4 if self.active.len() < MOST => {
                if let Some(model) = pick(random, &self.recorded) {
                    let alert = issue(model, None, random, now);
                    self.active.push(alert);
                }
            }
            4..7 if self.active.len() > FEWEST => {
                self.active.remove(at);
            }
            _ => {
                let replaced = self.active.remove(at);
                let alert = issue(&replaced, Some(&replaced), random, now);
                self.active.push(alert);
            }
        }
        self.revision += 1;
        self.updated = now;
    }

    pub(super) fn etag(&self, query: &str) -> String {
        format!(
            "\"alerts-{}-{:x}\"",
            self.revision,
            xxhash_rust::xxh3::xxh3_64(query.as_bytes())
        )
    }

    pub(super) fn updated(&self) -> Timestamp {
        self.updated
    }

    /// Active alerts that the query asks for; an error names the parameter that is unknown.
    pub(super) fn select(&self, query: &BTreeMap<String, String>) -> Result<Vec<&Value>, String> {
        if let Some(unknown) = query.keys().find(|key| !PARAMETERS.contains(&key.as_str())) {
            return Err(unknown.clone());
        }
        let wants = |parameter: &str, property: &Value| {
            query.get(parameter).is_none_or(|wanted| {
                let is = property.as_str().unwrap_or_default();
                wanted.split(',').any(|one| one.eq_ignore_ascii_case(is))
            })
        };
        Ok(self
            .active
            .iter()
            .filter(|alert| {
                let properties = &alert["properties"];
                let in_area = query.get("area").is_none_or(|areas| {
                    let codes = properties["geocode"]["UGC"].as_array();
                    codes
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .any(|code| {
                            areas
                                .split(',')
                                .any(|area| code.starts_with(&area.to_uppercase()))
                        })
                });
                in_area
                    && wants("status", &properties["status"])
                    && wants("message_type", &properties["messageType"])
                    && wants("event", &properties["event"])
                    && wants("severity", &properties["severity"])
                    && wants("urgency", &properties["urgency"])
                    && wants("certainty", &properties["certainty"])
            })
            .collect())
    }

    /// The answer that holds `alerts`.
    pub(super) fn collection(&self, alerts: &[&Value]) -> Value {
        json!({
            "@context": [
                "https://geojson.org/geojson-ld/geojson-context.jsonld",
                { "@version": "1.1", "wx": "https://api.weather.gov/ontology#",
                  "@vocab": "https://api.weather.gov/ontology#" }
            ],
            "type": "FeatureCollection",
            "features": alerts,
            "title": "Current watches, warnings, and advisories",
            "updated": instant(self.updated),
        })
    }
}

/// A new alert like `model`, in place of `replaced` if there is one.
fn issue(model: &Value, replaced: Option<&Value>, random: &mut StdRng, now: Timestamp) -> Value {
    let id = format!(
        "urn:oid:2.49.0.1.840.0.{:032x}{:08x}.001.1",
        random.random::<u128>(),
        random.random::<u32>()
    );
    let address = format!("https://api.weather.gov/alerts/{id}");
    let mut alert = model.clone();
    alert["id"] = json!(address);
    let properties = &mut alert["properties"];
    properties["@id"] = json!(address);
    properties["id"] = json!(id);
    for field in ["sent", "effective", "onset"] {
        properties[field] = json!(instant(now));
    }
    let end = now.saturating_add(2.hours()).unwrap_or(now);
    properties["expires"] = json!(instant(end));
    properties["ends"] = json!(instant(end));
    properties["messageType"] = json!(if replaced.is_some() {
        "Update"
    } else {
        "Alert"
    });
    properties["references"] = match replaced.map(|alert| &alert["properties"]) {
        None => json!([]),
        Some(old) => json!([{
            "@id": old["@id"], "identifier": old["id"],
            "sender": old["sender"], "sent": old["sent"],
        }]),
    };
    alert
}

/// As the service writes it: whole seconds, with an offset.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
