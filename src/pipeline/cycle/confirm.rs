//! The second look at records that seem to be gone from a listing whose pages are counted.
//!
//! A record that is removed while pages are counted lets another slip into a page that was already
//! read. Only what a second, undisturbed read misses too is gone: to be overlooked again, a record
//! would have to cross the border of a page a second time at the very moment.

use super::Cycle;
use super::reading::Reading;
use crate::pipeline::CycleError;
use crate::source::{Event, Outcome, Page, ReadState};

impl Cycle<'_> {
    /// Reads the streams again of which something is missing, and publishes what is gone.
    pub(super) async fn confirm_deletions(&mut self) -> Result<(), CycleError> {
        if self.unconfirmed.is_empty() {
            return Ok(());
        }
        let specs = self.pipeline.source.streams();
        // Without validators: an answer that nothing changed would not show the records.
        let mut fields = self.session.fields.clone();
        fields.retain(|field, _| !field.starts_with("etag:"));
        let streams = (self.unconfirmed.iter())
            .map(|&stream| specs[stream].name.clone())
            .collect();
        let mut reading = Reading::start(
            self.pipeline.source.clone(),
            ReadState {
                fields,
                streams,
                limit: None,
                again: true,
                ..ReadState::default()
            },
        );
        while let Some(event) = self.next_event(&mut reading).await? {
            match event {
                Event::Page(page) => self.look_again(&page),
                // What was seen before is there no less.
                Event::Restart { .. } => {}
                Event::End {
                    stream, outcome, ..
                } => self.conclude(stream, outcome).await?,
            }
            if self.is_over() {
                break;
            }
        }
        self.flush().await?;
        if self.lease_ended {
            return Err(CycleError::LeaseLost);
        }
        if !self.report.stopped {
            reading.join().await;
        }
        Ok(())
    }

    /// Notes what is still there. What is new or different waits for the next poll, which finds it
    /// by its own rules.
    fn look_again(&mut self, page: &Page) {
        let name = &self.pipeline.source.streams()[page.stream].name;
        let progress = &mut self.streams[page.stream];
        progress.rejected += page.rejected.len() as u64;
        if let Some(table) = self.session.tables.get_mut(name) {
            for record in page.records.iter().chain(&page.seen) {
                progress.rejected += u64::from(!progress.rule.see(record, table));
            }
        }
        // Its records count once in the summary, its pages as often as they were asked for.
        self.report.summary.pages += 1;
        self.pipeline.metrics.page_read(name, 0, page.not_modified);
        self.show_progress(page.stream, None);
    }

    /// Publishes what both reads missed, unless the second is no better than the first.
    async fn conclude(&mut self, stream: usize, outcome: Outcome) -> Result<(), CycleError> {
        let name = self.pipeline.source.streams()[stream].name.clone();
        if self.batch_stream != name {
            self.flush().await?;
            self.batch_stream = name.clone();
        }
        match outcome {
            Outcome::Complete | Outcome::Counted => {
                let all = self.delete_vanished(stream, &name, None).await?;
                self.end_listing(stream, Vec::new(), all).await
            }
            Outcome::Incomplete(error) => {
                self.streams[stream].held.clear();
                self.report.failures.push((name, error.redacted()));
                Ok(())
            }
            Outcome::Drifted
            | Outcome::Skipped(_)
            | Outcome::Stale
            | Outcome::Changes
            | Outcome::Unchanged => {
                self.streams[stream].held.clear();
                self.warn(format!(
                    "stream {name}: records moved while it was looked for those that seem to be gone; they are looked for again later"
                ));
                Ok(())
            }
        }
    }
}
