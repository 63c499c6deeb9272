//! Reads one stream: partitions → windows → pages → events.
//!
//! The end of a read is always explicit. Whatever was not read, refused, cut or repeated makes
//! the stream incomplete: then no cursor moves past it, and nothing is called deleted.

mod cursors;
mod deletions;
mod done;
mod extent;
mod feed;
mod guard;
mod pages;
mod partitions;
mod reading;
mod resume;
mod tally;
mod validators;

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub(super) use pages::look_up;
pub(super) use partitions::ParentCache;

use self::cursors::Cursors;
use self::deletions::Due;
use self::guard::instant;
use self::pages::Pages;
use self::reading::{Halt, Reading, ends_the_stream};
use self::resume::Resume;
use self::tally::Tally;
use self::validators::Validators;
use super::cursor::CursorError;
use super::errors::{ErrorHandler, Refusals, Secrets, Verdicts};
use super::mode::Mode;
use super::refused::Refused;
use super::stream::Parts;
use super::template::{Binding, Context};
use crate::client::auth::Credentials;
use crate::client::{Client, FetchError};
use crate::clock::Clock;
use crate::connector::ChangeDetection;
use crate::json::{Ignored, Map, Value, parse};
use crate::source::{Event, Events, Outcome, ReadState, Stopped};

/// What all requests of a read have in common.
#[derive(Clone, Copy)]
pub(super) struct Run<'r> {
    pub(super) mode: Mode,
    pub(super) stream: &'r str,
    pub(super) client: &'r Client,
    pub(super) credentials: &'r Credentials,
    pub(super) config: &'r Value,
    pub(super) clock: Clock,
    pub(super) secrets: &'r Secrets,
    pub(super) refusals: &'r Refusals,
    /// How far parents that are read incrementally look back, in a sweep.
    pub(super) lookback: Option<Duration>,
    /// What `parameters` is where a component has none.
    pub(super) no_parameters: &'r Map,
    /// Credentials that this poll need not try again.
    pub(super) refused: Option<&'r Refused>,
    /// What does not make the version of a record, if versions are wanted with the records.
    pub(super) hashing: Option<&'r Ignored>,
}

impl<'r> Run<'r> {
    /// What every template of a stream may see.
    pub(super) fn context(&self) -> Context<'_> {
        Context::new(self.clock)
            .with("config", self.config)
            .with("parameters", self.no_parameters)
            .with("next_page_token", Binding::None)
    }

    /// The same for another stream.
    pub(super) fn of<'s>(&self, stream: &'s str) -> Run<'s>
    where
        'r: 's,
    {
        Run {
            stream,
            hashing: None,
            ..*self
        }
    }

    /// The judge of one request. `conditional` says whether 304 is an answer to it.
    pub(super) fn verdicts<'s>(
        &'s self,
        handler: &'s ErrorHandler,
        conditional: bool,
    ) -> Verdicts<'s> {
        Verdicts {
            mode: self.mode,
            handler,
            refusals: self.refusals,
            stream: self.stream,
            config: self.config,
            clock: self.clock,
            secrets: self.secrets,
            conditional,
            ignored: AtomicBool::new(false),
            guessed: AtomicBool::new(false),
            tries: Arc::default(),
            renewal: Mutex::default(),
        }
    }

    /// The same words, with the stream that they are about.
    pub(super) fn named(&self, what: &str) -> String {
        format!("stream {}: {what}", self.stream)
    }

    /// The same error, with the stream that it is about.
    pub(super) fn in_stream(&self, error: FetchError) -> FetchError {
        match error {
            FetchError::Misconfigured(what) => FetchError::Misconfigured(self.named(&what)),
            FetchError::Unusable(what) => FetchError::Unusable(self.named(&what)),
            other => other,
        }
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

/// What the state field of a stream holds.
#[derive(Default)]
struct Stored {
    text: Option<String>,
    state: Option<Value>,
    freshness: Option<Timestamp>,
    freshness_text: Option<String>,
    /// How far the feed of deletions was read.
    deletions_since: Option<String>,
    /// When it was last swept.
    swept: Option<Timestamp>,
    /// Parents below which everything was read, while others were still to be read.
    done: HashSet<u64>,
    /// Where an earlier read was cut short.
    resume: Option<Resume>,
    /// Of a stream that is read by tokens: one per partition.
    tokens: Option<Map>,
}

impl Retriever<'_> {
    /// Reads the stream and tells how that ended.
    pub(super) async fn read(&self, state: &ReadState, events: &Events) -> Result<(), Stopped> {
        if let Some(feed) = &self.parts.feed {
            return self.read_feed(feed, state, events).await;
        }
        if state.again
            && let Some(sweep) = self.parts.sweep.as_deref()
        {
            return self.sweep_again(sweep, events).await;
        }
        let stored = self.stored(state);
        let due = match self.due(&stored) {
            Ok(due) => due.filter(|_| state.limit.is_none()),
            Err(error) => return self.end(events, Outcome::Incomplete(error)).await,
        };
        let of_sweep = due.as_ref().and_then(|due| due.lookback);
        let swept = Retriever {
            run: Run {
                lookback: of_sweep,
                ..self.run
            },
            ..*self
        };
        swept.read_by_dates(state, stored, due, events).await
    }

    async fn read_by_dates(
        &self,
        state: &ReadState,
        stored: Stored,
        due: Option<Due<'_>>,
        events: &Events,
    ) -> Result<(), Stopped> {
        let mut reading = Reading {
            retriever: self,
            due,
            stored: &stored,
            events,
            validators: Validators::new(self.run.stream, self.shape, &state.fields),
            tally: Tally::default(),
            limit: state.limit,
            cursor_written: Instant::now(),
            pending: None,
            resume: stored.resume.clone(),
            place: None,
            cut: None,
            has_finished: false,
            kept: stored.state.clone(),
            has_written: false,
        };
        let mut fields = Vec::new();
        let state_of = stored.state.as_ref();
        let lookback = self.detection.lookback.max(self.run.lookback);
        let halt = match Cursors::open(&self.run, self.parts, state_of, lookback) {
            Ok(mut cursors) => {
                let halt = reading.all(&mut cursors).await.err();
                // Only slices that were read to their end count in it, whatever came after them.
                let moves = reading.tally.moves_cursor() || reading.has_written;
                if moves && !matches!(halt, Some(Halt::Stale | Halt::Limit)) {
                    let state = cursors.state(reading.tally.settled_parents());
                    let place = reading.left_at();
                    let field = self.cursor_field(state, &stored, &reading.tally, place);
                    // A place that was noted on the way does not count any more.
                    let unchanged = (self.cursor_key(), stored.text.clone());
                    let again = reading.has_written.then_some(unchanged);
                    fields.extend(field.or(again));
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
            Outcome::Complete
                | Outcome::Counted
                | Outcome::Drifted
                | Outcome::Skipped(_)
                | Outcome::Unchanged
        );
        if is_whole && state.limit.is_none() {
            fields.extend(validators.stale(self.lists_everything));
        }
        events
            .send(Event::End {
                stream: self.index,
                outcome,
                state: fields,
            })
            .await
    }

    /// The end of a read that remembers nothing.
    async fn end(&self, events: &Events, outcome: Outcome) -> Result<(), Stopped> {
        let end = Event::End {
            stream: self.index,
            outcome,
            state: Vec::new(),
        };
        events.send(end).await
    }

    fn outcome(mut tally: Tally) -> Outcome {
        if let Some(error) = tally.failed.take().or(tally.parent_failed.take()) {
            return Outcome::Incomplete(error);
        }
        if let Some(why) = tally.skips() {
            Outcome::Skipped(why)
        } else if tally.not_modified > 0 && tally.fresh == 0 {
            Outcome::Unchanged
        } else if tally.drifted {
            Outcome::Drifted
        } else if tally.counted {
            Outcome::Counted
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
            deletions_since: value
                .get("deletions")
                .and_then(Value::as_str)
                .map(str::to_owned),
            swept: value.get("swept").and_then(Value::as_str).and_then(instant),
            done: value
                .get("done")
                .and_then(Value::as_str)
                .map(done::parse)
                .unwrap_or_default(),
            resume: value
                .get("resume")
                .and_then(|place| Resume::stored(place, self.run.clock.now())),
            tokens: match value.get("tokens") {
                Some(Value::Object(tokens)) => Some(tokens.clone()),
                _ => None,
            },
        }
    }

    fn cursor_key(&self) -> String {
        format!("cursor:{}", self.run.stream)
    }

    /// The state field that says how far the stream has been read, if that changed.
    fn cursor_field(
        &self,
        state: Option<Result<Value, CursorError>>,
        stored: &Stored,
        tally: &Tally,
        resume: Option<Resume>,
    ) -> Option<(String, Option<String>)> {
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
        let beside = tally.deletions_since.is_some() || tally.swept.is_some();
        if state.is_none() && fresh.is_none() && !beside && resume.is_none() {
            return stored.text.is_some().then(|| (self.cursor_key(), None));
        }
        let mut map = Map::new();
        map.insert("config".to_owned(), self.shape.into());
        if let Some(state) = state {
            map.insert("state".to_owned(), state);
        }
        if let Some(fresh) = fresh {
            map.insert("fresh".to_owned(), fresh.into());
        }
        if let Some(since) = &tally.deletions_since {
            map.insert("deletions".to_owned(), since.as_str().into());
        }
        if let Some(swept) = tally.swept {
            map.insert("swept".to_owned(), swept.to_string().into());
        }
        if tally.settled_parents().is_none() && !tally.done.is_empty() {
            map.insert("done".to_owned(), done::text(&tally.done).into());
        }
        if let Some(resume) = resume {
            map.insert("resume".to_owned(), resume.to_value());
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
    /// The provider has no such records where it was asked, and says so by a refusal.
    Skipped(String),
}

/// Partitions that a probe tries before it gives up finding one that has such records.
const MAX_PROBES: usize = 5;

/// Reads the first page of a stream.
pub(super) async fn probe(
    run: &Run<'_>,
    parts: &Parts,
    parents: &ParentCache,
) -> Result<Probe, FetchError> {
    let partitions = parents.partitions(run, &parts.routers, None).await?;
    let mut skipped = None;
    for partition in partitions.list.iter().take(MAX_PROBES) {
        let slice = partitions::first_slice(run, parts, partition)?;
        let options = parts
            .slice_options
            .of(&slice, &run.context())
            .map_err(|error| run.misconfigured(error))?;
        let page = Pages::new(run, parts, &slice, options, None)
            // One shows that the others can be had as well.
            .detailing(Some(1))
            .next(None)
            .await?
            .unwrap_or_default();
        match page.skipped {
            Some(why) => drop(skipped.get_or_insert(why)),
            None => return Ok(Probe::Records(page.records.len())),
        }
    }
    match (skipped, partitions.failed) {
        (Some(why), _) => Ok(Probe::Skipped(why)),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Probe::NoPartition),
    }
}
