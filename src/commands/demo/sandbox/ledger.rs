//! What the sandbox served, and the proof that each version reached the output stream once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::Value;

use crate::store::StreamEntry;

/// Every version that left the sandbox, in the order in which it left.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Stream and key → revisions, oldest first.
    served: BTreeMap<(String, String), Vec<String>>,
    /// Alerts that were served and were missing from a later complete listing.
    gone: BTreeSet<String>,
    /// The last listing of each query.
    listings: HashMap<String, BTreeSet<String>>,
}

/// What the output stream shows of what was served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proof {
    /// Versions served.
    pub served: u64,
    /// Versions found in the output stream.
    pub published: u64,
    /// Alerts that went away.
    pub gone: u64,
    /// Deletions found in the output stream.
    pub deleted: u64,
    /// Everything that breaks the promise, one sentence each.
    pub problems: Vec<String>,
    /// What was served and is not there; breaks it once every poll has ended.
    pub missing: Vec<String>,
}

impl Proof {
    /// Whether there were versions, each arrived once, in order, and nothing else did.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.missing.is_empty()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            let (published, deleted) = (self.published, self.deleted);
            let plural = if deleted == 1 { "" } else { "s" };
            write!(
                f,
                "each of {published} versions and {deleted} deletion{plural} published exactly \
                 once, in order"
            )
        } else {
            let all: Vec<&str> = self
                .problems
                .iter()
                .chain(&self.missing)
                .map(String::as_str)
                .collect();
            write!(f, "NOT proven: {}", all.join("; "))
        }
    }
}

impl Ledger {
    pub(super) fn serve_alerts(&mut self, query: &str, alerts: &[&Value]) {
        let mut listing = BTreeSet::new();
        for alert in alerts {
            if let Some((key, revision)) = identity("alerts", alert) {
                self.record("alerts", &key, revision);
                listing.insert(key);
            }
        }
        let before = self.listings.insert(query.to_owned(), listing.clone());
        self.gone
            .extend(before.unwrap_or_default().difference(&listing).cloned());
    }

    pub(super) fn serve_issues(&mut self, issues: &[Value]) {
        for issue in issues {
            if let Some((key, revision)) = identity("issues", issue) {
                self.record("issues", &key, revision);
            }
        }
    }

    fn record(&mut self, stream: &str, key: &str, revision: String) {
        let revisions = self
            .served
            .entry((stream.to_owned(), key.to_owned()))
            .or_default();
        if !revisions.contains(&revision) {
            revisions.push(revision);
        }
    }

    /// Versions served so far.
    pub fn versions(&self) -> u64 {
        self.served
            .values()
            .map(|revisions| revisions.len() as u64)
            .sum()
    }

    /// Alerts gone so far.
    pub fn gone(&self) -> u64 {
        self.gone.len() as u64
    }

    /// Holds the entries of an output stream against what was served.
    pub fn prove<'e>(&self, entries: impl IntoIterator<Item = &'e StreamEntry>) -> Proof {
        let mut proof = Proof {
            served: self.versions(),
            gone: self.gone(),
            ..Proof::default()
        };
        let mut seen: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut deleted = BTreeSet::new();
        for entry in entries {
            let field = |name| String::from_utf8_lossy(entry.field(name).unwrap_or_default());
            let (stream, subject) = (field("stream").into_owned(), field("subject").into_owned());
            if field("type").ends_with(".deleted") {
                proof.deleted += 1;
                if !self.gone.contains(&subject) {
                    proof
                        .problems
                        .push(format!("{stream} {subject} deleted but not gone"));
                } else if !deleted.insert(subject.clone()) {
                    proof
                        .problems
                        .push(format!("{stream} {subject} deleted twice"));
                }
                continue;
            }
            proof.published += 1;
            let data = serde_json::from_str(&field("data")).unwrap_or_default();
            match identity(&stream, &data) {
                Some((key, revision)) => seen.entry((stream, key)).or_default().push(revision),
                None => proof
                    .problems
                    .push(format!("{stream} {subject} holds no such record")),
            }
        }
        if self.served.is_empty() {
            proof.problems.push("nothing was ever read".to_owned());
        }
        self.compare(&seen, &mut proof);
        for key in self.gone.difference(&deleted) {
            proof
                .missing
                .push(format!("alerts {key} gone and not deleted"));
        }
        proof
    }

    fn compare(&self, seen: &BTreeMap<(String, String), Vec<String>>, proof: &mut Proof) {
        for (record @ (stream, key), served) in &self.served {
            let mut published = seen.get(record).into_iter().flatten().peekable();
            for revision in served {
                if published.next_if_eq(&revision).is_none() {
                    proof
                        .missing
                        .push(format!("{stream} {key} of {revision} is not there"));
                }
            }
            if let Some(revision) = published.next() {
                proof.problems.push(format!(
                    "{stream} {key} of {revision} published twice, out of order or never served"
                ));
            }
        }
        for (stream, key) in seen
            .keys()
            .filter(|record| !self.served.contains_key(*record))
        {
            proof
                .problems
                .push(format!("{stream} {key} published and never served"));
        }
    }
}

/// Key and revision of a record. The sandbox moves the revision with every change.
fn identity(stream: &str, record: &Value) -> Option<(String, String)> {
    let (key, revision) = match stream {
        "alerts" => (&record["properties"]["id"], &record["properties"]["sent"]),
        "issues" => (&record["id"], &record["fields"]["updated"]),
        _ => return None,
    };
    Some((key.as_str()?.to_owned(), revision.as_str()?.to_owned()))
}
