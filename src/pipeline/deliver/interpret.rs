//! What one delivery means: records of streams, a poll, nothing, or trouble.

use std::time::Duration;

use bytes::Bytes;

use crate::client::FetchError;
use crate::pipeline::Pipeline;
use crate::pipeline::inbox::{Attempt, Fetch, Fetched};
use crate::source::StreamSpec;
use crate::webhook::{Change, Delivery, Mapped, Payload, Verified, Webhooks};

/// What one delivery comes to.
pub(super) enum Meaning {
    /// Records of streams; none for an event that only wakes or means nothing.
    Changes {
        changes: Vec<Brought>,
        wake: bool,
        routed: bool,
    },
    /// Its records have to be fetched first.
    Fetch(Vec<Fetch>),
    /// Will not work however often it is tried.
    Poison(String),
    /// May work later.
    Later(String, Option<Duration>),
}

impl Meaning {
    const NOTHING: Self = Self::Changes {
        changes: Vec::new(),
        wake: false,
        routed: false,
    };
}

/// One record that a delivery brought.
pub(super) struct Brought {
    /// Index of the stream among all of the source, pushed ones after read ones.
    pub(super) stream: usize,
    pub(super) record: Bytes,
    /// The key, where the record has none: what the route says, or the delivery's own id.
    pub(super) key: Option<String>,
    pub(super) change: Change,
}

impl Pipeline {
    /// What a delivery means, as far as it can be said without what has to be fetched.
    pub(super) fn interpret(
        &self,
        webhooks: &Webhooks,
        attempt: &Attempt,
        specs: &[StreamSpec],
    ) -> Meaning {
        let queued = &attempt.waiting.delivery;
        let Some(delivery) = Delivery::<Verified>::from_queued(queued) else {
            return Meaning::Poison("its stored head cannot be read".to_owned());
        };
        let limit = webhooks.max_body_bytes;
        let payload = match Payload::decode(&delivery.headers, &delivery.body, limit) {
            Ok(payload) => payload,
            Err(error) => return Meaning::Poison(error.to_string()),
        };
        match self.source.wants(payload.bytes()) {
            Ok(true) => {}
            Ok(false) => return Meaning::NOTHING,
            Err(reason) => {
                return Meaning::Poison(format!("cannot tell whether it is wanted: {reason}"));
            }
        }
        let event = webhooks.event_of(&delivery, &payload);
        let (mut found, mut wake, mut routed) = (Vec::new(), false, false);
        for route in webhooks.routes_for(&event) {
            if !route.applies(&delivery, &payload) {
                continue;
            }
            routed = true;
            wake |= route.wake;
            let mapped = match route.map(&event, &payload) {
                Ok(Some(mapped)) => mapped,
                Ok(None) => continue,
                Err(error) => return Meaning::Poison(error.to_string()),
            };
            if let Some(stream) = self.stream_of(&mapped, specs) {
                found.push((stream, mapped));
            }
        }
        let (missing, fetched) = match fetched_of(attempt, &found, payload.bytes()) {
            Ok(all) => all,
            Err(error) => return later(error),
        };
        if !missing.is_empty() {
            return Meaning::Fetch(missing);
        }
        match self.changes(&found, fetched, &queued.id, specs) {
            Ok(changes) => Meaning::Changes {
                changes,
                wake,
                routed,
            },
            Err(reason) => Meaning::Poison(reason),
        }
    }

    /// The stream of a route, unless the connector leaves it out: one that is read, by naming
    /// others; one that is only delivered, by naming others of those.
    fn stream_of(&self, mapped: &Mapped, specs: &[StreamSpec]) -> Option<usize> {
        let stream = specs.iter().position(|spec| spec.name == mapped.stream)?;
        let asked_for = &self.config.streams;
        let (read, pushed) = specs.split_at(self.source.streams().len());
        let leaves_out = if stream < read.len() {
            !asked_for.is_empty()
        } else {
            pushed.iter().any(|spec| asked_for.contains(&spec.name))
        };
        (!leaves_out || asked_for.contains(&mapped.stream)).then_some(stream)
    }

    fn changes(
        &self,
        found: &[(usize, Mapped)],
        mut fetched: Found,
        id: &str,
        specs: &[StreamSpec],
    ) -> Result<Vec<Brought>, String> {
        let first_pushed = self.source.streams().len();
        let mut changes: Vec<Brought> = Vec::new();
        for (stream, mapped) in found {
            let is_own = *stream >= first_pushed && specs[*stream].signal.subject.is_empty();
            for record in &mapped.records {
                let record = if is_fetched(mapped) {
                    // What is not shown any more is the next poll's to tell.
                    let Some(record) = fetched.next().flatten() else {
                        continue;
                    };
                    record
                } else {
                    record.clone()
                };
                let selected = match self.source.select(&mapped.stream, record.clone())? {
                    Some(selected) => selected,
                    // What is gone need not pass the filter any more.
                    None if mapped.change == Change::Delete => record,
                    None => continue,
                };
                let own = || match changes.len() {
                    0 => id.to_owned(),
                    n => format!("{id}#{n}"),
                };
                let key = mapped.key.clone().or_else(|| is_own.then(own));
                changes.push(Brought {
                    stream: *stream,
                    record: selected,
                    key,
                    change: mapped.change,
                });
            }
        }
        Ok(changes)
    }
}

fn is_fetched(mapped: &Mapped) -> bool {
    mapped.refetch && mapped.change == Change::Upsert
}

type Found = std::vec::IntoIter<Option<Bytes>>;

/// What has to be fetched for a delivery, or what was.
fn fetched_of<'a>(
    attempt: &'a Attempt,
    found: &[(usize, Mapped)],
    delivery: &Bytes,
) -> Result<(Vec<Fetch>, Found), &'a FetchError> {
    match &attempt.fetched {
        Some(Fetched::Records(records)) => Ok((Vec::new(), records.clone().into_iter())),
        Some(Fetched::Failed(error)) => Err(error),
        None => {
            let wanted = found.iter().filter(|(_, mapped)| is_fetched(mapped));
            let missing = wanted.flat_map(|(_, mapped)| {
                mapped.records.iter().map(|record| Fetch {
                    stream: mapped.stream.clone(),
                    record: record.clone(),
                    delivery: delivery.clone(),
                })
            });
            Ok((missing.collect(), Vec::new().into_iter()))
        }
    }
}

fn later(error: &FetchError) -> Meaning {
    let reason = format!("its record cannot be fetched: {}", error.clone().redacted());
    match error {
        FetchError::RateLimited { retry_after } => Meaning::Later(reason, Some(*retry_after)),
        FetchError::Misconfigured(_) => Meaning::Poison(reason),
        _ => Meaning::Later(reason, None),
    }
}
