//! The partitions of a stream: values of a list, records of parent streams, or combinations.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::Run;
use super::pages::Pages;
use crate::client::FetchError;
use crate::json::{Map, Value, parse};
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::{Parent, Router, Values};
use crate::source::manifest::template::{EvalError, Literal};

/// Partitions of one stream at most. Too small cuts large organisations, too large fills memory.
const MAX_PARTITIONS: usize = 100_000;

/// The partitions of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Partitions {
    pub(super) slices: Vec<StreamSlice>,
    /// A parent that could not be read to its end: there may be more partitions.
    pub(super) failed: Option<FetchError>,
}

impl Partitions {
    /// A stream that is not partitioned.
    pub(super) fn single() -> Self {
        Self {
            slices: vec![StreamSlice::default()],
            failed: None,
        }
    }
}

/// Parents that were read during one read of the source: streams with the same parent share it.
#[derive(Default)]
pub(in crate::source::manifest) struct ParentCache(Mutex<HashMap<Arc<str>, Arc<Partitions>>>);

impl ParentCache {
    /// The partitions that `router` makes.
    pub(super) async fn partitions(
        &self,
        run: &Run<'_>,
        router: &Router,
    ) -> Result<Arc<Partitions>, FetchError> {
        let mut partitions = Partitions::default();
        self.collect(run, router, &mut partitions).await?;
        // The same partition twice would be read twice.
        let mut seen = HashSet::new();
        partitions
            .slices
            .retain(|slice| seen.insert(Value::Object(slice.partition.clone()).to_string()));
        Ok(Arc::new(partitions))
    }

    fn collect<'a>(
        &'a self,
        run: &'a Run<'_>,
        router: &'a Router,
        into: &'a mut Partitions,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            match router {
                Router::List { values, key } => {
                    let slices = list(run, values, key).map_err(|e| run.misconfigured(e))?;
                    into.slices.extend(slices);
                }
                Router::Substream(parents) => {
                    for parent in parents {
                        let found = self.parent(run, parent).await?;
                        into.slices.extend(found.slices.iter().cloned());
                        if into.failed.is_none() {
                            into.failed.clone_from(&found.failed);
                        }
                    }
                }
                Router::Product(routers) => {
                    let mut product = vec![StreamSlice::default()];
                    for router in routers {
                        let mut factor = Partitions::default();
                        self.collect(run, router, &mut factor).await?;
                        if into.failed.is_none() {
                            into.failed = factor.failed;
                        }
                        bounded(run, product.len().saturating_mul(factor.slices.len()))?;
                        product = product
                            .iter()
                            .flat_map(|left| factor.slices.iter().map(|right| joined(left, right)))
                            .collect();
                    }
                    into.slices.extend(product);
                }
            }
            bounded(run, into.slices.len())
        })
    }

    /// One partition per record of a parent stream, read once per read of the source.
    async fn parent(&self, run: &Run<'_>, parent: &Parent) -> Result<Arc<Partitions>, FetchError> {
        if let Some(found) = self.0.lock().await.get(&parent.identity) {
            return Ok(found.clone());
        }
        let run = run.of(&parent.name);
        let mut partitions = Partitions::default();
        let mut of_parent = Partitions::single();
        if let Some(router) = &parent.parts.router {
            of_parent = Partitions::default();
            self.collect(&run, router, &mut of_parent).await?;
            partitions.failed = of_parent.failed;
        }
        for slice in &of_parent.slices {
            let read = read_parent(&run, parent, slice, &mut partitions.slices).await;
            match read {
                Ok(()) => {}
                Err(error) if super::ends_the_stream(&error) => return Err(error),
                Err(error) => drop(partitions.failed.get_or_insert(error)),
            }
        }
        let partitions = Arc::new(partitions);
        let mut cache = self.0.lock().await;
        cache.insert(parent.identity.clone(), partitions.clone());
        Ok(partitions)
    }
}

async fn read_parent(
    run: &Run<'_>,
    parent: &Parent,
    slice: &StreamSlice,
    into: &mut Vec<StreamSlice>,
) -> Result<(), FetchError> {
    let context = run.context();
    let failed = |error: EvalError| run.misconfigured(error);
    let options = parent
        .parts
        .slice_options
        .of(slice, &context)
        .map_err(failed)?;
    let field = parent.partition_field.text(&context).map_err(failed)?;
    let mut key = Vec::new();
    for part in &parent.key {
        key.push(part.text(&context).map_err(failed)?);
    }
    let mut pages = Pages::new(run, &parent.parts, slice, options, None);
    while let Some(page) = pages.next(None).await? {
        for record in page.records {
            let record = parse(&record)
                .map_err(|error| FetchError::Unusable(format!("stream {}: {error}", run.stream)))?;
            // A record without the key has no child.
            let Some(value) = find(&record, key.iter().map(String::as_str)) else {
                continue;
            };
            let mut partition = Map::new();
            partition.insert(field.clone(), value.clone());
            partition.insert("parent_slice".to_owned(), slice.partition.clone().into());
            let mut extra_fields = Map::new();
            for path in &parent.extra_fields {
                let value = find(&record, path.iter().map(String::as_str));
                extra_fields.insert(path.join("."), value.cloned().unwrap_or_default());
            }
            into.push(StreamSlice {
                partition,
                cursor: Map::new(),
                extra_fields,
            });
        }
        bounded(run, into.len())?;
    }
    Ok(())
}

fn find<'v, 'p>(record: &'v Value, path: impl Iterator<Item = &'p str>) -> Option<&'v Value> {
    let mut at = record;
    for part in path {
        at = match at {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            other => other.get(part)?,
        };
    }
    Some(at)
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

fn list(
    run: &Run<'_>,
    values: &Values,
    key: &crate::source::manifest::expr::Expr,
) -> Result<Vec<StreamSlice>, EvalError> {
    let context = run.context();
    let key = key.text(&context)?;
    let values: Vec<Value> = match values {
        Values::Each(exprs) => exprs
            .iter()
            .map(|expr| expr.value(&context).map(Literal::into_json))
            .collect::<Result<_, _>>()?,
        Values::All(expr) => match expr.value(&context)?.into_json() {
            Value::Array(items) => items,
            other => {
                return Err(EvalError::Failed {
                    what: format!("the values of the partition {key} are no list: {other}"),
                });
            }
        },
    };
    Ok(values
        .into_iter()
        .map(|value| {
            let mut slice = StreamSlice::default();
            slice.partition.insert(key.clone(), value);
            slice
        })
        .collect())
}

/// Both partitions at once.
fn joined(left: &StreamSlice, right: &StreamSlice) -> StreamSlice {
    let mut slice = left.clone();
    slice.partition.extend(right.partition.clone());
    slice.extra_fields.extend(right.extra_fields.clone());
    slice
}
