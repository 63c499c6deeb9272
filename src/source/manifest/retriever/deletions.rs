//! What a stream that is read by dates does not show by itself: which of its records are gone. A
//! feed names them, or a partition that was listed whole, or a listing of all keys now and then,
//! tells by their absence.

use std::time::Duration;

use jiff::Timestamp;

use super::guard::Found;
use super::pages::{Pages, TOKEN};
use super::reading::{Halt, Reading};
use super::{Retriever, Run, Stored};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::cursor::Window;
use crate::source::manifest::datetime::{DateTime, Span};
use crate::source::manifest::expr::Expr;
use crate::source::manifest::feed::{Deletions, Sweep, Way};
use crate::source::manifest::partition::Partition;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::{Event, Events, Outcome, Page, Stopped, WholePart};

/// A sweep that it is time for.
pub(super) struct Due<'r> {
    pub(super) sweep: &'r Sweep,
    /// How far the stream is read back in it.
    pub(super) lookback: Option<Duration>,
    /// What counts as its time if it does not come to its end: a quarter of its interval later it
    /// is tried again, not at each poll.
    pub(super) put_off_to: Timestamp,
}

/// How a partition is being read: whether all of it was listed, and from when on.
pub(super) struct Part {
    doubts: usize,
    since: Option<i64>,
    is_whole: bool,
}

impl Part {
    /// `doubts` is how many answers of the read so far may not have listed all there is.
    pub(super) fn new(doubts: usize) -> Self {
        Self {
            doubts,
            since: None,
            is_whole: true,
        }
    }

    /// Whether all of its slices were read to their end.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// A slice of it has been read, to its end or not.
    pub(super) fn slice(&mut self, window: Option<&Window>, is_complete: bool) {
        self.is_whole &= is_complete;
        if let Some(window) = window {
            // A window begins between two milliseconds; what shares one with its start may be
            // older than it.
            let start = window.start().epoch_micros().div_euclid(1000) + 2;
            self.since = Some(self.since.map_or(start, |since| since.min(start)));
        }
    }
}

impl Reading<'_, '_> {
    /// Tells that a partition was listed whole, if it was and that says anything.
    pub(super) async fn end_part(&mut self, part: Part, partition: &Partition) -> Result<(), Halt> {
        let retriever = self.retriever;
        let key = &retriever.parts.part_key;
        let is_whole = part.is_whole && part.doubts == self.tally.doubts;
        if key.is_empty() || !is_whole || self.limit.is_some() {
            return Ok(());
        }
        let run = &retriever.run;
        let slice = partition.slice(Map::new());
        let context = run.context().with("stream_slice", slice.view());
        let mut prefix = String::from("[");
        for part in key {
            // Digits stay as they are spelled.
            let text = part.verbatim(&context);
            let text = text.map_err(|error| Halt::Failed(run.misconfigured(error)))?;
            prefix.push_str(&Value::from(text).to_string());
            prefix.push(',');
        }
        let page = Page {
            stream: retriever.index,
            whole: Some(WholePart {
                prefix,
                since: part.since,
                is_counted: false,
            }),
            ..Page::default()
        };
        Ok(self.events.send(Event::Page(page)).await?)
    }
}

impl Retriever<'_> {
    /// Where the feed of deletions begins, before the stream itself is read: a record that is
    /// deleted meanwhile is named by the next read.
    pub(super) fn deletions_since(
        &self,
        deletions: &Deletions,
        stored: &Stored,
    ) -> Result<String, FetchError> {
        match &stored.deletions_since {
            Some(token) => Ok(token.clone()),
            None => {
                let token = deletions.start.text(&self.run.context());
                token.map_err(|error| self.run.misconfigured(error))
            }
        }
    }

    /// Reads what was deleted since `token`; the token to go on from.
    pub(super) async fn read_deletions(
        &self,
        deletions: &Deletions,
        token: String,
        events: &Events,
    ) -> Result<String, Halt> {
        let run = Run { ..self.run };
        let slice = StreamSlice {
            extra_fields: Map::from_iter([(TOKEN.to_owned(), Value::from(token.as_str()))]),
            ..StreamSlice::default()
        };
        let options = deletions
            .parts
            .slice_options
            .of(&slice, &run.context())
            .map_err(|error| Halt::Failed(run.misconfigured(error)))?;
        let mut pages = Pages::new(&run, &deletions.parts, &slice, options, None);
        let mut since = token;
        while let Some(page) = pages.next(None).await.map_err(Halt::Failed)? {
            if let Some(token) = page.cursor_token {
                since = token;
            }
            let page = Page {
                stream: self.index,
                rejected: page.rejected,
                deleted: page.deleted,
                ..Page::default()
            };
            events.send(Event::Page(page)).await?;
        }
        Ok(since)
    }

    /// The sweep that it is time for, if any.
    pub(super) fn due(&self, stored: &Stored) -> Result<Option<Due<'_>>, FetchError> {
        let (Some(sweep), Some(at)) = (self.parts.sweep.as_deref(), stored.swept) else {
            return Ok(None);
        };
        let now = self.run.clock.now();
        let every = self.span(&sweep.every, "every", now)?;
        if every.is_zero() || now.duration_since(at) < every {
            return Ok(None);
        }
        let lookback = match &sweep.way {
            Way::Keys(_) => None,
            Way::LookingBack(span) => {
                let span = self.span(span, "lookback", now)?;
                if span.is_zero() {
                    return Ok(None);
                }
                Duration::try_from(span).ok()
            }
        };
        Ok(Some(Due {
            sweep,
            lookback,
            put_off_to: now - every * 3 / 4,
        }))
    }

    /// A span that a template gives, as it is before `now`; none where it gives nothing.
    fn span(
        &self,
        span: &Expr,
        name: &str,
        now: Timestamp,
    ) -> Result<jiff::SignedDuration, FetchError> {
        let failed = |why: String| self.run.misconfigured(format!("sweep: {name}: {why}"));
        let text = span.text(&self.run.context());
        let text = text.map_err(|error| failed(error.to_string()))?;
        if text.is_empty() {
            return Ok(jiff::SignedDuration::ZERO);
        }
        let span = Span::parse(&text).map_err(|error| failed(error.to_string()))?;
        let before = DateTime::from_timestamp(now).minus(span);
        let before = before.map_err(|error| failed(error.to_string()))?;
        Ok(now.duration_since(before.timestamp()))
    }

    /// Lists every record, only to see which are still there; whether all of them were listed.
    pub(super) async fn sweep(&self, parts: &Parts, events: &Events) -> Result<bool, Halt> {
        let run = &self.run;
        let partitions = self.parents.partitions(run, &parts.routers, None).await;
        let partitions = partitions.map_err(Halt::Failed)?;
        if let Some(error) = partitions.failed {
            return Err(Halt::Failed(error));
        }
        let (mut is_whole, mut is_counted) = (true, partitions.counted);
        for partition in &partitions.list {
            let slice = partition.slice(Map::new());
            let options = parts.slice_options.of(&slice, &run.context());
            let options = options.map_err(|error| Halt::Failed(run.misconfigured(error)))?;
            let mut pages = Pages::new(run, parts, &slice, options, None);
            while let Some(page) = pages.next(None).await.map_err(Halt::Failed)? {
                is_whole &= !page.lacks_list && page.skipped.is_none();
                let page = Page {
                    stream: self.index,
                    seen: page.records,
                    rejected: page.rejected,
                    ..Page::default()
                };
                events.send(Event::Page(page)).await?;
            }
            is_counted |= pages.is_counted();
            is_whole &= pages.drift() == Found::Nothing;
        }
        if !is_whole {
            tracing::debug!(stream = run.stream, "not every record may have been listed");
            return Ok(false);
        }
        let page = Page {
            stream: self.index,
            whole: Some(WholePart {
                prefix: String::new(),
                since: None,
                is_counted,
            }),
            ..Page::default()
        };
        events.send(Event::Page(page)).await?;
        Ok(true)
    }

    /// Sweeps once more, because the first sweep, which counted pages, missed something.
    pub(super) async fn sweep_again(&self, sweep: &Sweep, events: &Events) -> Result<(), Stopped> {
        let Way::Keys(parts) = &sweep.way else {
            return self.end(events, Outcome::Unchanged).await;
        };
        let outcome = match self.sweep(parts, events).await {
            Ok(true) => Outcome::Complete,
            Ok(false) | Err(Halt::Stale | Halt::Limit) => Outcome::Drifted,
            Err(Halt::Failed(error)) => Outcome::Incomplete(error),
            Err(Halt::Stopped) => return Err(Stopped),
        };
        self.end(events, outcome).await
    }
}
