//! The partitions of a stream, made while they are read: a parent's page is only asked for when
//! its partitions are needed.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::cache::ResponseCache;
use super::pages::Pages;
use super::slices::{Cached, Slice, Slices};
use crate::client::FetchError;
use crate::json::{Map, Value, parse};
use crate::source::manifest::cursor::Observed;
use crate::source::manifest::partition::{Groups, ParentKeys, Partition, only_by, product};
use crate::source::manifest::retriever::Run;
use crate::source::manifest::stream::{Parent, Router};

/// The extra field in which a parent record's first page of its child is handed on.
pub(super) const FIRST_PAGE: &str = "child_response";

/// The partitions of a stream.
pub(super) enum Partitions<'r> {
    /// All of them.
    Known(std::vec::IntoIter<Partition>),
    /// One per record of the parents, one parent after the other.
    Substream {
        parents: Vec<Reading<'r>>,
        /// Which of them is being read.
        at: usize,
    },
    /// Every combination of the partitions of these.
    Product(Vec<Self>),
    /// The partitions of these, each value of one key once.
    Union {
        run: Run<'r>,
        key: String,
        parts: Vec<Self>,
        at: usize,
        seen: HashSet<String>,
    },
    /// Several partitions of another at once.
    Grouped {
        run: Run<'r>,
        groups: Groups,
        of: Box<Self>,
        is_over: bool,
    },
}

/// A parent stream on its way.
pub(super) struct Reading<'r> {
    run: Run<'r>,
    parent: &'r Parent,
    keys: ParentKeys,
    slices: Box<Slices<'r>>,
    following: Following,
    current: Option<Current<'r>>,
}

/// The slice that follows the current one.
enum Following {
    /// It was not looked for.
    Unknown,
    Slice(Slice),
    /// The current one is the last.
    Nothing,
}

/// A slice of a parent on its way.
struct Current<'r> {
    slice: Slice,
    pages: Pages<'r>,
    records: VecDeque<Bytes>,
    observed: Observed,
}

impl<'r> Partitions<'r> {
    /// The partitions of a stream with these routers and this state.
    pub(super) fn open(
        run: Run<'r>,
        routers: &'r [Router],
        state: Option<&Value>,
        cache: &'r ResponseCache,
    ) -> Result<Self, FetchError> {
        Ok(match routers {
            [] => Self::Known(vec![Partition::default()].into_iter()),
            [router] => Self::of(run, router, state, cache)?,
            routers => Self::Product(
                routers
                    .iter()
                    .map(|router| Self::of(run, router, state, cache))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    fn of(
        run: Run<'r>,
        router: &'r Router,
        state: Option<&Value>,
        cache: &'r ResponseCache,
    ) -> Result<Self, FetchError> {
        let failed = |error: &dyn std::fmt::Display| run.misconfigured(error);
        Ok(match router {
            Router::List(list) => {
                let list = list.partitions(&run.context()).map_err(|e| failed(&e))?;
                Self::Known(list.into_iter())
            }
            Router::Substream(parents) => Self::Substream {
                parents: parents
                    .iter()
                    .map(|parent| Reading::open(run, parent, state, cache))
                    .collect::<Result<_, _>>()?,
                at: 0,
            },
            Router::Union { key, routers } => Self::Union {
                run,
                key: key.text(&run.context()).map_err(|e| failed(&e))?,
                parts: routers
                    .iter()
                    .map(|router| Self::of(run, router, state, cache))
                    .collect::<Result<_, _>>()?,
                at: 0,
                seen: HashSet::new(),
            },
            Router::Grouped { grouping, routers } => Self::Grouped {
                run,
                groups: grouping.groups(),
                of: Box::new(Self::open(run, routers, state, cache)?),
                is_over: false,
            },
        })
    }

    /// The next partition; `None` after the last.
    pub(super) fn next(&mut self) -> BoxFuture<'_, Result<Option<Partition>, FetchError>> {
        Box::pin(async move {
            loop {
                match self {
                    Self::Known(list) => return Ok(list.next()),
                    Self::Substream { parents, at } => {
                        let Some(parent) = parents.get_mut(*at) else {
                            return Ok(None);
                        };
                        match parent.next().await? {
                            Some(partition) => return Ok(Some(partition)),
                            None => *at += 1,
                        }
                    }
                    Self::Product(factors) => {
                        let mut lists = Vec::new();
                        for factor in factors {
                            let mut list = Vec::new();
                            while let Some(partition) = factor.next().await? {
                                list.push(partition);
                            }
                            lists.push(list);
                        }
                        let all = product(lists)
                            .map_err(|error| FetchError::Misconfigured(error.to_string()))?;
                        *self = Self::Known(all.collect::<Vec<_>>().into_iter());
                    }
                    Self::Union {
                        run,
                        key,
                        parts,
                        at,
                        seen,
                    } => {
                        let Some(part) = parts.get_mut(*at) else {
                            return Ok(None);
                        };
                        let Some(partition) = part.next().await? else {
                            *at += 1;
                            continue;
                        };
                        let partition = only_by(key, partition).ok_or_else(|| {
                            run.misconfigured(format!("a partition of the union has no {key}"))
                        })?;
                        if seen.insert(Value::Object(partition.keys.clone()).to_string()) {
                            return Ok(Some(partition));
                        }
                    }
                    Self::Grouped { is_over: true, .. } => return Ok(None),
                    Self::Grouped {
                        run,
                        groups,
                        of,
                        is_over,
                    } => match of.next().await? {
                        Some(partition) => {
                            let group = groups.push(partition);
                            if let Some(group) = group.map_err(|error| run.misconfigured(error))? {
                                return Ok(Some(group));
                            }
                        }
                        None => {
                            *is_over = true;
                            return Ok(groups.finish());
                        }
                    },
                }
            }
        })
    }

    /// How far the parents that are read incrementally have come; `None` where the routers have
    /// no such notion.
    pub(super) fn parent_state(&self) -> Option<Value> {
        let mut states = Map::new();
        match self {
            Self::Known(_) | Self::Product(_) => return None,
            Self::Substream { parents, .. } => {
                for reading in parents.iter().filter(|r| r.parent.is_incremental) {
                    if let Ok(state) = reading.slices.state() {
                        states.insert(reading.parent.name.to_string(), state);
                    }
                }
            }
            Self::Grouped { of, .. } => return of.parent_state(),
            Self::Union { parts, .. } => {
                for state in parts.iter().filter_map(Self::parent_state) {
                    if let Value::Object(state) = state {
                        states.extend(state);
                    }
                }
            }
        }
        Some(states.into())
    }
}

impl<'r> Reading<'r> {
    fn open(
        run: Run<'r>,
        parent: &'r Parent,
        child: Option<&Value>,
        cache: &'r ResponseCache,
    ) -> Result<Self, FetchError> {
        let keys = parent.config.keys(&run.context());
        let keys = keys.map_err(|error| run.misconfigured(error))?;
        let run = run.of(&parent.name);
        let state = match child {
            Some(child) if parent.is_incremental => state_of(run, parent, child)?,
            _ => None,
        };
        let cached = Cached {
            own: Some(cache),
            parents: cache,
        };
        let slices = Slices::open(run, &parent.parts, state.as_ref(), cached)?;
        Ok(Self {
            run,
            parent,
            keys,
            slices: Box::new(slices),
            following: Following::Unknown,
            current: None,
        })
    }

    /// The partition of the next record; `None` after the last. A record without the key gives
    /// none, but counts in the parent's cursor.
    async fn next(&mut self) -> Result<Option<Partition>, FetchError> {
        loop {
            if self.current.is_none() && !self.enter().await? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                continue;
            };
            let Some(record) = current.record().await? else {
                // The reference closes a slice with its last record: one without stays open.
                self.current = None;
                continue;
            };
            self.slices.observe(&mut current.observed, &record);
            let is_last = !current.fill().await?;
            let of = current.slice.partition().clone();
            if is_last
                && let Some(Current {
                    slice, observed, ..
                }) = self.current.take()
            {
                self.slices.close(&slice, observed);
                if matches!(self.following, Following::Nothing) {
                    self.slices.finish();
                }
            }
            let record = parse(&record).map_err(|error| {
                FetchError::Unusable(format!("stream {}: {error}", self.run.stream))
            })?;
            let failed = |error| self.run.misconfigured(error);
            let partition = self.keys.partition(&record, &of).map_err(failed)?;
            if let Some(mut partition) = partition {
                if let Some(page) = self.keys.child(&record).map_err(failed)? {
                    partition.extra_fields.insert(FIRST_PAGE.to_owned(), page);
                }
                return Ok(Some(partition));
            }
        }
    }

    /// Begins the next slice; `false` if there is none. The one after it is made as well: whether
    /// a slice is the last matters to the cursor.
    async fn enter(&mut self) -> Result<bool, FetchError> {
        let slice = match std::mem::replace(&mut self.following, Following::Nothing) {
            Following::Slice(slice) => Some(slice),
            Following::Unknown => self.slices.next().await?,
            Following::Nothing => None,
        };
        let Some(slice) = slice else {
            return Ok(false);
        };
        if let Some(next) = self.slices.next().await? {
            self.following = Following::Slice(next);
        }
        self.current = Some(Current {
            pages: self.slices.pages(&slice)?,
            slice,
            records: VecDeque::new(),
            observed: Observed::default(),
        });
        Ok(true)
    }
}

impl Current<'_> {
    async fn record(&mut self) -> Result<Option<Bytes>, FetchError> {
        self.fill().await?;
        Ok(self.records.pop_front())
    }

    /// Reads on until there is a record; `false` if there is no more.
    async fn fill(&mut self) -> Result<bool, FetchError> {
        while self.records.is_empty() {
            match self.pages.next().await? {
                Some(records) => self.records = records.into(),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// The state of a parent that the state of its child implies: its own, else the child's common
/// one, else the child's only value, which older versions kept.
fn state_of(run: Run<'_>, parent: &Parent, child: &Value) -> Result<Option<Value>, FetchError> {
    let Value::Object(child) = child else {
        return Ok(None);
    };
    if let Some(state) = child
        .get("parent_state")
        .and_then(|states| states.get(&parent.name))
    {
        return Ok(Some(state.clone()));
    }
    if let Some(state) = child.get("state") {
        return Ok(Some(state.clone()));
    }
    let mut values = child
        .iter()
        .filter(|(key, _)| *key != "__ab_no_cursor_state_message");
    let (Some((_, value)), None) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let is_scalar = matches!(
        value,
        Value::String(_) | Value::Int(_) | Value::Float(_) | Value::BigNumber(_)
    );
    let Some(cursor) = parent.parts.cursor.as_ref().filter(|_| is_scalar) else {
        return Ok(None);
    };
    let cursor = cursor
        .open(&run.context())
        .map_err(|error| run.misconfigured(error))?;
    let state = (cursor.cursor_field().to_owned(), value.clone());
    Ok(Some(Map::from_iter([state]).into()))
}
