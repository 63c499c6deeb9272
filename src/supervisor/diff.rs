//! Running against wanted → what to start, change and stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Wish;

/// What makes the running set equal to the wanted one. Names in neither list are not touched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// To start.
    pub added: Vec<Arc<str>>,
    /// To stop at a page boundary and go on with another configuration.
    pub changed: Vec<Arc<str>>,
    /// Only the interval is another: takes effect without a restart.
    pub retimed: Vec<Arc<str>>,
    /// To stop, releasing the lease.
    pub removed: Vec<Arc<str>>,
}

/// Compares what runs with what is wanted.
pub fn diff(running: &BTreeMap<Arc<str>, Wish>, wanted: &BTreeMap<Arc<str>, Wish>) -> Diff {
    let mut diff = Diff::default();
    for (name, wish) in wanted {
        match running.get(name) {
            None => diff.added.push(name.clone()),
            Some(current) if !is_same(current, wish) => diff.changed.push(name.clone()),
            Some(current) if current.config.poll_interval != wish.config.poll_interval => {
                diff.retimed.push(name.clone());
            }
            Some(_) => {}
        }
    }
    diff.removed = running
        .keys()
        .filter(|name| !wanted.contains_key(*name))
        .cloned()
        .collect();
    diff
}

/// Whether both would run alike, the interval aside. Where a value stands in its file does not
/// matter.
fn is_same(one: &Wish, other: &Wish) -> bool {
    let mut config = (*other.config).clone();
    config.poll_interval = one.config.poll_interval;
    let same_provider = config.provider.to_value() == one.config.provider.to_value();
    config.provider = one.config.provider.clone();
    same_provider
        && config == *one.config
        && (Arc::ptr_eq(&one.manifest, &other.manifest)
            || one.manifest.document.to_value() == other.manifest.document.to_value())
}
