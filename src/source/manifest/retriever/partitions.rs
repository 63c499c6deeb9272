//! The partitions of a stream: values of a list, records of parent streams, or combinations.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::Run;
use super::pages::Pages;
use crate::client::FetchError;
use crate::json::{Map, Value, parse};
use crate::source::manifest::partition::{Partition, only_by, product};
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::{Parent, Parts, Router};

/// Partitions of one stream at most. Too small cuts large organisations, too large fills memory.
const MAX_PARTITIONS: usize = 100_000;

/// The partitions of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Partitions {
    pub(super) list: Vec<Partition>,
    /// A parent that could not be read to its end: there may be more partitions.
    pub(super) failed: Option<FetchError>,
    /// Pages of a parent were counted: one of its records may have been overlooked.
    pub(super) counted: bool,
}

/// Parents that were read during one read of the source: streams with the same parent share it.
#[derive(Default)]
pub(in crate::source::manifest) struct ParentCache(Mutex<HashMap<Arc<str>, Arc<Partitions>>>);

impl ParentCache {
    /// The partitions of a stream that has these routers.
    pub(super) async fn partitions(
        &self,
        run: &Run<'_>,
        routers: &[Router],
    ) -> Result<Partitions, FetchError> {
        let mut partitions = Partitions::default();
        let mut factors = Vec::new();
        for router in routers {
            factors.push(self.factor(run, router, &mut partitions).await?);
        }
        let product = product(factors).map_err(|error| run.misconfigured(error))?;
        // The same partition twice would be read twice.
        let mut seen = HashSet::new();
        partitions.list = product
            .filter(|partition| seen.insert(Value::Object(partition.keys.clone()).to_string()))
            .collect();
        bounded(run, partitions.list.len())?;
        Ok(partitions)
    }

    /// The partitions of one router. How its parents were read is noted in `parents`.
    fn factor<'a>(
        &'a self,
        run: &'a Run<'_>,
        router: &'a Router,
        parents: &'a mut Partitions,
    ) -> BoxFuture<'a, Result<Vec<Partition>, FetchError>> {
        Box::pin(async move {
            match router {
                Router::List(list) => list
                    .partitions(&run.context())
                    .map_err(|error| run.misconfigured(error)),
                Router::Substream(streams) => {
                    let mut partitions = Vec::new();
                    for parent in streams {
                        let found = self.parent(run, parent).await?;
                        partitions.extend(found.list.iter().cloned());
                        parents.counted |= found.counted;
                        if parents.failed.is_none() {
                            parents.failed.clone_from(&found.failed);
                        }
                    }
                    Ok(partitions)
                }
                Router::Union { key, routers } => {
                    let key = key.text(&run.context());
                    let key = key.map_err(|error| run.misconfigured(error))?;
                    let mut union = Vec::new();
                    for router in routers {
                        for partition in self.factor(run, router, parents).await? {
                            union.push(only_by(&key, partition).ok_or_else(|| {
                                run.misconfigured(format!("a partition of the union has no {key}"))
                            })?);
                        }
                    }
                    Ok(union)
                }
            }
        })
    }

    /// One partition per record of a parent stream, read once per read of the source.
    fn parent<'a>(
        &'a self,
        run: &'a Run<'_>,
        parent: &'a Parent,
    ) -> BoxFuture<'a, Result<Arc<Partitions>, FetchError>> {
        Box::pin(async move {
            if let Some(found) = self.0.lock().await.get(&parent.identity) {
                return Ok(found.clone());
            }
            let run = run.of(&parent.name);
            let of_parent = self.partitions(&run, &parent.parts.routers).await?;
            let mut partitions = Partitions {
                list: Vec::new(),
                failed: of_parent.failed,
                counted: of_parent.counted,
            };
            for partition in &of_parent.list {
                match read_parent(&run, parent, partition, &mut partitions).await {
                    Ok(()) => {}
                    Err(error) if super::ends_the_stream(&error) => return Err(error),
                    Err(error) => drop(partitions.failed.get_or_insert(error)),
                }
            }
            let partitions = Arc::new(partitions);
            let mut cache = self.0.lock().await;
            cache.insert(parent.identity.clone(), partitions.clone());
            Ok(partitions)
        })
    }
}

async fn read_parent(
    run: &Run<'_>,
    parent: &Parent,
    partition: &Partition,
    into: &mut Partitions,
) -> Result<(), FetchError> {
    let keys = parent.config.keys(&run.context());
    let keys = keys.map_err(|error| run.misconfigured(error))?;
    let slice = first_slice(run, &parent.parts, partition)?;
    let options = parent
        .parts
        .slice_options
        .of(&slice, &run.context())
        .map_err(|error| run.misconfigured(error))?;
    let mut pages = Pages::new(run, &parent.parts, &slice, options, None);
    while let Some(page) = pages.next(None).await? {
        for record in page.records {
            let record = parse(&record)
                .map_err(|error| FetchError::Unusable(format!("stream {}: {error}", run.stream)))?;
            let found = keys.partition(&record, &partition.keys);
            let found = found.map_err(|error| run.misconfigured(error))?;
            into.list.extend(found);
        }
        bounded(run, into.list.len())?;
    }
    into.counted |= pages.is_counted();
    Ok(())
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
