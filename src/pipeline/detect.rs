//! Records → changes: what is new, what differs, what was seen before.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::versions::{KeyHash, TOMBSTONE, VersionTable, key_hash};
use crate::connector::ChangeDetection;
use crate::json::{self, Ignored, Pointer};
use crate::signal::{ChangeKind, Signal, Version, Via};
use crate::source::{KeyRule, Record, StreamSpec};
use crate::store::KnownVersion;

/// How one stream's records are told apart.
#[derive(Debug)]
pub struct Rule {
    key: KeyRule,
    time: Option<Pointer>,
    version: Vec<Pointer>,
    ignored: Arc<Ignored>,
    ordered: bool,
    /// Rewrite the day a record was last read when it is this many days old; `None` for streams
    /// whose versions do not age out.
    refresh_after_days: Option<u16>,
    later_counts: bool,
}

/// What became of one record.
#[derive(Debug)]
pub enum Detection {
    /// Published before in this version.
    Unchanged,
    /// Unchanged, but its version would age out: remember that it is still there.
    Refresh(KeyedVersion),
    /// Seen before in this poll; `differs` says whether its content was another.
    Repeated {
        /// Whether the content differs from the first.
        differs: bool,
    },
    /// Older than what was published.
    Older,
    /// To be published.
    Changed(Signal, KeyedVersion),
    /// Cannot become a signal.
    Rejected(String),
}

/// A version to store.
#[derive(Debug, Clone)]
pub struct KeyedVersion {
    /// The key as text.
    pub key: String,
    /// Its version.
    pub known: KnownVersion,
}

/// A record that is gone.
#[derive(Debug, Clone)]
pub struct Removal {
    /// Its key as text.
    pub key: String,
    /// What is remembered of it; `None`: nothing.
    pub tombstone: Option<KnownVersion>,
}

impl Rule {
    /// The stream's rule with what the configuration adds to it.
    pub fn new(spec: &StreamSpec, detection: &ChangeDetection) -> Self {
        let (rule, ages_out) = (&spec.signal, !spec.lists_everything);
        let ignore: Vec<Pointer> = rule
            .ignore
            .iter()
            .cloned()
            .chain(detection.ignore.iter().filter_map(|text| text.parse().ok()))
            .collect();
        let refresh = u16::try_from(detection.retention_days.div_ceil(4)).unwrap_or(u16::MAX);
        Self {
            key: rule.into(),
            time: rule.time.clone(),
            version: rule
                .version
                .iter()
                .filter(|field| !ignore.contains(field))
                .cloned()
                .collect(),
            ignored: Arc::new(Ignored::new(&ignore)),
            ordered: rule.ordered && rule.time.is_some(),
            refresh_after_days: ages_out.then_some(refresh),
            later_counts: spec.later_counts,
        }
    }

    /// What does not make a version, if all else does.
    pub fn hashing(&self) -> Option<Arc<Ignored>> {
        self.version.is_empty().then(|| self.ignored.clone())
    }

    /// Compares one record with what is known, and remembers it.
    ///
    /// The table is ahead of the store until the change is committed: whoever gives a change up
    /// must reload the table.
    pub fn detect(&self, record: &Record, table: &mut VersionTable, now: Timestamp) -> Detection {
        self.examine(record, None, table, now, Via::Poll)
    }

    /// As [`detect`](Self::detect), for a record that came outside a poll: what the current poll
    /// has seen makes no difference and stays as it is. `key` takes the place of the record's own.
    pub fn detect_delivered(
        &self,
        record: &Bytes,
        key: Option<&str>,
        table: &mut VersionTable,
        now: Timestamp,
    ) -> Detection {
        self.examine(&record.clone().into(), key, table, now, Via::Webhook)
    }

    fn examine(
        &self,
        record: &Record,
        key: Option<&str>,
        table: &mut VersionTable,
        now: Timestamp,
        via: Via,
    ) -> Detection {
        let key = match self.key.key(record, key) {
            Ok(key) => key,
            Err(reason) => return Detection::Rejected(reason),
        };
        let hash = key_hash(&key);
        // Odd values stay free for the mark, 0 for "never read".
        let raw = record.raw_hash() & !1 | 2;
        let known = table.get(hash);
        if let Some(known) = known {
            if known.seen && via == Via::Poll && !self.later_counts {
                return Detection::Repeated {
                    differs: !known.has_raw(raw),
                };
            }
            if known.has_raw(raw) {
                return self.unchanged(
                    key,
                    hash,
                    raw,
                    known.instant,
                    known.day,
                    table,
                    record,
                    (now, via),
                );
            }
        }
        let found = record.version().filter(|_| self.version.is_empty());
        let version = match found.map_or_else(|| self.version(record), Ok) {
            Ok(version) => version,
            Err(error) => {
                return Detection::Rejected(format!("the record is no valid JSON: {error}"));
            }
        };
        let instant = self.instant(record);
        if let Some(known) = known {
            if known.has_version(version) {
                return self.unchanged(
                    key,
                    hash,
                    raw,
                    known.instant,
                    known.day,
                    table,
                    record,
                    (now, via),
                );
            }
            let published = known.instant.filter(|_| self.ordered);
            if let (Some(published), Some(instant)) = (published, instant)
                && (instant.as_millisecond() < published
                    || known.is_tombstone() && instant.as_millisecond() == published)
            {
                if via == Via::Poll {
                    table.mark(hash, raw);
                }
                return Detection::Older;
            }
        }
        let known_version = KnownVersion {
            version,
            instant: instant
                .filter(|_| self.ordered)
                .map(Timestamp::as_millisecond),
            day: self.refresh_after_days.map(|_| day_of(now)),
        };
        remember(table, hash, known_version, raw, via);
        let signal = Signal {
            kind: if known.is_some_and(|known| !known.is_tombstone()) {
                ChangeKind::Updated
            } else {
                ChangeKind::Created
            },
            subject: self.subject(&key).into_owned(),
            version,
            time: rfc3339(instant.unwrap_or(now)),
            data: Bytes::clone(record),
        };
        Detection::Changed(
            signal,
            KeyedVersion {
                key,
                known: known_version,
            },
        )
    }

    /// Notes that a known record is still there, whatever became of its content; `false` when the
    /// record has no key.
    pub fn see(&self, record: &Bytes, table: &mut VersionTable) -> bool {
        let Ok(key) = self.key.key(record, None) else {
            return false;
        };
        table.see(key_hash(&key));
        true
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, twice")]
    fn unchanged(
        &self,
        key: String,
        hash: KeyHash,
        raw: u64,
        instant: Option<i64>,
        day: Option<u16>,
        table: &mut VersionTable,
        record: &[u8],
        (now, via): (Timestamp, Via),
    ) -> Detection {
        let is_old =
            |after: u16| day.is_none_or(|day| day_of(now).saturating_sub(day) >= after.max(1));
        if !self.refresh_after_days.is_some_and(is_old) {
            if via == Via::Poll {
                table.mark(hash, raw);
            }
            return Detection::Unchanged;
        }
        // The table holds half a version; the store wants it whole.
        let Ok(version) = self.version(record) else {
            return Detection::Unchanged;
        };
        let known = KnownVersion {
            version,
            instant,
            day: Some(day_of(now)),
        };
        remember(table, hash, known, raw, via);
        Detection::Refresh(KeyedVersion { key, known })
    }

    /// What it means that the provider says `record` is gone; `None` when it is not known, or
    /// known to be gone.
    pub fn remove(
        &self,
        record: &[u8],
        key: Option<&str>,
        table: &VersionTable,
        received: Timestamp,
    ) -> Result<Option<Removal>, String> {
        let key = self.key.key(record, key)?;
        let Some(known) = table
            .get(key_hash(&key))
            .filter(|known| !known.is_tombstone())
        else {
            return Ok(None);
        };
        // Where versions are in order, what is older than the deletion must not bring it back.
        let tombstone = self.ordered.then(|| {
            let said = self.instant(record).unwrap_or(received).as_millisecond();
            KnownVersion {
                version: TOMBSTONE,
                instant: Some(said.max(known.instant.unwrap_or(i64::MIN))),
                day: Some(day_of(received)),
            }
        });
        Ok(Some(Removal { key, tombstone }))
    }

    /// Makes the table know of a removal.
    pub fn forget(&self, key: &str, tombstone: Option<KnownVersion>, table: &mut VersionTable) {
        match tombstone {
            Some(known) => table.set_delivered(key_hash(key), known, 0),
            None => table.remove(key_hash(key)),
        }
    }

    /// The subject of the record that is known by `key`.
    pub fn subject<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.key.subject(key)
    }

    /// Whether a record older than the published one is dropped.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The key of a record, hashed, if it has one.
    pub fn key_hash(&self, record: &[u8]) -> Option<KeyHash> {
        self.key.key(record, None).ok().map(|key| key_hash(&key))
    }

    fn version(&self, record: &[u8]) -> Result<Version, json::SyntaxError> {
        if self.version.is_empty() {
            json::canonical_hash(record, &self.ignored)
        } else {
            json::fields_hash(record, &self.version)
        }
    }

    fn instant(&self, record: &[u8]) -> Option<Timestamp> {
        json::time_of(json::get(record, self.time.as_ref()?)?)
    }
}

fn remember(table: &mut VersionTable, hash: KeyHash, known: KnownVersion, raw: u64, via: Via) {
    match via {
        Via::Poll => table.set(hash, known, raw),
        Via::Webhook => table.set_delivered(hash, known, raw),
    }
}

/// Days since 1970.
pub fn day_of(at: Timestamp) -> u16 {
    u16::try_from(at.as_second().div_euclid(86_400)).unwrap_or(0)
}

/// UTC, with as many digits of a second as the instant has.
pub fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}
