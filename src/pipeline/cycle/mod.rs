//! The steps of one cycle, from the first page to the last commit.

mod commits;
mod confirm;
mod deletions;
mod in_flight;
mod named;
mod progress;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use self::deletions::WholeParts;
use self::in_flight::InFlight;
use self::reading::Reading;
use super::batch::{Batch, MAX_RECORDS};
use super::commit::Writer;
use super::detect::{Detection, Rule};
use super::session::LISTING_LAG;
use super::versions::VersionTable;
use super::{Attempt, CycleError, CycleReport, Pipeline, Session};
use crate::json::Ignored;
use crate::registry::PollSummary;
use crate::source::{Event, Outcome, Page, ReadState, Record, StreamSpec};

/// How long a few changes wait for more before they are committed.
const FLUSH_AFTER: Duration = Duration::from_millis(50);

/// Begins the reason of a dead letter that holds a record as received, not as selected and
/// transformed.
pub const NOT_SELECTED: &str = "cannot be selected: ";

/// Poison records remembered, so that a poll does not bury the same one again.
const MAX_BURIED: usize = 10_000;

impl Pipeline {
    /// Reads all streams once and commits what changed.
    ///
    /// Stops at the next page boundary when `stop` is cancelled; what was read until then is
    /// committed. An error ends the tenure: the session must not be used again.
    pub async fn run_cycle(
        &self,
        session: &mut Session,
        stop: &CancellationToken,
    ) -> Result<CycleReport, CycleError> {
        let started = Instant::now();
        let mut cycle = Cycle::new(self, session, stop);
        let result = cycle.run().await;
        let mut report = cycle.report;
        report.summary.duration_ms =
            u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result.map(|()| report)
    }
}

struct Cycle<'c> {
    pipeline: &'c Pipeline,
    session: &'c mut Session,
    stop: &'c CancellationToken,
    writer: Arc<Writer>,
    streams: Vec<StreamProgress>,
    report: CycleReport,
    batch: Batch,
    batch_stream: Arc<str>,
    batch_since: Option<Instant>,
    /// State to write with the next commit: every record it covers is in that commit or before.
    ready_state: BTreeMap<String, Option<String>>,
    /// Of the next commit.
    next_sequence: u64,
    in_flight: InFlight,
    lease_ended: bool,
    /// Streams of which some records seem to be gone.
    unconfirmed: Vec<usize>,
    started: Instant,
    /// When the progress was last logged.
    logged: Instant,
    /// Records per commit: one that is larger than the output stream may become never fits.
    most: usize,
}

/// How far the read of one stream got.
struct StreamProgress {
    rule: Rule,
    /// When its first sign came.
    begun: Option<Instant>,
    /// Versions known before the read.
    known: u64,
    fetched: u64,
    rejected: u64,
    repeated_differently: u64,
    /// State of a full listing, not written before its deletions are: with validators the next
    /// read would not look again.
    held: Vec<(String, Option<String>)>,
    /// Parts that were listed whole.
    whole: WholeParts,
}

impl<'c> Cycle<'c> {
    fn new(pipeline: &'c Pipeline, session: &'c mut Session, stop: &'c CancellationToken) -> Self {
        let detection = &pipeline.config.change_detection;
        let progress = |spec: &StreamSpec| StreamProgress {
            rule: Rule::new(spec, detection),
            begun: None,
            known: 0,
            fetched: 0,
            rejected: 0,
            repeated_differently: 0,
            held: Vec::new(),
            whole: WholeParts::default(),
        };
        Self {
            writer: Arc::new(Writer {
                store: pipeline.store.clone(),
                lease: session.lease.clone(),
                applied: session.applied.clone(),
                registry: pipeline.registry.clone(),
                metrics: pipeline.metrics.clone(),
                stop: stop.clone(),
            }),
            streams: pipeline.source.streams().iter().map(progress).collect(),
            next_sequence: session.next_sequence(),
            pipeline,
            session,
            stop,
            report: CycleReport::default(),
            batch: Batch::default(),
            batch_stream: Arc::from(""),
            batch_since: None,
            ready_state: BTreeMap::new(),
            in_flight: InFlight::default(),
            lease_ended: false,
            unconfirmed: Vec::new(),
            started: Instant::now(),
            logged: Instant::now(),
            most: match usize::try_from(pipeline.config.output_max_len) {
                Ok(limit @ 1..MAX_RECORDS) => limit,
                _ => MAX_RECORDS,
            },
        }
    }

    async fn run(&mut self) -> Result<(), CycleError> {
        let mut reading = Reading::start(
            self.pipeline.source.clone(),
            ReadState {
                fields: self.session.fields.clone(),
                streams: self.pipeline.config.streams.clone(),
                hashing: self.hashing(),
                limit: self.pipeline.limit,
                again: false,
            },
        );
        if let Some(since) = self.started.checked_sub(LISTING_LAG) {
            self.session.forget_delivered(since);
        }
        for spec in self.pipeline.source.pushed() {
            self.retire(&spec.name).await?;
        }
        while let Some(event) = self.next_event(&mut reading).await? {
            match event {
                Event::Page(page) => self.page(page).await?,
                Event::Restart { stream } => self.restart(stream),
                Event::End {
                    stream,
                    outcome,
                    state,
                } => self.end(stream, outcome, state).await?,
            }
            if self.is_over() {
                break;
            }
            // A long listing must not keep deliveries waiting.
            if let Some(inbox) = &mut self.session.inbox
                && let Some(attempts) = inbox.try_next()
            {
                self.deliver(attempts).await?;
            }
        }
        self.flush().await?;
        if self.lease_ended {
            return Err(CycleError::LeaseLost);
        }
        if !self.report.stopped {
            reading.join().await;
            self.confirm_deletions().await?;
        }
        Ok(())
    }

    /// Streams of which nothing is known: the version of every record will be needed.
    fn hashing(&self) -> BTreeMap<Arc<str>, Arc<Ignored>> {
        let specs = self.pipeline.source.streams().iter();
        let is_new = |spec: &StreamSpec| {
            let table = self.session.tables.get(&spec.name);
            table.is_none_or(VersionTable::is_empty)
        };
        specs
            .zip(&self.streams)
            .filter(|(spec, _)| is_new(spec))
            .filter_map(|(spec, progress)| Some((spec.name.clone(), progress.rule.hashing()?)))
            .collect()
    }

    /// Whether the cycle must not go on.
    fn is_over(&mut self) -> bool {
        self.report.stopped |= self.lease_ended || self.stop.is_cancelled();
        self.report.stopped
    }

    /// The next event; `None` when the read is over or stopped. Commits what waits when the
    /// source takes its time.
    async fn next_event(&mut self, reading: &mut Reading) -> Result<Option<Event>, CycleError> {
        loop {
            let flush_at = self.batch_since.map(|since| since + FLUSH_AFTER);
            let flush_due = async {
                match flush_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let arrived = async {
                match &mut self.session.inbox {
                    Some(inbox) => inbox.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.report.stopped = true;
                    return Ok(None);
                }
                event = reading.events.recv() => return Ok(event),
                attempts = arrived => self.deliver(attempts).await?,
                () = flush_due => self.launch().await?,
            }
        }
    }

    /// Commits what waits, then what deliveries brought.
    async fn deliver(&mut self, attempts: Vec<Attempt>) -> Result<(), CycleError> {
        self.flush().await?;
        if self.lease_ended || self.report.stopped {
            // Read again from the start of the queue.
            self.session.inbox = None;
            return Ok(());
        }
        let delivered = self
            .pipeline
            .deliver(self.session, attempts, self.stop)
            .await;
        self.next_sequence = self.session.next_sequence();
        delivered
    }

    async fn page(&mut self, page: Page) -> Result<(), CycleError> {
        let spec = &self.pipeline.source.streams()[page.stream];
        let name = spec.name.clone();
        if self.batch_stream != name {
            self.flush().await?;
            self.batch_stream = name.clone();
        }
        self.begin(page.stream);
        let now = self.pipeline.clock.now();
        let metrics = &self.pipeline.metrics;
        let fetched = (page.records.len() + page.rejected.len()) as u64;
        if page.whole.is_none() {
            metrics.page_read(&name, fetched, page.not_modified);
        }
        // What only tells that a part was whole was no answer of its own.
        self.report.summary.pages += u64::from(page.whole.is_none());
        self.report.summary.not_modified += u64::from(page.not_modified);
        self.report.summary.fetched += fetched;

        self.delete_named(page.stream, &name, page.deleted).await?;
        for record in &page.seen {
            if let Some(table) = self.session.tables.get_mut(&name) {
                let progress = &mut self.streams[page.stream];
                progress.rejected += u64::from(!progress.rule.see(record, table));
            }
        }
        let mut skipped = 0;
        for record in &page.records {
            if self.batch.is_full(self.most) || self.batch.overflows_with(record.len()) {
                self.launch().await?;
            }
            skipped += u64::from(self.record(page.stream, &name, record, now));
        }
        for rejected in page.rejected {
            if self.batch.is_full(self.most) {
                self.launch().await?;
            }
            let reason = format!("{NOT_SELECTED}{}", rejected.reason);
            self.reject(page.stream, &name, reason, &rejected.data);
        }
        self.pipeline.metrics.skipped(&name, skipped);
        self.report.summary.skipped_unchanged += skipped;
        // A stream with a token has no validators.
        if spec.lists_everything && !spec.later_counts {
            self.streams[page.stream].held.extend(page.state);
        } else {
            self.remember(page.state);
        }
        if self.streams[page.stream].known == 0 {
            self.remember(page.first);
        }
        if self.batch.is_full(self.most) {
            self.launch().await?;
        } else {
            self.batch.detach();
        }
        self.streams[page.stream].whole.extend(page.whole);
        self.streams[page.stream].fetched += fetched;
        self.show_progress(page.stream, page.done);
        Ok(())
    }

    /// Detects one record; whether it was skipped.
    fn record(&mut self, stream: usize, name: &Arc<str>, record: &Record, now: Timestamp) -> bool {
        let Some(table) = self.session.tables.get_mut(name) else {
            return true;
        };
        let progress = &mut self.streams[stream];
        // Without an order only the time of reading tells which is newer.
        if !progress.rule.is_ordered()
            && self.session.delivered.contains_key(name)
            && let Some(key) = progress.rule.key_hash(record)
            && self.session.delivered[name]
                .get(&key)
                .is_some_and(|at| *at >= self.started)
        {
            return true;
        }
        match progress.rule.detect(record, table, now) {
            Detection::Unchanged | Detection::Older => return true,
            Detection::Repeated { differs } => {
                progress.repeated_differently += u64::from(differs);
                return true;
            }
            Detection::Refresh(version) => {
                self.batch.refresh(name, &version);
                self.batch_since.get_or_insert_with(Instant::now);
                return true;
            }
            Detection::Changed(signal, version) => self.batch.change(name, signal, &version),
            Detection::Rejected(reason) => self.reject(stream, name, reason, record),
        }
        self.batch_since.get_or_insert_with(Instant::now);
        false
    }

    /// Buries a poison record, once per tenure.
    fn reject(&mut self, stream: usize, name: &str, reason: String, data: &Bytes) {
        self.streams[stream].rejected += 1;
        self.report.summary.failed += 1;
        let buried = &mut self.session.buried;
        if buried.len() < MAX_BURIED && buried.insert(xxh3_64(data)) {
            self.pipeline.metrics.failed(name, 1);
            tracing::warn!(
                connector.id = &*self.pipeline.config.name,
                stream = name,
                reason,
                "a record cannot become a signal: it goes to the dead letters"
            );
            self.batch.reject(name, reason, data);
            self.batch_since.get_or_insert_with(Instant::now);
        }
    }

    async fn end(
        &mut self,
        stream: usize,
        outcome: Outcome,
        mut state: Vec<(String, Option<String>)>,
    ) -> Result<(), CycleError> {
        let spec = &self.pipeline.source.streams()[stream];
        let name = spec.name.clone();
        let finds_deletions = spec.lists_everything && self.pipeline.limit.is_none();
        if self.batch_stream != name {
            self.flush().await?;
            self.batch_stream = name.clone();
        }
        let whole = std::mem::take(&mut self.streams[stream].whole);
        if let Some(since) = whole.since()
            && self
                .session
                .tables
                .get(&name)
                .is_some_and(|table| table.misses(since))
        {
            if whole.is_counted() {
                self.unconfirmed.push(stream);
            } else {
                let all = self.delete_vanished(stream, &name, Some(&whole)).await?;
                state.retain(|_| all);
            }
        }
        match outcome {
            Outcome::Complete if finds_deletions => {
                self.begin(stream);
                let all = self.delete_vanished(stream, &name, None).await?;
                self.end_listing(stream, state, all).await?;
                state = Vec::new();
            }
            Outcome::Counted if finds_deletions => {
                self.begin(stream);
                let vanished = self.session.tables.get(&name).map_or(0, VersionTable::unseen);
                if vanished == 0 || self.streams[stream].rejected > 0 {
                    let all = self.delete_vanished(stream, &name, None).await?;
                    self.end_listing(stream, state, all).await?;
                } else {
                    self.streams[stream].held.extend(state);
                    self.unconfirmed.push(stream);
                }
                state = Vec::new();
            }
            Outcome::Complete | Outcome::Counted | Outcome::Changes | Outcome::Unchanged => {}
            // Cut short on purpose.
            Outcome::Drifted if self.pipeline.limit.is_some() => {}
            Outcome::Drifted => self.warn(format!(
                "stream {name}: the records read may not be all there are (they moved between pages, or an answer listed none); nothing is called deleted"
            )),
            Outcome::Skipped(why) => {
                // A feature that is switched off stays so: no warning in the log of every poll.
                tracing::info!(connector.id = &*self.pipeline.config.name, stream = &*name, "{why}");
                self.report.warnings.push(format!("stream {name}: {why}"));
            }
            Outcome::Stale => self.warn(format!(
                "stream {name}: the provider answered with older data than before; it was dropped"
            )),
            Outcome::Incomplete(error) => {
                self.report.failures.push((name.clone(), error.redacted()));
            }
        }
        let repeated = self.streams[stream].repeated_differently;
        if repeated > 0 {
            self.warn(format!(
                "stream {name}: {repeated} records came twice with different content; the first counts"
            ));
        }
        self.remember(state);
        self.flush().await?;
        if !spec.lists_everything {
            self.retire(&name).await?;
        }
        Ok(())
    }

    /// The first sign of a stream in this cycle: none of its records is seen yet.
    fn begin(&mut self, stream: usize) {
        let progress = &mut self.streams[stream];
        if progress.begun.is_none() {
            progress.begun = Some(Instant::now());
            let name = &self.pipeline.source.streams()[stream].name;
            if let Some(table) = self.session.tables.get_mut(name) {
                progress.known = table.len();
                table.clear_marks();
            }
        }
    }

    /// The stream is read again from its start.
    fn restart(&mut self, stream: usize) {
        let name = self.pipeline.source.streams()[stream].name.clone();
        self.streams[stream].begun = None;
        self.begin(stream);
        self.pipeline.metrics.cursor_reset(&name);
        self.warn(format!(
            "stream {name}: the provider does not know the cursor any more; everything is read again"
        ));
    }

    /// Keeps state for the next commit, unless the store has it already.
    fn remember(&mut self, state: impl IntoIterator<Item = (String, Option<String>)>) {
        for (field, value) in state {
            self.ready_state.insert(field, value);
        }
    }

    fn warn(&mut self, warning: String) {
        tracing::warn!(connector.id = &*self.pipeline.config.name, "{warning}");
        self.report.warnings.push(warning);
    }
}

/// The instant `wait` from now; `None` beyond the end of time.
pub fn deadline_in(wait: Duration) -> Option<Timestamp> {
    Timestamp::now()
        .checked_add(jiff::SignedDuration::try_from(wait).ok()?)
        .ok()
}

impl PollSummary {
    /// `fetched = (published − deleted) + skipped_unchanged + failed`, of a poll that ended.
    pub fn adds_up(&self) -> bool {
        self.fetched + self.deleted == self.published + self.skipped_unchanged + self.failed
    }
}
