//! Records that the provider itself says are gone.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::Cycle;
use crate::pipeline::CycleError;
use crate::pipeline::batch::deletion;
use crate::pipeline::detect::rfc3339;
use crate::pipeline::session::split_field;
use crate::pipeline::versions::{VersionTable, key_hash};
use crate::source::Deleted;
use crate::store::{KnownVersion, version_field};

/// Versions looked up in the store at a time.
const AT_ONCE: usize = 1000;

/// What is gone with everything below it: keys begin with one of these.
struct Prefixes(BTreeSet<String>);

impl Prefixes {
    fn of(mut all: Vec<String>) -> Self {
        // None begins with another, so that only the nearest before a key can be its beginning.
        all.sort();
        all.dedup_by(|next, kept| next.starts_with(kept.as_str()));
        Self(all.into_iter().collect())
    }

    fn hold(&self, key: &str) -> bool {
        let upto = (Bound::Unbounded, Bound::Included(key));
        let nearest = self.0.range::<str, _>(upto).next_back();
        nearest.is_some_and(|prefix| key.starts_with(prefix.as_str()))
    }
}

impl Cycle<'_> {
    /// Publishes what `deleted` names, as far as it was known, and forgets its versions.
    pub(super) async fn delete_named(
        &mut self,
        stream: usize,
        name: &Arc<str>,
        deleted: Vec<Deleted>,
    ) -> Result<(), CycleError> {
        if deleted.is_empty() {
            return Ok(());
        }
        let mut prefixes: Vec<String> = deleted
            .iter()
            // What is there and was not known had nothing below it.
            .filter(|gone| gone.itself || self.knows(name, &gone.key))
            .filter_map(|gone| Some(format!("{}{}", gone.key, gone.below.as_ref()?)))
            .collect();
        let gone_itself = deleted.into_iter().filter(|gone| gone.itself);
        let mut keys: Vec<String> = gone_itself.map(|gone| gone.key).collect();
        let mut seen = HashSet::new();
        keys.retain(|key| self.knows(name, key) && seen.insert(key.clone()));
        if self
            .session
            .tables
            .get(name)
            .is_none_or(VersionTable::is_empty)
        {
            prefixes.clear();
        }
        if keys.is_empty() && prefixes.is_empty() {
            return Ok(());
        }
        // What waits must be in the store before its versions are looked up there.
        self.flush().await?;
        let connector = self.session.lease.connector.clone();
        let mut gone: Vec<(String, KnownVersion)> = Vec::new();
        for chunk in keys.chunks(AT_ONCE) {
            let fields: Vec<Vec<u8>> = chunk.iter().map(|key| version_field(name, key)).collect();
            let versions = self
                .pipeline
                .store
                .get_versions(&connector, &fields)
                .await?;
            gone.extend(
                chunk
                    .iter()
                    .cloned()
                    .zip(versions)
                    .filter_map(|(key, known)| Some((key, known?))),
            );
        }
        if !prefixes.is_empty() {
            let prefixes = Prefixes::of(prefixes);
            self.pipeline
                .store
                .scan_versions(&connector, &mut |field, known| {
                    let Some((of, key)) = split_field(field) else {
                        return;
                    };
                    if of == &**name && prefixes.hold(key) && seen.insert(key.to_owned()) {
                        gone.push((key.to_owned(), known));
                    }
                })
                .await?;
        }
        let publish = self.publishes_deletions();
        for (key, known) in gone {
            // Another page of this poll may have said so before.
            if !self.knows(name, &key) {
                continue;
            }
            if self.batch.is_full(self.most) {
                self.launch().await?;
            }
            let time = rfc3339(self.pipeline.clock.now());
            let rule = &self.streams[stream].rule;
            let signal = publish.then(|| deletion(&rule.subject(&key), known.version, time));
            self.batch.delete(version_field(name, &key), signal);
            self.batch_since.get_or_insert_with(Instant::now);
            if let Some(table) = self.session.tables.get_mut(name) {
                table.remove(key_hash(&key));
            }
        }
        Ok(())
    }

    fn knows(&self, name: &Arc<str>, key: &str) -> bool {
        let table = self.session.tables.get(name);
        table.is_some_and(|table| {
            table
                .get(key_hash(key))
                .is_some_and(|known| !known.is_tombstone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Prefixes;

    #[test]
    fn what_is_below_is_held_whatever_else_is() {
        let prefixes = ["/a/b/", "/a/", "/c/", "/a/"].map(str::to_owned);
        let prefixes = Prefixes::of(prefixes.to_vec());
        for key in ["/a/0", "/a/b/1", "/a/z", "/c/1"] {
            assert!(prefixes.hold(key), "{key}");
        }
        for key in ["/a", "/ab", "/b/1", "/c", "", "/"] {
            assert!(!prefixes.hold(key), "{key}");
        }
    }
}
