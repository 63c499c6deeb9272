//! What keeps a walk through pages honest: it advances, it ends, and it notices when records
//! moved while it went on.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::client::FetchError;
use crate::json::{Pointer, get};
use crate::source::Record;
use crate::source::manifest::datetime::DateTime;
use crate::source::manifest::template::Literal;

/// Pages of one slice at most. Too small cuts long backfills, too large lets a provider that
/// invents pages hold the connector for hours.
pub(super) const MAX_PAGES: usize = 100_000;

/// Pages without a record in a row, each naming another. Filters leave pages empty, so some are
/// fine; a provider whose cursor never ends names them for ever.
const MAX_EMPTY: usize = 1000;

/// Records whose keys a walk remembers. Of a longer one only the last page is remembered, so that
/// memory does not grow with the listing.
const MAX_KEYS: usize = 100_000;

/// Notices pages and tokens that come again.
#[derive(Debug, Default)]
pub(super) struct Progress {
    tokens: HashSet<u64>,
    pages: HashSet<u64>,
    last: Option<u64>,
    /// Pages without a record in a row.
    empty: usize,
}

impl Progress {
    /// Notes the records of a page; an error if it is one that was there before.
    pub(super) fn page(&mut self, records: &[Record]) -> Result<(), FetchError> {
        if records.is_empty() {
            self.last = None;
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                return Err(FetchError::Unusable(format!(
                    "more than {MAX_EMPTY} empty pages in a row: the listing does not end"
                )));
            }
            return Ok(());
        }
        self.empty = 0;
        let mut hash = Xxh3::new();
        for record in records {
            hash.update(&record.raw_hash().to_le_bytes());
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

/// Notices records that moved while pages were counted.
#[derive(Debug)]
pub(super) struct Drift {
    key: Vec<Pointer>,
    /// Key → content of the records of all pages, as long as they are few.
    walk: HashMap<u64, u64>,
    /// The same of the last page.
    last: HashMap<u64, u64>,
    found: Found,
}

/// What the pages of a walk say about each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// Every record stood in one place.
    Nothing,
    /// A record came again as it was: others were inserted before it, or the provider repeats
    /// itself. Nothing is lost, but something may not have been seen.
    Repeated,
    /// A record came again in another version: it was edited and moved, so what followed it moved
    /// up, and the first of them may have slipped into a page that was already read.
    Moved,
}

impl Drift {
    /// `key` is where records say which they are; without it a record that changes is another.
    pub(super) fn new(key: Vec<Pointer>) -> Self {
        Self {
            key,
            walk: HashMap::new(),
            last: HashMap::new(),
            found: Found::Nothing,
        }
    }

    pub(super) fn found(&self) -> Found {
        self.found
    }

    /// Looks at the next page.
    pub(super) fn watch(&mut self, records: &[Record]) {
        let mut page = HashMap::with_capacity(records.len());
        for record in records {
            let content = record.raw_hash();
            let key = self.key_of(record).unwrap_or(content);
            let before = self.last.get(&key).or_else(|| self.walk.get(&key));
            let found = match before {
                None => Found::Nothing,
                Some(before) if *before == content => Found::Repeated,
                Some(_) => Found::Moved,
            };
            self.found = self.found.max(found);
            page.insert(key, content);
        }
        if self.walk.len() < MAX_KEYS {
            self.walk.extend(&page);
        }
        self.last = page;
    }

    fn key_of(&self, record: &[u8]) -> Option<u64> {
        let mut hash = Xxh3::new();
        for pointer in &self.key {
            hash.update(get(record, pointer)?);
            hash.update(b"\n");
        }
        (!self.key.is_empty()).then(|| hash.digest())
    }
}

/// An instant as providers write it.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| DateTime::parse_iso(text).ok().map(|at| at.timestamp()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn records(texts: &[&'static str]) -> Vec<Record> {
        texts
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()).into())
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
    fn records_that_move_between_pages_are_noticed() {
        let found = |pages: &[&[&'static str]]| {
            let mut drift = Drift::new(vec!["/id".parse().unwrap()]);
            for page in pages {
                drift.watch(&records(page));
            }
            drift.found()
        };
        let (a, b, c) = (r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":1,"edited":true}"#);
        assert_eq!(found(&[&[a, b], &[r#"{"id":3}"#]]), Found::Nothing);
        // Within one page a provider may repeat itself.
        assert_eq!(found(&[&[a, c], &[b]]), Found::Nothing);
        assert_eq!(found(&[&[b, a], &[a]]), Found::Repeated);
        assert_eq!(found(&[&[a], &[b], &[c]]), Found::Moved);
        assert_eq!(found(&[&["{}"], &["{}"]]), Found::Repeated);
    }
}
