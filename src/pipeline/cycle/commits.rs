//! Commits on their way: one at a time, while the next batch is detected and made ready.

use super::Cycle;
use crate::pipeline::CycleError;
use crate::pipeline::commit::{Tenure, count_published};
use crate::signal::{Origin, Via};
use crate::store::{Commit, Output};

impl Cycle<'_> {
    /// Sends the batch on its way, after the commit before it has been answered.
    pub(super) async fn launch(&mut self) -> Result<(), CycleError> {
        let fields = &self.session.fields;
        let on_their_way = &self.state_in_flight;
        let state: Vec<_> = std::mem::take(&mut self.ready_state)
            .into_iter()
            .filter(|(field, value)| {
                let before = on_their_way.get(field).map(Option::as_ref);
                before.unwrap_or_else(|| fields.get(field)) != value.as_ref()
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
        let next_state = commit.state.iter().cloned().collect();
        let prepared = self.writer.store.prepare(&self.session.lease, commit);
        self.settle().await?;
        if self.session.is_ahead {
            // The commit before was given up, and this one would stand in its place.
            return Ok(());
        }
        self.next_sequence += 1;
        self.state_in_flight = next_state;
        let writer = self.writer.clone();
        self.in_flight.spawn(async move {
            let result = writer.write(&prepared).await;
            (prepared.into_commit(), result)
        });
        Ok(())
    }

    /// Waits for the commit on its way.
    pub(super) async fn settle(&mut self) -> Result<(), CycleError> {
        let Some(joined) = self.in_flight.join_next().await else {
            return Ok(());
        };
        let (commit, result): (Commit, _) = match joined {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Err(CycleError::InDoubt),
        };
        match result? {
            Tenure::Goes => {}
            Tenure::Ends => self.lease_ended = true,
            Tenure::Stopped => {
                // The table is ahead of the store by this batch.
                self.session.is_ahead = true;
                self.report.stopped = true;
                return Ok(());
            }
        }
        let (published, deleted) = count_published(&self.pipeline.metrics, &commit);
        self.report.summary.published += published;
        self.report.summary.deleted += deleted;
        for (field, value) in std::mem::take(&mut self.state_in_flight) {
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
