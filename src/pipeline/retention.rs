//! Which versions of an incremental stream are forgotten: those not seen for `retentionDays`,
//! and beyond `maxKeys` those not seen for longest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::detect::day_of;
use super::session::split_field;
use super::versions::{KeyHash, key_hash};
use super::{CycleError, Pipeline, Session};

/// How often a stream is looked through for versions that aged out.
const SWEEP_EVERY: Duration = Duration::from_hours(6);

impl Pipeline {
    /// Keys and fields to forget; `None` when it is not time to look.
    pub(super) async fn find_retired(
        &self,
        session: &mut Session,
        stream: &Arc<str>,
    ) -> Result<Option<Vec<(KeyHash, Vec<u8>)>>, CycleError> {
        let limits = &self.config.change_detection;
        let Some(table) = session.tables.get(stream) else {
            return Ok(None);
        };
        let excess = table.len().saturating_sub(limits.max_keys);
        let last = session.swept.get(stream).copied();
        let is_due = last.is_none_or(|at: Instant| at.elapsed() >= SWEEP_EVERY);
        if table.is_empty() || (excess == 0 && !is_due) {
            return Ok(None);
        }
        session.swept.insert(stream.clone(), Instant::now());
        let retention = u16::try_from(limits.retention_days).unwrap_or(u16::MAX);
        let oldest_kept = day_of(self.clock.now()).saturating_sub(retention);
        let mut aged = Vec::new();
        self.store
            .scan_versions(&session.lease.connector, &mut |field, known| {
                let Some((of, key)) = split_field(field) else {
                    return;
                };
                let day = known.day.unwrap_or(0);
                if of == &**stream && (excess > 0 || day < oldest_kept) {
                    aged.push((day, key_hash(key), field.to_vec()));
                }
            })
            .await?;
        aged.sort_unstable();
        aged.dedup();
        let expired = aged.partition_point(|(day, ..)| *day < oldest_kept);
        aged.truncate(expired.max(usize::try_from(excess).unwrap_or(usize::MAX)));
        if excess > 0 {
            tracing::warn!(
                connector.id = &*self.config.name,
                stream = &**stream,
                max_keys = limits.max_keys,
                evicted = excess,
                "more versions than changeDetection.maxKeys: those not seen for longest are forgotten"
            );
        }
        Ok(Some(
            aged.into_iter()
                .map(|(_, key, field)| (key, field))
                .collect(),
        ))
    }
}
