//! The slices of one stream, made while they are read: every partition's windows, and how far
//! each has been read.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::cache::ResponseCache;
use super::delegate;
use super::legacy;
use super::pages::Pages;
use super::partitions::{FIRST_PAGE, Partitions};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::cursor::{
    Observed, OpenCursor, PartitionedCursor, Progress, Window, Windows,
};
use crate::source::manifest::partition::Partition;
use crate::source::manifest::retriever::Run;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;

/// Where answers are kept: those of the stream itself, if it is the parent of another, and those
/// of its parents.
#[derive(Clone, Copy)]
pub(super) struct Cached<'r> {
    pub(super) own: Option<&'r ResponseCache>,
    pub(super) parents: &'r ResponseCache,
}

/// The slices of a stream, and its cursor.
pub(super) struct Slices<'r> {
    run: Run<'r>,
    parts: &'r Parts,
    cache: Option<&'r ResponseCache>,
    partitions: Partitions<'r>,
    cursor: Cursor,
    /// There was no state to go on from.
    is_first_read: bool,
    /// The partition that is being cut into windows.
    current: Option<(Arc<Partition>, Windows)>,
    began: Option<Instant>,
    /// The state of the parents as of the last partition before which all were read to their
    /// ends.
    parent_state: Option<Value>,
    /// A slice could not be read to its end.
    has_gap: bool,
}

/// How far the stream has been read.
enum Cursor {
    None,
    Single(OpenCursor, Progress),
    Partitioned(Box<PartitionedCursor>),
}

/// One part of a stream, to be read by one sequence of pages.
pub(super) struct Slice {
    /// As templates see it.
    pub(super) view: Arc<StreamSlice>,
    partition: Arc<Partition>,
    window: Option<Window>,
}

impl Slice {
    /// What identifies the partition that it belongs to.
    pub(super) fn partition(&self) -> &Map {
        &self.partition.keys
    }
}

impl<'r> Slices<'r> {
    /// From the state that an earlier read left.
    pub(super) fn open(
        run: Run<'r>,
        parts: &'r Parts,
        state: Option<&Value>,
        cached: Cached<'r>,
    ) -> Result<Self, FetchError> {
        let failed = |error| run.misconfigured(error);
        let (parts, state) = delegate::choose(run, parts, state)?;
        let state = legacy::migrated(run, parts, state)?;
        let state = state.as_deref();
        let cursor = match &parts.cursor {
            None => Cursor::None,
            Some(cursor) => {
                let cursor = cursor.open(&run.context()).map_err(failed)?;
                if parts.routers.is_empty() {
                    let progress = cursor.progress(state).map_err(failed)?;
                    Cursor::Single(cursor, progress)
                } else {
                    let partitioned = PartitionedCursor::open(cursor, state).map_err(failed)?;
                    Cursor::Partitioned(Box::new(partitioned))
                }
            }
        };
        Ok(Self {
            run,
            parts,
            cache: cached.own,
            partitions: Partitions::open(run, &parts.routers, state, cached.parents)?,
            cursor,
            is_first_read: state.is_none(),
            current: None,
            began: None,
            parent_state: None,
            has_gap: false,
        })
    }

    /// The next slice; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Slice>, FetchError> {
        self.began.get_or_insert_with(Instant::now);
        loop {
            if let Some((partition, windows)) = &mut self.current {
                if let Some(window) = windows.next() {
                    let window = window.map_err(|error| self.run.misconfigured(error))?;
                    return Ok(Some(Slice {
                        view: Arc::new(partition.slice(window.slice.clone())),
                        partition: partition.clone(),
                        window: Some(window),
                    }));
                }
                self.current = None;
            }
            let Some(partition) = self.partitions.next().await? else {
                return Ok(None);
            };
            let partition = Arc::new(partition);
            let windows = match &mut self.cursor {
                Cursor::None => {
                    return Ok(Some(Slice {
                        view: Arc::new(partition.slice(Map::new())),
                        partition,
                        window: None,
                    }));
                }
                Cursor::Single(cursor, progress) => Some(cursor.windows(progress)),
                Cursor::Partitioned(cursor) => cursor
                    .windows(&partition.keys)
                    .map_err(|error| self.run.misconfigured(error))?,
            };
            match windows {
                Some(windows) => self.current = Some((partition, windows)),
                None => tracing::warn!(stream = self.run.stream, "a partition comes twice"),
            }
        }
    }

    /// The pages of a slice.
    pub(super) fn pages(&self, slice: &Slice) -> Result<Pages<'r>, FetchError> {
        let wanted = if self.parts.filters_here {
            match &self.cursor {
                Cursor::None => None,
                Cursor::Single(cursor, progress) => Some((cursor.clone(), progress.clone())),
                Cursor::Partitioned(cursor) => Some(
                    cursor
                        .progress(slice.partition())
                        .map_err(|error| self.run.misconfigured(error))?,
                ),
            }
        } else {
            None
        };
        let mut pages = Pages::new(self.run, self.parts, slice.view.clone(), wanted, self.cache)?;
        if self.is_first_read && self.parts.reads_parents_pages() {
            pages.begin_with(slice.view.extra_fields.get(FIRST_PAGE));
        }
        Ok(pages)
    }

    /// Notes a record of a slice.
    pub(super) fn observe(&self, observed: &mut Observed, record: &Bytes) {
        match &self.cursor {
            Cursor::None => {}
            Cursor::Single(cursor, _) => observed.record(cursor, record),
            Cursor::Partitioned(cursor) => observed.record(cursor.cursor(), record),
        }
    }

    /// A slice has been read to its end.
    pub(super) fn close(&mut self, slice: &Slice, observed: Observed) {
        match (&mut self.cursor, &slice.window) {
            (Cursor::Single(cursor, progress), Some(window)) => {
                progress.close(cursor, window, observed);
            }
            (Cursor::Partitioned(cursor), Some(window)) => {
                cursor.close(slice.partition(), window, observed);
                if !self.has_gap {
                    self.parent_state = self.partitions.parent_state();
                }
            }
            _ => {}
        }
    }

    /// A slice cannot be read to its end.
    pub(super) fn abandon(&mut self) {
        self.has_gap = true;
    }

    /// Every slice has been read to its end.
    pub(super) fn finish(&mut self) {
        let elapsed = self.began.map(|began| began.elapsed()).unwrap_or_default();
        // Rounded up, so that nothing falls between two reads.
        let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
        if let Cursor::Partitioned(cursor) = &mut self.cursor {
            cursor.finish(seconds.saturating_add(1));
            self.parent_state = self.partitions.parent_state();
        }
    }

    /// Whether the state says how far the read has come before it is over.
    pub(super) fn has_cursor(&self) -> bool {
        !matches!(self.cursor, Cursor::None)
    }

    /// Whether there is a state per partition, which may be large.
    pub(super) fn is_partitioned(&self) -> bool {
        matches!(self.cursor, Cursor::Partitioned(_))
    }

    /// The state to go on from.
    pub(super) fn state(&self) -> Result<Value, FetchError> {
        let state = match &self.cursor {
            Cursor::None => {
                let done = ("__ab_no_cursor_state_message".to_owned(), Value::Bool(true));
                return Ok(Map::from_iter([done]).into());
            }
            Cursor::Single(cursor, progress) => progress.state(cursor),
            Cursor::Partitioned(cursor) => cursor.state(self.parent_state.clone()),
        };
        state.map_err(|error| self.run.misconfigured(error))
    }
}
