//! Reads one stream: partitions → windows → pages → events.
//!
//! The end of a read is always explicit. Whatever was not read, refused, cut or repeated makes
//! the stream incomplete: then no cursor moves past it, and nothing is called deleted.

mod guard;
mod pages;
mod partitions;
mod validators;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

pub(super) use partitions::ParentCache;

use self::guard::{Found, instant};
use self::pages::Pages;
use self::validators::Validators;
use super::cursor::{Observed, OpenCursor, PartitionedCursor, Progress};
use super::errors::Secrets;
use super::slice::StreamSlice;
use super::stream::Parts;
use super::template::{Binding, Context, Literal};
use crate::client::{Client, FetchError};
use crate::clock::Clock;
use crate::connector::ChangeDetection;
use crate::json::{Map, Value, parse};
use crate::source::{Event, Events, Outcome, Page, ReadState, Stopped};

/// Walks of one slice in one read: a listing that is edited while it is read is read again.
const MAX_WALKS: usize = 3;
/// Slices that may fail in a row before the rest is left for the next poll.
const MAX_FAILURES: usize = 20;
/// How often the cursor of a partitioned stream is written while it is read.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// Partitions beyond which one cursor serves them all.
const MANY_PARTITIONS: usize = 10_000;

/// What all requests of a read have in common.
pub(super) struct Run<'r> {
    pub(super) stream: &'r str,
    pub(super) client: &'r Client,
    pub(super) config: &'r Value,
    pub(super) clock: Clock,
    pub(super) secrets: &'r Secrets,
    /// What `parameters` is where a component has none.
    pub(super) no_parameters: &'r Map,
}

impl Run<'_> {
    /// What every template of a stream may see.
    pub(super) fn context(&self) -> Context<'_> {
        Context::new(self.clock)
            .with("config", self.config)
            .with("parameters", self.no_parameters)
            .with("next_page_token", Binding::None)
    }

    /// The same for another stream.
    pub(super) fn of<'s>(&'s self, stream: &'s str) -> Run<'s> {
        Run { stream, ..*self }
    }

    pub(super) fn misconfigured(&self, error: impl std::fmt::Display) -> FetchError {
        FetchError::Misconfigured(format!("stream {}: {error}", self.stream))
    }
}

/// One stream on its way.
pub(super) struct Retriever<'r> {
    pub(super) run: Run<'r>,
    pub(super) parts: &'r Parts,
    /// Index of the stream in the source.
    pub(super) index: usize,
    /// Identifies what is read; a cursor of another shape does not count.
    pub(super) shape: &'r str,
    pub(super) detection: &'r ChangeDetection,
    /// Whether a complete read finds deletions, so that pages that did not change must be read.
    pub(super) lists_everything: bool,
    pub(super) parents: &'r ParentCache,
}

/// Why a read stops before its end.
enum Halt {
    /// Nobody listens any more.
    Stopped,
    /// The rest of the stream cannot be read now.
    Failed(FetchError),
    /// The answer is older than one that was accepted before.
    Stale,
    /// As many records as were asked for.
    Limit,
}

impl From<Stopped> for Halt {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// What the slices that were read add up to.
#[derive(Default)]
struct Tally {
    fresh: usize,
    not_modified: usize,
    drifted: bool,
    /// The first slice that could not be read.
    failed: Option<FetchError>,
    failures_in_a_row: usize,
    records: u64,
    /// The newest freshness of this read.
    freshness: Option<Timestamp>,
    /// Pages that did not change, to be read again where their records are needed.
    unread: Vec<(StreamSlice, Option<Literal>)>,
}

/// How far the stream has been read.
enum Cursors {
    None,
    Single(OpenCursor, Progress),
    Partitioned(PartitionedCursor),
}

/// What the state field of a stream holds.
#[derive(Default)]
struct Stored {
    text: Option<String>,
    state: Option<Value>,
    freshness: Option<Timestamp>,
    freshness_text: Option<String>,
}

impl Retriever<'_> {
    /// Reads the stream and tells how that ended.
    pub(super) async fn read(&self, state: &ReadState, events: &Events) -> Result<(), Stopped> {
        let stored = self.stored(state);
        let mut reading = Reading {
            retriever: self,
            stored: &stored,
            events,
            validators: Validators::new(self.run.stream, self.shape, &state.fields),
            tally: Tally::default(),
            limit: state.limit,
            cursor_written: Instant::now(),
            pending: None,
        };
        let mut fields = Vec::new();
        let halt = match self.cursors(&stored) {
            Ok(mut cursors) => {
                let halt = reading.slices(&mut cursors).await.err();
                // Only slices that were read to their end count in it, whatever came after them.
                if reading.tally.fresh > 0 && !matches!(halt, Some(Halt::Stale | Halt::Limit)) {
                    fields.extend(self.cursor_field(&cursors, &stored, &reading.tally));
                }
                halt
            }
            Err(error) => Some(Halt::Failed(error)),
        };
        let Reading {
            validators, tally, ..
        } = reading;
        let outcome = match halt {
            Some(Halt::Stopped) => return Err(Stopped),
            Some(Halt::Failed(error)) => Outcome::Incomplete(error),
            Some(Halt::Stale) => Outcome::Stale,
            // Nothing follows from what was not asked for.
            Some(Halt::Limit) => Outcome::Unchanged,
            None => Self::outcome(tally),
        };
        let is_whole = matches!(
            outcome,
            Outcome::Complete | Outcome::Drifted | Outcome::Unchanged
        );
        if is_whole && state.limit.is_none() {
            fields.extend(validators.stale());
        }
        events
            .send(Event::End {
                stream: self.index,
                outcome,
                state: fields,
            })
            .await
    }

    fn outcome(tally: Tally) -> Outcome {
        if let Some(error) = tally.failed {
            return Outcome::Incomplete(error);
        }
        if tally.not_modified > 0 && tally.fresh == 0 {
            Outcome::Unchanged
        } else if tally.drifted {
            Outcome::Drifted
        } else {
            // Where some pages did not change and deletions matter, those were read as well.
            Outcome::Complete
        }
    }

    /// What the last read remembered, unless it read something else.
    fn stored(&self, state: &ReadState) -> Stored {
        let Some(text) = state.fields.get(&self.cursor_key()) else {
            return Stored::default();
        };
        let value = parse(text.as_bytes()).unwrap_or_default();
        if value.get("config").and_then(Value::as_str) != Some(self.shape) {
            return Stored::default();
        }
        let fresh = value.get("fresh").and_then(Value::as_str);
        Stored {
            text: Some(text.clone()),
            state: value.get("state").cloned(),
            freshness: fresh.and_then(instant),
            freshness_text: fresh.map(str::to_owned),
        }
    }

    fn cursor_key(&self) -> String {
        format!("cursor:{}", self.run.stream)
    }

    fn cursors(&self, stored: &Stored) -> Result<Cursors, FetchError> {
        let Some(cursor) = &self.parts.cursor else {
            return Ok(Cursors::None);
        };
        let failed = |error| self.run.misconfigured(error);
        let mut cursor = cursor
            .open_looking_back(&self.run.context(), self.detection.lookback)
            .map_err(failed)?
            .never_ahead();
        if let Some(pointer) = &self.parts.cursor_pointer {
            cursor = cursor.reading(pointer.clone());
        }
        let state = stored.state.as_ref();
        Ok(if self.parts.routers.is_empty() {
            let progress = cursor.progress(state).map_err(failed)?;
            Cursors::Single(cursor, progress)
        } else {
            Cursors::Partitioned(PartitionedCursor::open(cursor, state).map_err(failed)?)
        })
    }

    /// The state field that says how far the stream has been read, if that changed.
    fn cursor_field(
        &self,
        cursors: &Cursors,
        stored: &Stored,
        tally: &Tally,
    ) -> Option<(String, Option<String>)> {
        let state = match cursors {
            Cursors::None => None,
            Cursors::Single(cursor, progress) => Some(progress.state(cursor)),
            Cursors::Partitioned(partitioned) => Some(partitioned.state(None)),
        };
        let state = match state.transpose() {
            Ok(state) => state,
            Err(error) => {
                // Not moving only costs reading again.
                tracing::warn!(stream = self.run.stream, %error, "the cursor cannot be written");
                return None;
            }
        };
        let fresh = tally
            .freshness
            .map(|at| at.to_string())
            .or_else(|| stored.freshness_text.clone());
        if state.is_none() && fresh.is_none() {
            return None;
        }
        let mut map = Map::new();
        map.insert("config".to_owned(), self.shape.into());
        if let Some(state) = state {
            map.insert("state".to_owned(), state);
        }
        if let Some(fresh) = fresh {
            map.insert("fresh".to_owned(), fresh.into());
        }
        let text = Value::from(map).to_string();
        // A poll that found nothing new writes nothing.
        (stored.text.as_ref() != Some(&text)).then(|| (self.cursor_key(), Some(text)))
    }
}

/// What a first page shows.
pub(super) enum Probe {
    /// So many records.
    Records(usize),
    /// A parent stream has no record, so there is nothing to ask for.
    NoPartition,
}

/// Reads the first page of a stream.
pub(super) async fn probe(
    run: &Run<'_>,
    parts: &Parts,
    parents: &ParentCache,
) -> Result<Probe, FetchError> {
    let partitions = parents.partitions(run, &parts.routers).await?;
    let Some(partition) = partitions.list.first() else {
        return partitions.failed.map_or(Ok(Probe::NoPartition), Err);
    };
    let slice = partitions::first_slice(run, parts, partition)?;
    let options = parts
        .slice_options
        .of(&slice, &run.context())
        .map_err(|error| run.misconfigured(error))?;
    let page = Pages::new(run, parts, &slice, options, None)
        .next(None)
        .await?;
    Ok(Probe::Records(page.map_or(0, |page| page.records.len())))
}

/// A read in progress.
struct Reading<'a, 'r> {
    retriever: &'a Retriever<'r>,
    stored: &'a Stored,
    events: &'a Events,
    validators: Validators<'a>,
    tally: Tally,
    limit: Option<u64>,
    cursor_written: Instant,
    /// The cursor, to be written with the next page.
    pending: Option<(String, Option<String>)>,
}

/// How one slice ended.
enum SliceEnd {
    Complete(Observed),
    /// Records kept moving while it was read.
    Drifted,
}

impl Reading<'_, '_> {
    async fn slices(&mut self, cursors: &mut Cursors) -> Result<(), Halt> {
        let retriever = self.retriever;
        let run = &retriever.run;
        let partitions = retriever
            .parents
            .partitions(run, &retriever.parts.routers)
            .await
            .map_err(Halt::Failed)?;
        if let Some(error) = &partitions.failed {
            self.tally.failed = Some(error.clone());
        }
        for partition in &partitions.list {
            match cursors {
                Cursors::None => {
                    self.slice(&partition.slice(Map::new()), None).await?;
                }
                Cursors::Single(cursor, progress) => {
                    let windows = cursor.windows(progress);
                    for window in windows {
                        let window = window.map_err(|e| Halt::Failed(run.misconfigured(e)))?;
                        let slice = partition.slice(window.slice.clone());
                        let wanted = Some((&*cursor, &*progress));
                        if let Some(observed) = self.slice(&slice, wanted).await? {
                            progress.close(cursor, &window, observed);
                        }
                    }
                }
                Cursors::Partitioned(partitioned) => {
                    let failed = |error| Halt::Failed(run.misconfigured(error));
                    let key = &partition.keys;
                    let Some(windows) = partitioned.windows(key).map_err(failed)? else {
                        continue;
                    };
                    for window in windows {
                        let window = window.map_err(failed)?;
                        let slice = partition.slice(window.slice.clone());
                        let (cursor, progress) = partitioned.progress(key).map_err(failed)?;
                        let wanted = Some((&cursor, &progress));
                        if let Some(observed) = self.slice(&slice, wanted).await? {
                            partitioned.close(key, &window, observed);
                        }
                    }
                }
            }
            self.keep_cursor(cursors);
        }
        if let Cursors::Partitioned(partitioned) = cursors
            && self.tally.failed.is_none()
            && partitions.list.len() > MANY_PARTITIONS
        {
            // Fewer partitions each keep their own date, so that a new one is read from its start.
            partitioned.finish(0);
        }
        if retriever.lists_everything && self.tally.fresh > 0 {
            self.read_unread().await?;
        }
        Ok(())
    }

    /// Lets the next page carry the cursor, now and then: a long first read that is cut short
    /// goes on from there.
    fn keep_cursor(&mut self, cursors: &Cursors) {
        let is_partitioned = matches!(cursors, Cursors::Partitioned(_));
        if !is_partitioned || self.limit.is_some() || self.cursor_written.elapsed() < KEEP_EVERY {
            return;
        }
        self.cursor_written = Instant::now();
        self.pending = self
            .retriever
            .cursor_field(cursors, self.stored, &self.tally);
    }

    /// Reads one slice, more than once if its records move meanwhile. `None` when it could not be
    /// read to its end; the tally then says why.
    async fn slice(
        &mut self,
        slice: &StreamSlice,
        wanted: Option<(&OpenCursor, &Progress)>,
    ) -> Result<Option<Observed>, Halt> {
        let run = &self.retriever.run;
        let options = self
            .retriever
            .parts
            .slice_options
            .of(slice, &run.context())
            .map_err(|error| Halt::Failed(run.misconfigured(error)))?;
        for walk in 1..=MAX_WALKS {
            let unread = self.tally.unread.len();
            match self.walk(slice, options.clone(), wanted).await {
                Ok(SliceEnd::Complete(observed)) => {
                    self.tally.failures_in_a_row = 0;
                    return Ok(Some(observed));
                }
                Ok(SliceEnd::Drifted) if walk < MAX_WALKS => {
                    tracing::debug!(stream = run.stream, walk, "records moved; reading again");
                    self.tally.unread.truncate(unread);
                }
                Ok(SliceEnd::Drifted) => break,
                Err(Halt::Failed(error)) => {
                    self.tally.failures_in_a_row += 1;
                    if ends_the_stream(&error) || self.tally.failures_in_a_row >= MAX_FAILURES {
                        return Err(Halt::Failed(error));
                    }
                    tracing::debug!(stream = run.stream, %error, "a slice cannot be read");
                    self.tally.failed.get_or_insert(error);
                    return Ok(None);
                }
                Err(halt) => return Err(halt),
            }
        }
        self.tally.drifted = true;
        Ok(None)
    }

    /// Reads the pages of a slice once.
    async fn walk(
        &mut self,
        slice: &StreamSlice,
        options: super::options::RequestOptions,
        wanted: Option<(&OpenCursor, &Progress)>,
    ) -> Result<SliceEnd, Halt> {
        let retriever = self.retriever;
        let parts = retriever.parts;
        let filter = wanted.filter(|_| parts.filters_here);
        let mut pages = Pages::new(&retriever.run, parts, slice, options, filter);
        let mut observed = Observed::default();
        while let Some(page) = pages
            .next(Some(&mut self.validators))
            .await
            .map_err(Halt::Failed)?
        {
            if let (Some((cursor, _)), false) = (wanted, page.not_modified) {
                for record in &page.records {
                    observed.record(cursor, record);
                }
            }
            if page.not_modified {
                self.tally.not_modified += 1;
                if retriever.lists_everything {
                    self.tally.unread.push((slice.clone(), page.token.clone()));
                }
            } else {
                self.tally.fresh += 1;
            }
            // Empty or something else: either way nothing is called deleted because of it.
            self.tally.drifted |= page.lacks_list && retriever.lists_everything;
            self.emit(page).await?;
        }
        match pages.drift() {
            Found::Moved => return Ok(SliceEnd::Drifted),
            Found::Repeated if retriever.lists_everything => self.tally.drifted = true,
            Found::Repeated | Found::Nothing => {}
        }
        Ok(SliceEnd::Complete(observed))
    }

    /// Reads what did not change, because something else did: a listing's deletions are only
    /// found when all of it was seen.
    async fn read_unread(&mut self) -> Result<(), Halt> {
        let retriever = self.retriever;
        for (slice, token) in std::mem::take(&mut self.tally.unread) {
            let run = &retriever.run;
            let options = retriever
                .parts
                .slice_options
                .of(&slice, &run.context())
                .map_err(|error| Halt::Failed(run.misconfigured(error)))?;
            let mut pages = Pages::new(run, retriever.parts, &slice, options, None);
            let page = pages.fresh(token).await.map_err(Halt::Failed)?;
            self.emit(page).await?;
        }
        Ok(())
    }

    /// Hands a page over.
    async fn emit(&mut self, page: pages::Page) -> Result<(), Halt> {
        if let Some(fresh) = page.freshness {
            if self
                .stored
                .freshness
                .is_some_and(|accepted| fresh < accepted)
            {
                return Err(Halt::Stale);
            }
            self.tally.freshness = self.tally.freshness.max(Some(fresh));
        }
        let mut records: Vec<Bytes> = page.records;
        let left = self
            .limit
            .map(|limit| limit.saturating_sub(self.tally.records));
        if let Some(left) = left {
            records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.tally.records += records.len() as u64;
        let validators = page.state.filter(|_| self.limit.is_none());
        let state = validators.into_iter().chain(self.pending.take()).collect();
        let page = Page {
            stream: self.retriever.index,
            records,
            rejected: page.rejected,
            not_modified: page.not_modified,
            state,
        };
        self.events.send(Event::Page(page)).await?;
        if self.limit.is_some_and(|limit| self.tally.records >= limit) {
            return Err(Halt::Limit);
        }
        Ok(())
    }
}

/// Failures that the next slice would only repeat.
fn ends_the_stream(error: &FetchError) -> bool {
    match error {
        FetchError::Unauthorized(_)
        | FetchError::RateLimited { .. }
        | FetchError::Unavailable(_)
        | FetchError::Misconfigured(_) => true,
        FetchError::Forbidden(_)
        | FetchError::Rejected(_)
        | FetchError::Unusable(_)
        | FetchError::Bound(_) => false,
    }
}
