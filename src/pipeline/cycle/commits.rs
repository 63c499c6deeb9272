//! From a batch to a commit on its way, and what its answer changes here.

use super::Cycle;
use crate::pipeline::CycleError;
use crate::pipeline::commit::{Tenure, count_published};
use crate::signal::{Origin, Via};
use crate::store::{Commit, Output};

impl Cycle<'_> {
    /// Sends the batch on its way, once there is room among those before it.
    pub(super) async fn launch(&mut self) -> Result<(), CycleError> {
        let fields = &self.session.fields;
        let on_their_way = &self.in_flight;
        let state: Vec<_> = std::mem::take(&mut self.ready_state)
            .into_iter()
            .filter(|(field, value)| {
                let before = on_their_way.change_of(field);
                before.map_or_else(|| fields.get(field), Option::as_ref) != value.as_ref()
            })
            .collect();
        self.batch_since = None;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() && state.is_empty() {
            return self.settle().await;
        }
        let config = &self.pipeline.config;
        let commit = Commit {
            sequence: self.next_sequence,
            output: Output {
                stream: config.output_stream.clone(),
                max_len: config.output_max_len,
            },
            origin: Origin {
                connector: config.name.clone(),
                stream: self.batch_stream.clone(),
                provider: self.pipeline.source.provider().into(),
                tenant: config.tenant.clone(),
                via: Via::Poll,
            },
            signals: batch.signals,
            versions: batch.versions,
            gone: batch.gone,
            state,
            dead_letters: batch.dead_letters,
            acknowledged: batch.acknowledged,
        };
        let prepared = self.writer.store.prepare(&self.session.lease, commit);
        while self.in_flight.is_full() {
            self.settle_one().await?;
        }
        if self.session.is_ahead || self.lease_ended {
            // A commit before was given up, and this one would stand in its place.
            return Ok(());
        }
        self.next_sequence += 1;
        self.in_flight.push(&self.writer, prepared).await
    }

    /// Waits for all commits on their way.
    pub(super) async fn settle(&mut self) -> Result<(), CycleError> {
        while !self.in_flight.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    /// Waits for the first commit on its way.
    async fn settle_one(&mut self) -> Result<(), CycleError> {
        let Some(((commit, result), changes)) = self.in_flight.pop().await? else {
            return Ok(());
        };
        match result? {
            Tenure::Goes => {}
            Tenure::Ends => {
                self.lease_ended = true;
                self.in_flight.clear();
            }
            Tenure::Stopped => {
                // The table is ahead of the store by this batch and those behind it.
                self.session.is_ahead = true;
                self.report.stopped = true;
                self.in_flight.clear();
                return Ok(());
            }
        }
        let (published, deleted) = count_published(&self.pipeline.metrics, &commit);
        self.report.summary.published += published;
        self.report.summary.deleted += deleted;
        for (field, value) in changes {
            match value {
                Some(value) => self.session.fields.insert(field, value),
                None => self.session.fields.remove(&field),
            };
        }
        Ok(())
    }

    /// Commits everything that waits, and waits for it.
    pub(super) async fn flush(&mut self) -> Result<(), CycleError> {
        self.launch().await?;
        self.settle().await
    }
}
