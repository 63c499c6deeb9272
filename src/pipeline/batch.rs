//! Changes that wait for their commit, cut where a commit becomes too large for a shared store.

use bytes::Bytes;

use super::detect::KeyedVersion;
use crate::signal::{Signal, Version};
use crate::store::{Acknowledged, DeadLetter, KnownVersion, VersionEntry, version_field};

/// Records per commit. Measured on Redis: a hundred of 2 KB hold it for half a millisecond, and
/// more at once are slower, not faster.
pub(super) const MAX_RECORDS: usize = 100;

/// Bytes of data per commit.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// A dead letter keeps this much of its record.
const MAX_DEAD_BYTES: usize = 64 * 1024;

/// What the next commit of one stream will hold.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Signals in order.
    pub(super) signals: Vec<Signal>,
    /// Versions to set.
    pub(super) versions: Vec<VersionEntry>,
    /// Version fields to remove.
    pub(super) gone: Vec<Vec<u8>>,
    /// Records that failed.
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Deliveries that are done.
    pub(super) acknowledged: Vec<Acknowledged>,
    bytes: usize,
    /// How many signals already own their data.
    detached: usize,
}

impl Batch {
    /// Adds a changed record.
    pub(super) fn change(&mut self, stream: &str, signal: Signal, version: &KeyedVersion) {
        self.bytes += signal.data.len();
        self.signals.push(signal);
        self.refresh(stream, version);
    }

    /// Adds a version without a signal.
    pub(super) fn refresh(&mut self, stream: &str, version: &KeyedVersion) {
        self.set(VersionEntry {
            field: version_field(stream, &version.key),
            known: version.known,
        });
    }

    /// The store removes after it sets: what was gone and is there again must not be in both.
    fn set(&mut self, entry: VersionEntry) {
        self.gone.retain(|gone| *gone != entry.field);
        self.versions.push(entry);
    }

    /// Adds a deletion; without a signal the version is only forgotten.
    pub(super) fn delete(&mut self, field: Vec<u8>, signal: Option<Signal>) {
        self.signals.extend(signal);
        self.gone.push(field);
    }

    /// Adds a deletion of which something is remembered.
    pub(super) fn bury(&mut self, field: Vec<u8>, known: KnownVersion, signal: Option<Signal>) {
        self.signals.extend(signal);
        self.set(VersionEntry { field, known });
    }

    /// Adds a record that cannot become a signal.
    pub(super) fn reject(&mut self, stream: &str, reason: String, data: &Bytes) {
        let data = Bytes::copy_from_slice(&data[..data.len().min(MAX_DEAD_BYTES)]);
        self.bytes += data.len();
        self.dead_letters.push(DeadLetter {
            stream: stream.to_owned(),
            reason,
            data,
        });
    }

    /// Whether the next record belongs into another commit, of which none holds more than `most`.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let records = self
            .signals
            .len()
            .max(self.versions.len())
            .max(self.gone.len());
        records + self.dead_letters.len() >= most || self.bytes >= MAX_BYTES
    }

    /// Whether `next` bytes more would pass the bound of a commit that holds something.
    pub(super) fn overflows_with(&self, next: usize) -> bool {
        !self.is_empty() && self.bytes + next > MAX_BYTES
    }

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.signals.is_empty()
            && self.versions.is_empty()
            && self.gone.is_empty()
            && self.dead_letters.is_empty()
            && self.acknowledged.is_empty()
    }

    /// Copies the data of waiting signals, so that a few of them do not keep whole pages in
    /// memory.
    pub(super) fn detach(&mut self) {
        for signal in &mut self.signals[self.detached..] {
            signal.data = Bytes::copy_from_slice(&signal.data);
        }
        self.detached = self.signals.len();
    }
}

/// The signal of a record that is gone.
pub(super) fn deletion(subject: &str, version: Version, time: String) -> Signal {
    Signal {
        kind: crate::signal::ChangeKind::Deleted,
        subject: subject.to_owned(),
        version,
        time,
        data: Bytes::from_static(b"{}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_and_made_again_is_not_removed_after_it_is_set() {
        let known = KnownVersion {
            version: Version([7; 16]),
            instant: None,
            day: None,
        };
        let version = KeyedVersion {
            key: "a".to_owned(),
            known,
        };
        let mut batch = Batch::default();
        batch.delete(version_field("files", "a"), None);
        batch.delete(version_field("files", "b"), None);
        batch.refresh("files", &version);
        assert_eq!(batch.gone, [version_field("files", "b")]);
        assert_eq!(batch.versions.len(), 1);

        batch.delete(version_field("files", "a"), None);
        assert_eq!(batch.gone.len(), 2, "the store removes it after it is set");
    }
}
