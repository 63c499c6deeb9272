//! A read in progress: slices one after the other, each walked until its pages hold still.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use super::cursors::Cursors;
use super::deletions::{Due, Part};
use super::guard::Found;
use super::pages::{self, Pages};
use super::resume::{self, Resume};
use super::tally::Tally;
use super::validators::Validators;
use super::{Retriever, Stored};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::cursor::{CursorError, Observed, OpenCursor, Progress};
use crate::source::manifest::feed::Way;
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::partition::Partition;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::manifest::template::Literal;
use crate::source::{Event, Events, Page, Stopped};

/// Walks of one slice in one read: a listing that is edited while it is read is read again.
const MAX_WALKS: usize = 3;
/// Slices that may fail in a row before the rest is left for the next poll.
const MAX_FAILURES: usize = 20;
/// How often the cursor of a stream of several slices is written while it is read.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// Partitions beyond which one cursor serves them all.
const MANY_PARTITIONS: usize = 10_000;

/// Why a read stops before its end.
pub(super) enum Halt {
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

/// A read in progress.
pub(super) struct Reading<'a, 'r> {
    pub(super) retriever: &'a Retriever<'r>,
    pub(super) stored: &'a Stored,
    /// The sweep that it is time for.
    pub(super) due: Option<Due<'a>>,
    pub(super) events: &'a Events,
    pub(super) validators: Validators<'a>,
    pub(super) tally: Tally,
    pub(super) limit: Option<u64>,
    pub(super) cursor_written: Instant,
    /// The cursor, to be written with the next page.
    pub(super) pending: Option<(String, Option<String>)>,
    /// Where an earlier read was cut short, until this one has come there.
    pub(super) resume: Option<Resume>,
    /// The last page that was handed over, if it can be gone back to.
    pub(super) place: Option<Resume>,
    /// The first place where a slice was cut short while others were read on.
    pub(super) cut: Option<Resume>,
    /// Some slice was read to its end.
    pub(super) has_finished: bool,
    /// The cursor as it was written last.
    pub(super) kept: Option<Value>,
    /// The cursor was written on the way.
    pub(super) has_written: bool,
}

/// How one slice ended.
enum SliceEnd {
    Complete(Observed),
    /// The provider lists no deeper; the rest is a slice of its own.
    TooDeep(Observed, Box<StreamSlice>),
    /// Records kept moving while it was read.
    Drifted,
    /// The provider has no such records there.
    Skipped,
}

impl Reading<'_, '_> {
    /// Reads the stream, and then what was deleted of it since the last read.
    pub(super) async fn all(&mut self, cursors: &mut Cursors) -> Result<(), Halt> {
        let retriever = self.retriever;
        let deletions = retriever.parts.deletions.as_deref();
        let since = match deletions {
            Some(deletions) => Some(
                retriever
                    .deletions_since(deletions, self.stored)
                    .map_err(Halt::Failed)?,
            ),
            None => None,
        };
        self.tally.deletions_since.clone_from(&since);
        // Nothing that a first read finds can be gone already.
        let now = retriever.run.clock.now();
        let swept = self.stored.swept.unwrap_or(now);
        self.tally.swept = retriever.parts.sweep.as_ref().map(|_| swept);
        let due = self.due.take();
        if let Some(due) = due.as_ref().filter(|due| due.lookback.is_some()) {
            // Unless this read, which is the sweep, comes to its end.
            self.tally.swept = Some(due.put_off_to);
        }
        self.slices(cursors).await?;
        if self.limit.is_some() {
            return Ok(());
        }
        if let (Some(deletions), Some(since), Some(_)) =
            (deletions, since, &self.stored.deletions_since)
        {
            let since = retriever.read_deletions(deletions, since, self.events);
            self.tally.deletions_since = Some(since.await?);
        }
        if let Some(due) = due {
            if let Way::Keys(parts) = &due.sweep.way {
                self.tally.swept = Some(due.put_off_to);
                retriever.sweep(parts, self.events).await?;
            } else if self.tally.has_failed() || !self.tally.is_whole {
                return Ok(());
            }
            self.tally.swept = Some(now);
        }
        Ok(())
    }

    async fn slices(&mut self, cursors: &mut Cursors) -> Result<(), Halt> {
        let retriever = self.retriever;
        let run = &retriever.run;
        let state = self.stored.state.as_ref();
        let partitions = retriever
            .parents
            .partitions(
                run,
                &retriever.parts.routers,
                state.and_then(|state| state.get("parent_state")),
            )
            .await
            .map_err(Halt::Failed)?;
        self.tally.parent_failed.clone_from(&partitions.failed);
        self.tally.counted |= partitions.counted;
        self.tally.parents = Some(partitions.state).filter(|state| !state.is_empty());
        self.tally.slices.1 = match cursors {
            Cursors::Single(cursor, progress) => Some(cursor.windows(progress).count()),
            Cursors::None => Some(partitions.list.len()),
            // Each partition has windows of its own.
            Cursors::Partitioned(_) => None,
        };
        let mut ahead = self.behind_resume(cursors, &partitions.list)?;
        for partition in &partitions.list {
            if ahead > 0 {
                // Read before the earlier read was cut short.
                ahead -= 1;
                self.tally.slices.0 += 1;
                continue;
            }
            let mark = partition.mark;
            if let Some(mark) = mark.filter(|mark| self.stored.done.contains(mark)) {
                self.tally.done.insert(mark);
                self.tally.slices.0 += 1;
                continue;
            }
            let failed = |error| Halt::Failed(run.misconfigured(error));
            let Some(slices) = cursors.slices(partition).map_err(failed)? else {
                continue;
            };
            let mut part = Part::new(self.tally.doubts);
            for slice in slices {
                let (slice, window) = slice.map_err(failed)?;
                let wanted = cursors.wanted(partition).map_err(failed)?;
                let wanted = wanted.as_ref().map(|(cursor, progress)| (cursor, progress));
                let observed = self.slice(&slice, wanted).await?;
                let asked = window.as_ref().filter(|_| retriever.parts.asks_by_date);
                part.slice(asked, observed.is_some());
                if let (Some(window), Some(observed)) = (&window, observed) {
                    cursors.close(partition, window, observed);
                }
                self.tally.slices.0 += 1;
                if !matches!(cursors, Cursors::None) {
                    self.keep_cursor(|| cursors.state(None).unwrap_or(Ok(Value::Null)));
                }
            }
            self.tally.done.extend(mark.filter(|_| part.is_whole()));
            self.end_part(part, partition).await?;
        }
        if let Cursors::Partitioned(partitioned) = cursors
            && !self.tally.has_failed()
            && partitions.list.len() > MANY_PARTITIONS
        {
            // Fewer partitions each keep their own date, so that a new one is read from its start.
            partitioned.finish(0);
        }
        self.tally.is_whole = !self.tally.drifted;
        if retriever.lists_everything && self.tally.fresh > 0 {
            self.read_unread().await?;
        }
        Ok(())
    }

    /// Lets the next page carry the cursor, now and then: a long first read that is cut short
    /// goes on from there.
    fn keep_cursor(&mut self, state: impl FnOnce() -> Result<Value, CursorError>) {
        if self.limit.is_some() || self.cursor_written.elapsed() < KEEP_EVERY {
            return;
        }
        self.cursor_written = Instant::now();
        let state = state();
        if let Ok(state) = &state {
            self.kept = Some(state.clone());
        }
        let field = self
            .retriever
            .cursor_field(Some(state), self.stored, &self.tally, None);
        self.has_written |= field.is_some();
        self.pending = field;
    }

    /// The place to go on from. One that an earlier read went on from in vain is given up, so that
    /// what lies before it is read again too; unless nothing could be read at all.
    pub(super) fn left_at(&mut self) -> Option<Resume> {
        let place = self.cut.take().or_else(|| self.place.take())?;
        let in_vain = (self.stored.resume.as_ref()).is_some_and(|last| last.is_same(&place));
        (!(in_vain && self.has_finished)).then_some(place)
    }

    /// Lets the page that is handed over next carry the place before it, now and then.
    fn keep_place(&mut self, pages: &Pages<'_>, slice: &str, token: Option<&Literal>) {
        if !pages.holds_its_place(token) {
            self.place = None;
            return;
        }
        let now = self.retriever.run.clock.now();
        let place = Resume::at(slice, token.cloned(), now);
        if self.limit.is_none() && self.cursor_written.elapsed() >= KEEP_EVERY {
            self.cursor_written = Instant::now();
            let state = self.kept.clone().map(Ok);
            let place = Some(place.clone());
            let field = self
                .retriever
                .cursor_field(state, self.stored, &self.tally, place);
            self.has_written |= field.is_some();
            self.pending = field.or(self.pending.take());
        }
        self.place = Some(place);
    }

    /// How many partitions were behind the place where an earlier read was cut short. A stream
    /// with a cursor knows that without.
    fn behind_resume(
        &mut self,
        cursors: &Cursors,
        partitions: &[Partition],
    ) -> Result<usize, Halt> {
        let (Cursors::None, Some(place)) = (cursors, &self.resume) else {
            return Ok(0);
        };
        let (run, parts) = (&self.retriever.run, self.retriever.parts);
        for (index, partition) in partitions.iter().enumerate() {
            let slice = partition.slice(Map::new());
            let options = parts.slice_options.of(&slice, &run.context());
            let options = options.map_err(|error| Halt::Failed(run.misconfigured(error)))?;
            let pages = Pages::new(run, parts, &slice, options, None);
            if place.is_in(&resume::identity(&pages).map_err(Halt::Failed)?) {
                self.tally.drifted |= index > 0;
                return Ok(index);
            }
        }
        self.resume = None;
        Ok(0)
    }

    /// Reads one slice. `None` when it could not be read to its end; the tally then says why.
    async fn slice(
        &mut self,
        slice: &StreamSlice,
        wanted: Option<(&OpenCursor, &Progress)>,
    ) -> Result<Option<Observed>, Halt> {
        self.tally.asked += 1;
        let mut slice = Cow::Borrowed(slice);
        let mut all = Observed::default();
        loop {
            match self.settled(&slice, wanted).await? {
                Some(SliceEnd::Complete(observed)) => return Ok(Some(all.and(observed))),
                Some(SliceEnd::TooDeep(observed, rest)) => {
                    all = all.and(observed);
                    slice = Cow::Owned(*rest);
                }
                Some(SliceEnd::Drifted | SliceEnd::Skipped) | None => return Ok(None),
            }
        }
    }

    /// Reads one slice, more than once if its records move meanwhile.
    async fn settled(
        &mut self,
        slice: &StreamSlice,
        wanted: Option<(&OpenCursor, &Progress)>,
    ) -> Result<Option<SliceEnd>, Halt> {
        let run = &self.retriever.run;
        let options = self
            .retriever
            .parts
            .slice_options
            .of(slice, &run.context())
            .map_err(|error| Halt::Failed(run.misconfigured(error)))?;
        for walk in 1..=MAX_WALKS {
            let unread = self.tally.unread.len();
            let went_on = self.resume.is_some();
            match self.walk(slice, options.clone(), wanted).await {
                Err(Halt::Failed(FetchError::Rejected(why) | FetchError::Unusable(why)))
                    if went_on && self.resume.is_none() && self.place.is_none() =>
                {
                    tracing::debug!(
                        stream = run.stream,
                        why,
                        "cannot go on; reading from the start"
                    );
                }
                Ok(SliceEnd::Drifted) if walk < MAX_WALKS => {
                    tracing::debug!(stream = run.stream, walk, "records moved; reading again");
                    self.tally.unread.truncate(unread);
                }
                Ok(SliceEnd::Drifted) => break,
                Ok(end) => {
                    self.tally.failures_in_a_row = 0;
                    self.has_finished |= !matches!(end, SliceEnd::Skipped);
                    return Ok(Some(end));
                }
                Err(Halt::Failed(error)) => {
                    self.tally.failures_in_a_row += 1;
                    if ends_the_stream(&error) || self.tally.failures_in_a_row >= MAX_FAILURES {
                        return Err(Halt::Failed(error));
                    }
                    tracing::debug!(stream = run.stream, %error, "a slice cannot be read");
                    let place = self.place.take();
                    if matches!(error, FetchError::Unavailable(_)) {
                        self.cut = self.cut.take().or(place);
                    }
                    self.tally.failed.get_or_insert(error);
                    return Ok(None);
                }
                Err(halt) => return Err(halt),
            }
        }
        self.tally.drifted = true;
        Ok(None)
    }

    /// Which part of the stream is read, from 0 to 1, where that can be told.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn part(&self, of_slice: Option<f64>) -> Option<f64> {
        let (behind, Some(all)) = self.tally.slices else {
            return None;
        };
        if all == 1 {
            return of_slice;
        }
        Some((behind as f64 + of_slice.unwrap_or(0.0)) / all.max(1) as f64)
    }

    /// Reads the pages of a slice once.
    async fn walk(
        &mut self,
        slice: &StreamSlice,
        options: RequestOptions,
        wanted: Option<(&OpenCursor, &Progress)>,
    ) -> Result<SliceEnd, Halt> {
        let retriever = self.retriever;
        let parts = retriever.parts;
        let filter = wanted.filter(|_| parts.filters_here);
        let mut pages = Pages::new(&retriever.run, parts, slice, options, filter);
        let identity = resume::identity(&pages).map_err(Halt::Failed)?;
        self.place = None;
        let resume = self.resume.take_if(|place| place.is_in(&identity));
        if let Some(token) = resume.and_then(|place| place.token) {
            tracing::info!(
                stream = retriever.run.stream,
                "going on where the last read stopped"
            );
            // What stands before it is not seen in this read.
            self.tally.drifted = true;
            self.tally.doubts += 1;
            pages = pages.starting_at(Some(token));
        }
        let mut observed = Observed::default();
        loop {
            let page = match pages.next(Some(&mut self.validators)).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => {
                    let rest = rest_of(slice, parts, wanted, &observed)
                        .filter(|_| matches!(error, FetchError::Rejected(_)));
                    return match rest {
                        Some(rest) if pages.drift() != Found::Moved => {
                            tracing::debug!(
                                stream = retriever.run.stream,
                                %error,
                                "no deeper page; going on from the newest record"
                            );
                            self.tally.doubts += 1;
                            Ok(SliceEnd::TooDeep(observed, Box::new(rest)))
                        }
                        _ => Err(Halt::Failed(error)),
                    };
                }
            };
            if let Some(why) = page.skipped {
                self.tally.skipped += 1;
                self.tally.skipped_because.get_or_insert(why);
                return Ok(SliceEnd::Skipped);
            }
            if let (Some((cursor, _)), false) = (wanted, page.not_modified) {
                for record in &page.records {
                    observed.record(cursor, record);
                }
            }
            self.tally.doubts += usize::from(page.not_modified || page.lacks_list);
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
            let part = self.part(pages.part());
            self.keep_place(&pages, &identity, page.token.as_ref());
            self.emit(page, part).await?;
        }
        self.place = None;
        self.tally.counted |= pages.is_counted();
        self.tally.doubts += usize::from(pages.is_counted());
        match pages.drift() {
            Found::Moved => return Ok(SliceEnd::Drifted),
            Found::Repeated => {
                self.tally.doubts += 1;
                self.tally.drifted |= retriever.lists_everything;
            }
            Found::Nothing => {}
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
            self.emit(page, None).await?;
        }
        Ok(())
    }

    /// Hands a page over, with which `part` of the stream is read.
    async fn emit(&mut self, page: pages::Page, part: Option<f64>) -> Result<(), Halt> {
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
        let mut records = page.records;
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
            deleted: page.deleted,
            not_modified: page.not_modified,
            done: part,
            state,
            ..Page::default()
        };
        self.events.send(Event::Page(page)).await?;
        if self.limit.is_some_and(|limit| self.tally.records >= limit) {
            return Err(Halt::Limit);
        }
        Ok(())
    }
}

/// What is left of a slice whose pages came oldest first, after those that were read: providers
/// refuse to count beyond some depth.
fn rest_of(
    slice: &StreamSlice,
    parts: &Parts,
    wanted: Option<(&OpenCursor, &Progress)>,
    observed: &Observed,
) -> Option<StreamSlice> {
    let (cursor, _) = wanted.filter(|_| parts.oldest_first)?;
    Some(StreamSlice {
        cursor: cursor.slice_from(&slice.cursor, observed.ordered_until()?)?,
        ..slice.clone()
    })
}

/// Failures that the next slice would only repeat.
pub(super) fn ends_the_stream(error: &FetchError) -> bool {
    match error {
        FetchError::Unauthorized(_)
        | FetchError::RateLimited { .. }
        | FetchError::Misconfigured(_) => true,
        // One place may be out of order alone. A server that is down fails them all, without being
        // asked once the circuit is open.
        FetchError::Unavailable(_)
        | FetchError::Forbidden(_)
        | FetchError::Rejected(_)
        | FetchError::Unusable(_)
        | FetchError::Bound(_) => false,
    }
}
