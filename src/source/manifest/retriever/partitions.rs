//! The partitions of a stream: values of a list, records of parent streams, or combinations.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::Run;
use super::cursors::Cursors;
use super::guard::Found;
use super::pages::Pages;
use crate::client::FetchError;
use crate::json::{Map, Value, parse};
use crate::source::manifest::cursor::{Observed, OpenCursor, Progress};
use crate::source::manifest::partition::{Partition, only_by, product};
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::{Parent, Parts, Router};

/// Partitions of one stream at most. Too small cuts large organisations, too large fills memory.
const MAX_PARTITIONS: usize = 100_000;

/// Walks of one slice of a parent in one read: a listing that is edited while it is read is read
/// again.
const MAX_WALKS: usize = 3;

/// The partitions of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Partitions {
    pub(super) list: Vec<Partition>,
    /// A parent that could not be read to its end: there may be more partitions.
    pub(super) failed: Option<FetchError>,
    /// Pages of a parent were counted: one of its records may have been overlooked.
    pub(super) counted: bool,
    /// How far the parents that are read incrementally have been read, by their names: to be
    /// remembered once everything below them has been read.
    pub(super) state: Map,
}

/// Parents that were read during one read of the source: streams with the same parent share it.
#[derive(Default)]
pub(in crate::source::manifest) struct ParentCache {
    read: Mutex<HashMap<Arc<str>, Arc<Partitions>>>,
    /// Partitions that are enough: a check wants an example, not all of them.
    enough: Option<usize>,
}

impl ParentCache {
    /// Parents are read until they give `enough` partitions.
    pub(in crate::source::manifest) fn until(enough: usize) -> Self {
        Self {
            read: Mutex::default(),
            enough: Some(enough),
        }
    }

    /// The partitions of a stream that has these routers. `state` is how far parents that are
    /// read incrementally were read the last time, by their names.
    pub(super) async fn partitions(
        &self,
        run: &Run<'_>,
        routers: &[Router],
        state: Option<&Value>,
    ) -> Result<Partitions, FetchError> {
        let mut found = Partitions::default();
        let mut factors = Vec::new();
        for router in routers {
            factors.push(self.factor(run, router, state, &mut found).await?);
        }
        let product = product(factors).map_err(|error| run.misconfigured(error))?;
        // The same partition twice would be read twice.
        let mut seen = HashSet::new();
        found.list = product
            .filter(|partition| seen.insert(Value::Object(partition.keys.clone()).to_string()))
            .collect();
        bounded(run, found.list.len())?;
        Ok(found)
    }

    /// The partitions of one router. A parent that cannot be read to its end, and how far parents
    /// have been read, is noted in `of`.
    fn factor<'a>(
        &'a self,
        run: &'a Run<'_>,
        router: &'a Router,
        state: Option<&'a Value>,
        of: &'a mut Partitions,
    ) -> BoxFuture<'a, Result<Vec<Partition>, FetchError>> {
        Box::pin(async move {
            match router {
                Router::List(list) => list
                    .partitions(&run.context())
                    .map_err(|error| run.misconfigured(error)),
                Router::Substream(streams) => {
                    let mut partitions = Vec::new();
                    for parent in streams {
                        let found = self.parent(run, parent, state).await?;
                        partitions.extend(found.list.iter().cloned());
                        of.state.extend(found.state.clone());
                        of.counted |= found.counted;
                        if of.failed.is_none() {
                            of.failed.clone_from(&found.failed);
                        }
                    }
                    Ok(partitions)
                }
                Router::Union { key, routers } => {
                    let key = key.text(&run.context());
                    let key = key.map_err(|error| run.misconfigured(error))?;
                    let mut union = Vec::new();
                    for router in routers {
                        for partition in self.factor(run, router, state, of).await? {
                            union.push(only_by(&key, partition).ok_or_else(|| {
                                run.misconfigured(format!("a partition of the union has no {key}"))
                            })?);
                        }
                    }
                    Ok(union)
                }
                Router::Grouped { grouping, routers } => {
                    let mut groups = grouping.groups();
                    let mut grouped = Vec::new();
                    for router in routers {
                        for partition in self.factor(run, router, state, of).await? {
                            let group = groups.push(partition);
                            grouped.extend(group.map_err(|error| run.misconfigured(error))?);
                        }
                    }
                    grouped.extend(groups.finish());
                    Ok(grouped)
                }
            }
        })
    }

    /// One partition per record of a parent stream, read once per read of the source. Of a parent
    /// that is read incrementally, only the records that changed since `state`.
    fn parent<'a>(
        &'a self,
        run: &'a Run<'_>,
        parent: &'a Parent,
        state: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<Arc<Partitions>, FetchError>> {
        Box::pin(async move {
            let is_incremental = parent.config.is_incremental();
            let state = state
                .filter(|_| is_incremental)
                .and_then(|state| state.get(&parent.name));
            // Two streams below one parent may have come to different places of it.
            let lookback = run.lookback.filter(|_| is_incremental);
            let identity: Arc<str> = match (state, lookback) {
                (None, None) => parent.identity.clone(),
                (state, lookback) => {
                    let state = state.map(Value::to_string).unwrap_or_default();
                    format!("{}\n{state}\n{lookback:?}", parent.identity).into()
                }
            };
            if let Some(found) = self.read.lock().await.get(&identity) {
                return Ok(found.clone());
            }
            let run = run.of(&parent.name);
            let above = state.and_then(|state| state.get("parent_state"));
            let routers = &parent.parts.routers;
            let of_parent = self.partitions(&run, routers, above).await?;
            let mut cursors = Cursors::open(&run, &parent.parts, state, lookback)?;
            let mut partitions = Partitions {
                failed: of_parent.failed,
                counted: of_parent.counted,
                ..Partitions::default()
            };
            for partition in &of_parent.list {
                if self
                    .enough
                    .is_some_and(|enough| partitions.list.len() >= enough)
                {
                    break;
                }
                let read = ParentRead {
                    run: &run,
                    parent,
                    enough: self.enough,
                };
                match read
                    .partition(partition, &mut cursors, &mut partitions)
                    .await
                {
                    Ok(()) => {}
                    Err(error) if super::ends_the_stream(&error) => return Err(error),
                    Err(error) => drop(partitions.failed.get_or_insert(error)),
                }
            }
            if is_incremental && let Some(state) = cursors.state(Some(&of_parent.state)) {
                let state = state.map_err(|error| run.misconfigured(error))?;
                partitions.state.insert(parent.name.to_string(), state);
            }
            let partitions = Arc::new(partitions);
            let mut cache = self.read.lock().await;
            cache.insert(identity, partitions.clone());
            Ok(partitions)
        })
    }
}

/// A parent stream that is being read.
struct ParentRead<'r> {
    run: &'r Run<'r>,
    parent: &'r Parent,
    enough: Option<usize>,
}

impl ParentRead<'_> {
    /// Reads one partition of the parent; its records become partitions in `into`.
    async fn partition(
        &self,
        partition: &Partition,
        cursors: &mut Cursors,
        into: &mut Partitions,
    ) -> Result<(), FetchError> {
        let run = self.run;
        let failed = |error| run.misconfigured(error);
        let Some(slices) = cursors.slices(partition).map_err(failed)? else {
            return Ok(());
        };
        for slice in slices {
            let (slice, window) = slice.map_err(failed)?;
            let wanted = cursors.wanted(partition).map_err(failed)?;
            let observed = self.slice(partition, &slice, wanted.as_ref(), into).await?;
            if let (Some(window), Some(observed)) = (&window, observed) {
                cursors.close(partition, window, observed);
            }
        }
        Ok(())
    }

    /// Reads one slice, more than once if its records move meanwhile. `None` when they never held
    /// still, or when the provider has nothing there.
    async fn slice(
        &self,
        partition: &Partition,
        slice: &StreamSlice,
        wanted: Option<&(OpenCursor, Progress)>,
        into: &mut Partitions,
    ) -> Result<Option<Observed>, FetchError> {
        let (run, parts) = (self.run, &*self.parent.parts);
        let keys = self.parent.config.keys(&run.context());
        let keys = keys.map_err(|error| run.misconfigured(error))?;
        let options = parts
            .slice_options
            .of(slice, &run.context())
            .map_err(|error| run.misconfigured(error))?;
        let filter = wanted
            .filter(|_| parts.filters_here)
            .map(|(cursor, progress)| (cursor, progress));
        for _ in 0..MAX_WALKS {
            let mut pages = Pages::new(run, parts, slice, options.clone(), filter);
            let mut observed = Observed::default();
            while let Some(page) = pages.next(None).await? {
                if page.skipped.is_some() {
                    return Ok(None);
                }
                for record in page.records {
                    let mut at = None;
                    if let Some((cursor, _)) = wanted {
                        observed.record(cursor, &record);
                        let value = cursor.value_of(&record);
                        at = value.filter(|_| self.parent.config.is_incremental());
                    }
                    let at = at.map(|at| at.epoch_micros());
                    let record = parse(&record).map_err(|error| {
                        FetchError::Unusable(format!("stream {}: {error}", run.stream))
                    })?;
                    let found = keys.partition(&record, &partition.keys);
                    let mut found = found.map_err(|error| run.misconfigured(error))?;
                    if let (Some(found), Some(at)) = (&mut found, at) {
                        let keys = Value::from(found.keys.clone());
                        found.mark = Some(xxh3_64(format!("{keys}\n{at}").as_bytes()));
                    }
                    into.list.extend(found);
                }
                bounded(run, into.list.len())?;
                if self.enough.is_some_and(|enough| into.list.len() >= enough) {
                    return Ok(None);
                }
            }
            into.counted |= pages.is_counted();
            if pages.drift() != Found::Moved {
                return Ok(Some(observed));
            }
        }
        Ok(None)
    }
}

/// The slice of `partition` that reads it from its start.
pub(super) fn first_slice(
    run: &Run<'_>,
    parts: &Parts,
    partition: &Partition,
) -> Result<StreamSlice, FetchError> {
    let Some(cursor) = &parts.cursor else {
        return Ok(partition.slice(Map::new()));
    };
    let failed = |error| run.misconfigured(error);
    let cursor = cursor.open(&run.context()).map_err(failed)?;
    let progress = cursor.progress(None).map_err(failed)?;
    Ok(match cursor.windows(&progress).next() {
        Some(window) => partition.slice(window.map_err(failed)?.slice),
        None => partition.slice(Map::new()),
    })
}

fn bounded(run: &Run<'_>, partitions: usize) -> Result<(), FetchError> {
    if partitions <= MAX_PARTITIONS {
        return Ok(());
    }
    Err(FetchError::Bound(format!(
        "stream {}: more than {MAX_PARTITIONS} partitions",
        run.stream
    )))
}
