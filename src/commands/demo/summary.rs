//! What a demonstration did, in a few lines.

use std::fmt;

use super::sandbox::{Proof, Requests, Sandbox};
use crate::registry::ConnectorStatus;
use crate::store::StreamEntry;

/// The lines at the end.
pub(super) struct Summary {
    connectors: Vec<Row>,
    requests: Requests,
    proof: Result<Proof, &'static str>,
}

struct Row {
    name: String,
    polls: u64,
    fetched: u64,
    published: u64,
    deleted: u64,
}

impl Row {
    /// Records read that were known already.
    fn skipped(&self) -> u64 {
        self.fetched.saturating_sub(self.published - self.deleted)
    }
}

impl Summary {
    /// `fresh`: the store held nothing before; `settled`: every connector ended a last poll.
    pub(super) fn new(
        sandbox: &Sandbox,
        connectors: &[ConnectorStatus],
        entries: &[StreamEntry],
        fresh: bool,
        settled: bool,
    ) -> Self {
        let connectors = connectors
            .iter()
            .map(|status| {
                let own: Vec<_> = entries
                    .iter()
                    .filter(|entry| entry.field("connector") == Some(status.name.as_bytes()))
                    .collect();
                let is_deletion = |entry: &&&StreamEntry| {
                    entry
                        .field("type")
                        .is_some_and(|kind| kind.ends_with(b".deleted"))
                };
                Row {
                    polls: status.totals.total_polls,
                    fetched: status.totals.items_fetched,
                    published: own.len() as u64,
                    deleted: own.iter().filter(is_deletion).count() as u64,
                    name: status.name.clone(),
                }
            })
            .collect();
        let mut proof = sandbox.ledger().prove(entries);
        if !settled {
            // A connector that was stopped in the middle owes what it had no time to read again.
            proof.missing.clear();
        }
        let proof = if fresh {
            Ok(proof)
        } else {
            Err("the store already held these connectors' state, so nothing is proven here")
        };
        Self {
            connectors,
            requests: sandbox.requests(),
            proof,
        }
    }

    /// Whether the output stream is not what it should be.
    pub(super) fn is_broken(&self) -> bool {
        self.proof.as_ref().is_ok_and(|proof| !proof.holds())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "connector        polls  fetched  published  deleted  skipped"
        )?;
        for row in &self.connectors {
            let Row {
                name,
                polls,
                fetched,
                published,
                deleted,
            } = row;
            let skipped = row.skipped();
            writeln!(
                f,
                "{name:<15}{polls:>7}{fetched:>9}{published:>11}{deleted:>9}{skipped:>9}"
            )?;
        }
        let Requests {
            alert_listings,
            issue_pages,
            not_modified,
            limited,
            failed,
        } = self.requests;
        writeln!(
            f,
            "the sandbox's answers: {alert_listings} × alerts, {issue_pages} × a page of issues, \
             {not_modified} × not modified (304), {limited} × too many requests (429), \
             {failed} × an error (500)"
        )?;
        match &self.proof {
            Ok(proof) if proof.holds() => write!(f, "proven: {proof}"),
            Ok(proof) => write!(f, "{proof}"),
            Err(why) => f.write_str(why),
        }
    }
}
