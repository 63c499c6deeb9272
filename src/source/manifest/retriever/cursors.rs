//! How far a stream has been read, whatever it is cut into: nothing, windows, partitions.

use super::Run;
use crate::client::FetchError;
use crate::json::{Map, Pointer, Value};
use crate::source::manifest::cursor::{
    Cursor, CursorError, Observed, OpenCursor, PartitionedCursor, Progress, Window, Windows,
};
use crate::source::manifest::partition::Partition;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;

/// How far a stream has been read.
pub(super) enum Cursors {
    /// It is read as a whole, each time.
    None,
    /// One cursor for all of it.
    Single(OpenCursor, Progress),
    /// One for each partition.
    Partitioned(PartitionedCursor),
}

/// The slices of one partition.
pub(super) struct Slices<'p> {
    partition: &'p Partition,
    /// Absent for a partition that is read as a whole; then it is given once.
    windows: Option<Windows>,
    given: bool,
}

impl Cursors {
    /// From stored state. `lookback` is how far to look back instead of what the manifest says.
    pub(super) fn open(
        run: &Run<'_>,
        parts: &Parts,
        state: Option<&Value>,
        lookback: Option<std::time::Duration>,
    ) -> Result<Self, FetchError> {
        let Some(cursor) = &parts.cursor else {
            return Ok(Self::None);
        };
        let opened = open_cursor(run, cursor, parts.cursor_pointer.as_ref(), lookback);
        let cursor = opened.map_err(|error| run.misconfigured(error))?;
        let cursors = if parts.routers.is_empty() {
            let progress = cursor.progress(state);
            progress.map(|progress| Self::Single(cursor, progress))
        } else {
            PartitionedCursor::open(cursor, state).map(Self::Partitioned)
        };
        cursors.map_err(|error| run.misconfigured(error))
    }

    /// The slices of `partition` that are still to be read; `None` if this read has had the
    /// partition before.
    pub(super) fn slices<'p>(
        &mut self,
        partition: &'p Partition,
    ) -> Result<Option<Slices<'p>>, CursorError> {
        let windows = match self {
            Self::None => None,
            Self::Single(cursor, progress) => Some(cursor.windows(progress)),
            Self::Partitioned(partitioned) => match partitioned.windows(&partition.keys)? {
                None => return Ok(None),
                windows => windows,
            },
        };
        Ok(Some(Slices {
            partition,
            windows,
            given: false,
        }))
    }

    /// What of `partition` is still wanted.
    pub(super) fn wanted(
        &self,
        partition: &Partition,
    ) -> Result<Option<(OpenCursor, Progress)>, CursorError> {
        Ok(match self {
            Self::None => None,
            Self::Single(cursor, progress) => Some((cursor.clone(), progress.clone())),
            Self::Partitioned(partitioned) => Some(partitioned.progress(&partition.keys)?),
        })
    }

    /// A window of `partition` has been read to its end.
    pub(super) fn close(&mut self, partition: &Partition, window: &Window, observed: Observed) {
        match self {
            Self::None => {}
            Self::Single(cursor, progress) => progress.close(cursor, window, observed),
            Self::Partitioned(partitioned) => partitioned.close(&partition.keys, window, observed),
        }
    }

    /// The state to store; `parents` is that of the parent streams that are read incrementally.
    pub(super) fn state(&self, parents: Option<&Map>) -> Option<Result<Value, CursorError>> {
        Some(match self {
            Self::None => return None,
            Self::Single(cursor, progress) => progress.state(cursor),
            Self::Partitioned(partitioned) => {
                partitioned.state(parents.cloned().map(Value::Object))
            }
        })
    }
}

impl Iterator for Slices<'_> {
    /// A slice, and the window that it is of.
    type Item = Result<(StreamSlice, Option<Window>), CursorError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(windows) = &mut self.windows else {
            let slice = self.partition.slice(Map::new());
            return (!std::mem::replace(&mut self.given, true)).then_some(Ok((slice, None)));
        };
        Some(windows.next()?.map(|window| {
            let slice = self.partition.slice(window.slice.clone());
            (slice, Some(window))
        }))
    }
}

fn open_cursor(
    run: &Run<'_>,
    cursor: &Cursor,
    pointer: Option<&Pointer>,
    lookback: Option<std::time::Duration>,
) -> Result<OpenCursor, CursorError> {
    let cursor = cursor
        .open_looking_back(&run.context(), lookback)?
        .never_ahead();
    Ok(match pointer {
        Some(pointer) => cursor.reading(pointer.clone()),
        None => cursor,
    })
}
