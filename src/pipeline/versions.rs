//! The versions of one stream in memory: what was published last of every record.
//!
//! Trusted as long as every commit answers `Applied`: the fence in the store keeps it true. It
//! holds hashes of keys, not keys; whoever needs the key of a vanished record asks the store.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::signal::Version;
use crate::store::KnownVersion;

/// Sorted runs, by the highest bits of the key. A run of a million-entry table holds a thousand:
/// short enough to insert into, and filled to the brim where a hash table is half empty.
const RUNS: usize = 1024;

/// What stands in place of the version of a record that is gone.
pub const TOMBSTONE: Version = Version([0xff; 16]);

/// The key of a record, hashed.
pub type KeyHash = u128;

/// Hash under which `key` is found in its stream's table.
pub fn key_hash(key: &str) -> KeyHash {
    xxh3_128(key.as_bytes())
}

/// 32 bytes, so that a million records take about 35 MB.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: KeyHash,
    /// First half of the version.
    version: u64,
    /// Hash of the record's bytes as last read, 0 when not read by this process; the lowest bit
    /// says whether the current poll has seen the record.
    raw: u64,
}

const SEEN: u64 = 1;

/// What only some streams keep: when the record changed by its own account, and when it was last
/// read.
#[derive(Debug, Clone, Copy, Default)]
struct Extra {
    instant: Option<i64>,
    day: Option<u16>,
}

/// Versions of one stream.
#[derive(Debug)]
pub struct VersionTable {
    runs: Vec<Vec<Entry>>,
    extras: HashMap<KeyHash, Extra>,
    seen: u64,
}

/// What the table knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    version: u64,
    raw: u64,
    /// The record's own update time, milliseconds since 1970.
    pub instant: Option<i64>,
    /// Day on which it was last read.
    pub day: Option<u16>,
    /// Whether the current poll has seen the key before.
    pub seen: bool,
}

impl Known {
    /// Whether the record was last read with exactly these bytes.
    pub fn has_raw(&self, raw: u64) -> bool {
        self.raw != 0 && self.raw == raw & !SEEN
    }

    /// Whether the record is gone, and only remembered so that nothing older brings it back.
    pub fn is_tombstone(&self) -> bool {
        self.version == prefix(TOMBSTONE)
    }

    /// Whether this is the version last published.
    pub fn has_version(&self, version: Version) -> bool {
        self.version == prefix(version)
    }
}

fn prefix(version: Version) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&version.0[..8]);
    u64::from_be_bytes(half)
}

impl Default for VersionTable {
    fn default() -> Self {
        Self {
            runs: vec![Vec::new(); RUNS],
            extras: HashMap::new(),
            seen: 0,
        }
    }
}

impl VersionTable {
    /// How many records are known.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.len() as u64).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many known records the current poll has not seen.
    pub fn unseen(&self) -> u64 {
        self.len().saturating_sub(self.seen)
    }

    /// Whether the current poll has not seen something that is as new as `since`.
    pub fn misses(&self, since: i64) -> bool {
        if since == i64::MIN {
            return self.unseen() > 0;
        }
        let mut extras = self.extras.iter();
        extras.any(|(key, extra)| {
            extra.instant.is_some_and(|at| at >= since)
                && self
                    .get(*key)
                    .is_some_and(|known| !known.seen && !known.is_tombstone())
        })
    }

    /// What is known of `key`.
    pub fn get(&self, key: KeyHash) -> Option<Known> {
        let run = &self.runs[run_of(key)];
        let entry = &run[find(run, key).ok()?];
        let extra = self.extras.get(&key).copied().unwrap_or_default();
        Some(Known {
            version: entry.version,
            raw: entry.raw & !SEEN,
            instant: extra.instant,
            day: extra.day,
            seen: entry.raw & SEEN != 0,
        })
    }

    /// Takes over a version that the store keeps.
    pub fn load(&mut self, key: KeyHash, known: KnownVersion) {
        self.put(Entry {
            key,
            version: prefix(known.version),
            raw: 0,
        });
        self.put_extra(key, known);
    }

    /// Remembers a version that the current poll found, and the bytes it came in.
    pub fn set(&mut self, key: KeyHash, known: KnownVersion, raw: u64) {
        let was_seen = self.put(Entry {
            key,
            version: prefix(known.version),
            raw: raw | SEEN,
        });
        self.seen += u64::from(!was_seen);
        self.put_extra(key, known);
    }

    /// Remembers a version that a delivery brought: whether the current poll has seen the key
    /// stays as it is.
    pub fn set_delivered(&mut self, key: KeyHash, known: KnownVersion, raw: u64) {
        let run = &mut self.runs[run_of(key)];
        let seen = find(run, key).map_or(0, |at| run[at].raw & SEEN);
        self.put(Entry {
            key,
            version: prefix(known.version),
            raw: raw | seen,
        });
        self.put_extra(key, known);
    }

    /// Notes that the current poll has seen `key`, in these bytes.
    pub fn mark(&mut self, key: KeyHash, raw: u64) {
        let run = &mut self.runs[run_of(key)];
        if let Ok(at) = find(run, key) {
            let entry = &mut run[at];
            self.seen += u64::from(entry.raw & SEEN == 0);
            entry.raw = raw | SEEN;
        }
    }

    /// Notes that the current poll has seen `key`, and nothing of its content.
    pub fn see(&mut self, key: KeyHash) {
        let run = &mut self.runs[run_of(key)];
        if let Ok(at) = find(run, key) {
            self.seen += u64::from(run[at].raw & SEEN == 0);
            run[at].raw |= SEEN;
        }
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: KeyHash) {
        let run = &mut self.runs[run_of(key)];
        if let Ok(at) = find(run, key) {
            let entry = run.remove(at);
            self.seen -= u64::from(entry.raw & SEEN != 0);
        }
        self.extras.remove(&key);
    }

    /// Begins a poll: nothing is seen yet.
    pub fn clear_marks(&mut self) {
        if self.seen > 0 {
            for entry in self.runs.iter_mut().flatten() {
                entry.raw &= !SEEN;
            }
            self.seen = 0;
        }
    }

    /// Whether the entry that was there had been seen.
    fn put(&mut self, new: Entry) -> bool {
        let run = &mut self.runs[run_of(new.key)];
        match find(run, new.key) {
            Ok(at) => std::mem::replace(&mut run[at], new).raw & SEEN != 0,
            Err(at) => {
                if run.len() == run.capacity() {
                    // Doubling would leave a quarter of all memory unused on average.
                    run.reserve_exact((run.len() / 8).max(4));
                }
                run.insert(at, new);
                false
            }
        }
    }

    fn put_extra(&mut self, key: KeyHash, known: KnownVersion) {
        if known.instant.is_some() || known.day.is_some() {
            self.extras.insert(
                key,
                Extra {
                    instant: known.instant,
                    day: known.day,
                },
            );
        }
    }
}

fn run_of(key: KeyHash) -> usize {
    usize::try_from(key >> (KeyHash::BITS - RUNS.ilog2())).unwrap_or(0)
}

fn find(run: &[Entry], key: KeyHash) -> Result<usize, usize> {
    run.binary_search_by_key(&key, |entry| entry.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(byte: u8) -> KnownVersion {
        KnownVersion {
            version: Version([byte; 16]),
            instant: None,
            day: None,
        }
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn marks_count_what_a_poll_has_seen() {
        let mut table = VersionTable::default();
        let keys: Vec<_> = (0..1000).map(|n| key_hash(&n.to_string())).collect();
        for key in &keys[..900] {
            table.load(*key, known(1));
        }
        assert_eq!((table.len(), table.unseen()), (900, 900));
        for key in &keys[100..] {
            match table.get(*key) {
                Some(found) => {
                    assert!(!found.seen && !found.has_raw(8));
                    table.mark(*key, 8);
                    table.mark(*key, 8);
                }
                None => table.set(*key, known(2), 8),
            }
        }
        assert_eq!((table.len(), table.unseen()), (1000, 100));
        table.see(keys[1]);
        table.see(keys[1]);
        table.see(key_hash("unknown"));
        assert_eq!((table.len(), table.unseen()), (1000, 99));
        assert!(
            table
                .get(keys[950])
                .is_some_and(|found| found.seen && found.has_raw(9))
        );
        assert!(
            table
                .get(keys[950])
                .is_some_and(|found| found.has_version(Version([2; 16])))
        );
        table.remove(keys[0]);
        table.remove(keys[950]);
        assert_eq!((table.len(), table.unseen()), (998, 98));
        table.clear_marks();
        assert_eq!(table.unseen(), 998);
    }
}
