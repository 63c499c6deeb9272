//! What keeps a walk through pages honest: it advances, it ends, and it notices when records
//! moved while it went on.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::client::FetchError;
use crate::json::{Pointer, get, text_of};
use crate::source::manifest::datetime::DateTime;
use crate::source::manifest::template::Literal;

/// Pages of one slice at most. Too small cuts long backfills, too large lets a provider that
/// invents pages hold the connector for hours.
pub(super) const MAX_PAGES: usize = 100_000;

/// A walk shorter than this many pages cannot have lost a record between two of them.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// Notices pages and tokens that come again.
#[derive(Debug, Default)]
pub(super) struct Progress {
    tokens: HashSet<u64>,
    pages: HashSet<u64>,
    last: Option<u64>,
}

impl Progress {
    /// Notes the records of a page; an error if it is one that was there before.
    pub(super) fn page(&mut self, records: &[Bytes]) -> Result<(), FetchError> {
        if records.is_empty() {
            self.last = None;
            return Ok(());
        }
        let mut hash = Xxh3::new();
        for record in records {
            hash.update(record);
            hash.update(b"\n");
        }
        let hash = hash.digest();
        // A page of one record may come again when others were inserted before it.
        let came_before =
            self.last == Some(hash) || (records.len() > 1 && self.pages.contains(&hash));
        self.last = Some(hash);
        self.pages.insert(hash);
        if came_before {
            return Err(FetchError::Unusable(
                "a page of records came again: the provider does not advance".to_owned(),
            ));
        }
        Ok(())
    }

    /// Notes the token of the next page; an error if that page was asked for before.
    pub(super) fn token(&mut self, token: &Literal) -> Result<(), FetchError> {
        if self.tokens.insert(xxh3_64(token.to_string().as_bytes())) {
            return Ok(());
        }
        Err(FetchError::Unusable(
            "the provider named a next page that was read before".to_owned(),
        ))
    }
}

/// Notices that a record was edited while pages were counted: what followed it moved up, and the
/// first of them may have slipped into a page that was already read.
#[derive(Debug)]
pub(super) struct Drift {
    time: Option<Pointer>,
    started: Option<Timestamp>,
    seen: bool,
}

impl Drift {
    /// `time` is where records say when they were edited; without it nothing can be noticed.
    pub(super) fn new(time: Option<Pointer>) -> Self {
        Self {
            time,
            started: None,
            seen: false,
        }
    }

    /// Whether records moved.
    pub(super) fn is_seen(&self) -> bool {
        self.seen
    }

    /// Looks at a page. `now` is the provider's own clock at the answer. The first page only
    /// starts the watch, and later than `now` nothing can have been edited: such a time is a
    /// plan, not an edit.
    pub(super) fn watch(&mut self, records: &[Bytes], now: Timestamp) {
        let (Some(time), false) = (&self.time, self.seen) else {
            return;
        };
        let Some(started) = self.started else {
            self.started = Some(now);
            return;
        };
        let latest = now + CLOCK_SLACK;
        self.seen = records.iter().any(|record| {
            edited(record, time).is_some_and(|edited| edited > started && edited <= latest)
        });
    }
}

/// When a record was edited, if it says so in a form of RFC 3339 or ISO 8601.
pub(super) fn edited(record: &[u8], time: &Pointer) -> Option<Timestamp> {
    let text = get(record, time)?;
    if text.first() != Some(&b'"') {
        return None;
    }
    instant(&text_of(text))
}

/// An instant as providers write it.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| DateTime::parse_iso(text).ok().map(|at| at.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(texts: &[&'static str]) -> Vec<Bytes> {
        texts
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect()
    }

    #[test]
    fn a_page_or_token_that_comes_again_is_an_error() {
        let mut progress = Progress::default();
        assert!(progress.page(&records(&["1", "2"])).is_ok());
        assert!(progress.page(&records(&["3"])).is_ok());
        assert!(progress.page(&records(&[])).is_ok());
        assert!(progress.page(&records(&[])).is_ok());
        assert!(progress.page(&records(&["3"])).is_ok());
        assert!(progress.page(&records(&["3"])).is_err());
        assert!(progress.page(&records(&["1", "2"])).is_err());
        assert!(progress.token(&Literal::Int(1)).is_ok());
        assert!(progress.token(&Literal::Int(2)).is_ok());
        assert!(progress.token(&Literal::Int(1)).is_err());
    }

    #[test]
    fn an_edit_during_the_walk_is_noticed() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let old = records(&[r#"{"updated_at":"2026-01-01T00:00:00Z"}"#]);
        let new = records(&[r#"{"updated_at":"2026-01-02T10:00:05+00:00"}"#]);
        let planned = records(&[r#"{"updated_at":"2030-01-01T00:00:00Z"}"#]);
        let mut drift = Drift::new(Some("/updated_at".parse().unwrap()));
        drift.watch(&new, at("2026-01-02T10:00:00Z"));
        drift.watch(&old, at("2026-01-02T10:00:03Z"));
        drift.watch(&planned, at("2026-01-02T10:00:06Z"));
        assert!(!drift.is_seen());
        drift.watch(&new, at("2026-01-02T10:00:06Z"));
        assert!(drift.is_seen());
    }
}
