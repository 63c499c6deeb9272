//! What a stream that is read by dates does not show by itself: which of its records are gone. A
//! feed names them, or a partition that was listed whole, or a listing of all keys now and then,
//! tells by their absence.

use jiff::Timestamp;

use super::guard::Found;
use super::pages::{Pages, TOKEN};
use super::reading::{Halt, Reading};
use super::{Retriever, Run, Stored};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::cursor::Window;
use crate::source::manifest::datetime::{DateTime, Span};
use crate::source::manifest::feed::{Deletions, Sweep};
use crate::source::manifest::partition::Partition;
use crate::source::manifest::slice::StreamSlice;
use crate::source::{Event, Events, Page, WholePart};

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

    /// Whether it is time to see which records are still there, when that was last known `at`.
    pub(super) fn is_due(&self, sweep: &Sweep, at: Timestamp) -> Result<bool, Halt> {
        let failed = |error: String| Halt::Failed(self.run.misconfigured(error));
        let every = sweep.every.text(&self.run.context());
        let every = every.map_err(|error| failed(error.to_string()))?;
        if every.is_empty() {
            return Ok(false);
        }
        let every = Span::parse(&every).map_err(|error| failed(format!("every: {error}")))?;
        let before = DateTime::from_timestamp(self.run.clock.now()).minus(every);
        Ok(before.is_ok_and(|before| at <= before.timestamp()))
    }

    /// Lists every record, only to see which are still there.
    pub(super) async fn sweep(&self, sweep: &Sweep, events: &Events) -> Result<(), Halt> {
        let (run, parts) = (&self.run, &sweep.parts);
        let partitions = self.parents.partitions(run, &parts.routers, None).await;
        let partitions = partitions.map_err(Halt::Failed)?;
        if let Some(error) = partitions.failed {
            return Err(Halt::Failed(error));
        }
        let mut is_whole = !partitions.counted;
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
            is_whole &= !pages.is_counted() && pages.drift() == Found::Nothing;
        }
        if !is_whole {
            tracing::debug!(stream = run.stream, "not every record may have been listed");
            return Ok(());
        }
        let page = Page {
            stream: self.index,
            whole: Some(WholePart {
                prefix: String::new(),
                since: None,
            }),
            ..Page::default()
        };
        Ok(events.send(Event::Page(page)).await?)
    }
}
