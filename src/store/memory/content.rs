//! What the memory store holds, and the one write that changes several parts of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::credentials::Credential;
use super::queue::Queue;

use crate::store::entry::EntryWriter;
use crate::store::rate::SharedRate;
use crate::store::{
    Commit, Committed, DEAD_LETTERS_KEPT, DeadLetter, KnownVersion, Lease, Owner, STATE_SCHEMA,
    State, StreamEntry, local_id,
};

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) connectors: BTreeMap<String, Connector>,
    pub(super) streams: HashMap<String, BTreeMap<u64, StreamEntry>>,
    pub(super) credentials: HashMap<String, Credential>,
    /// Until when nobody shall ask a provider with a credential.
    pub(super) waits: HashMap<String, Instant>,
    pub(super) rates: HashMap<String, SharedRate>,
    /// Ids are never used twice, even after a purge.
    pub(super) last_id: u64,
}

#[derive(Debug, Default)]
pub(super) struct Connector {
    /// Who may try: holder and when its time is up.
    pub(super) lease: Option<(Owner, Instant)>,
    /// Who may write; `None` after a release.
    pub(super) owner: Option<Owner>,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    pub(super) fields: BTreeMap<String, String>,
    pub(super) versions: HashMap<Vec<u8>, KnownVersion>,
    pub(super) metrics: BTreeMap<String, String>,
    pub(super) dead_letters: Vec<(u64, String, DeadLetter)>,
    pub(super) queue: Queue,
}

impl Connector {
    /// The lease, if its time is not up.
    pub(super) fn holder(&self) -> Option<(&Owner, Duration)> {
        let (owner, until) = self.lease.as_ref()?;
        let remaining = until.checked_duration_since(Instant::now())?;
        (!remaining.is_zero()).then_some((owner, remaining))
    }

    pub(super) fn may_write(&self, lease: &Lease) -> bool {
        self.epoch == lease.epoch && self.owner.as_ref() == Some(&lease.owner)
    }

    /// Gives the lease another TTL if it still names this owner; answers whether it did.
    pub(super) fn extend(&mut self, lease: &Lease) -> bool {
        let held = self
            .holder()
            .is_some_and(|(owner, _)| *owner == lease.owner);
        if held {
            self.lease = Some((lease.owner.clone(), Instant::now() + lease.ttl));
        }
        held
    }

    pub(super) fn state(&self) -> State {
        State {
            schema: STATE_SCHEMA,
            epoch: self.epoch,
            sequence: self.sequence,
            fields: self.fields.clone(),
            versions: self.versions.len() as u64,
        }
    }
}

impl Content {
    pub(super) fn commit(&mut self, lease: &Lease, commit: &Commit) -> Committed {
        let connector = self
            .connectors
            .entry(lease.connector.to_string())
            .or_default();
        if !connector.may_write(lease) {
            return Committed::Fenced;
        }
        if commit.sequence == connector.sequence {
            return Committed::Applied {
                lease_held: connector.extend(lease),
            };
        }
        if commit.sequence != connector.sequence + 1 {
            return Committed::Gap {
                stored: connector.sequence,
            };
        }
        let length = self
            .streams
            .get(&*commit.output.stream)
            .map_or(0, |entries| entries.len() as u64);
        let added = commit.signals.len() as u64;
        let limit = commit.output.max_len;
        if limit > 0 && added > 0 && length + added > limit {
            return Committed::Full { length };
        }

        let mut writer = EntryWriter::new(lease, commit);
        if added > 0 {
            let entries = self
                .streams
                .entry(commit.output.stream.to_string())
                .or_default();
            for signal in &commit.signals {
                let mut fields = Vec::new();
                writer.each_field(signal, |name, value| {
                    fields.push((name.to_owned(), Bytes::copy_from_slice(value)));
                });
                self.last_id += 1;
                let id = local_id(self.last_id);
                entries.insert(self.last_id, StreamEntry { id, fields });
            }
        }
        for entry in &commit.versions {
            connector.versions.insert(entry.field.clone(), entry.known);
        }
        for field in &commit.gone {
            connector.versions.remove(field);
        }
        for (field, value) in &commit.state {
            match value {
                Some(value) => connector.fields.insert(field.clone(), value.clone()),
                None => connector.fields.remove(field),
            };
        }
        for letter in &commit.dead_letters {
            self.last_id += 1;
            let now = jiff::Timestamp::now().to_string();
            connector
                .dead_letters
                .push((self.last_id, now, letter.clone()));
        }
        let surplus = connector
            .dead_letters
            .len()
            .saturating_sub(DEAD_LETTERS_KEPT);
        connector.dead_letters.drain(..surplus);
        connector.queue.acknowledge(&commit.acknowledged);
        connector.sequence = commit.sequence;
        Committed::Applied {
            lease_held: connector.extend(lease),
        }
    }
}
