//! One delivered record: compared with what was published, and what is new of it put in the batch.

use jiff::Timestamp;

use super::Work;
use super::interpret::Brought;
use crate::pipeline::CycleError;
use crate::pipeline::batch::deletion;
use crate::pipeline::detect::{Detection, Removal, Rule, rfc3339};
use crate::source::StreamSpec;
use crate::store::{Acknowledged, Failed, version_field};
use crate::webhook::Change;

impl Work<'_> {
    /// Looks at one record and adds what is new of it to the batch.
    pub(super) async fn apply(
        &mut self,
        change: Brought,
        of: &mut Option<Acknowledged>,
    ) -> Result<(), CycleError> {
        let spec = self.specs[change.stream].clone();
        if self.stream != spec.name {
            self.commit().await?;
            self.stream = spec.name.clone();
        }
        if self.batch.is_full(self.most) || self.batch.overflows_with(change.record.len()) {
            self.commit().await?;
        }
        let detection = &self.pipeline.config.change_detection;
        let rule = Rule::new(&spec, detection);
        let now = self.pipeline.clock.now();
        match change.change {
            Change::Upsert => {
                self.upsert(&spec, &rule, &change, now, of);
                Ok(())
            }
            Change::Delete => self.delete(&spec, &rule, &change, now, of).await,
        }
    }

    fn upsert(
        &mut self,
        spec: &StreamSpec,
        rule: &Rule,
        brought: &Brought,
        now: Timestamp,
        of: &mut Option<Acknowledged>,
    ) {
        let name = &spec.name;
        let Some(table) = self.session.tables.get_mut(name) else {
            return;
        };
        let key = brought.key.as_deref();
        match rule.detect_delivered(&brought.record, key, table, now) {
            Detection::Unchanged | Detection::Repeated { .. } | Detection::Older => {
                self.pipeline.metrics.skipped(name, 1);
            }
            Detection::Refresh(version) => self.batch.refresh(name, &version),
            Detection::Changed(signal, version) => {
                self.session.note_delivered(name, &version.key);
                self.batch.change(name, signal, &version);
            }
            Detection::Rejected(reason) => bury(of, reason),
        }
    }

    async fn delete(
        &mut self,
        spec: &StreamSpec,
        rule: &Rule,
        brought: &Brought,
        now: Timestamp,
        of: &mut Option<Acknowledged>,
    ) -> Result<(), CycleError> {
        let name = &spec.name;
        let Some(table) = self.session.tables.get(name) else {
            return Ok(());
        };
        let removal = match rule.remove(&brought.record, brought.key.as_deref(), table, now) {
            Ok(Some(removal)) => removal,
            // Never published, or deleted before.
            Ok(None) => return Ok(()),
            Err(reason) => {
                bury(of, reason);
                return Ok(());
            }
        };
        let Removal { key, tombstone } = removal;
        let field = version_field(name, &key);
        // The last version is part of the signal; the table knows only half of it, and a change
        // in the batch is not in the store yet.
        self.commit().await?;
        if self.is_over() {
            return Ok(());
        }
        let Some(inbox) = &self.session.inbox else {
            return Ok(());
        };
        let connector = self.session.lease.connector.clone();
        let fields = std::slice::from_ref(&field);
        let known = inbox.store.get_versions(&connector, fields).await?;
        let publish = self
            .pipeline
            .config
            .change_detection
            .deletions
            .unwrap_or(true);
        let signal = known
            .first()
            .copied()
            .flatten()
            .filter(|_| publish)
            .map(|known| deletion(&rule.subject(&key), known.version, rfc3339(now)));
        self.session.note_delivered(name, &key);
        if let Some(table) = self.session.tables.get_mut(name) {
            rule.forget(&key, tombstone, table);
        }
        match tombstone {
            Some(known) => self.batch.bury(field, known, signal),
            None => self.batch.delete(field, signal),
        }
        Ok(())
    }
}

/// Makes the delivery of a record that cannot become a signal a dead one.
fn bury(of: &mut Option<Acknowledged>, reason: String) {
    if let Some(acknowledged) = of {
        acknowledged.failed = Some(Failed {
            reason,
            attempts: 1,
        });
    }
}
