//! What the slices of one read add up to.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::client::FetchError;
use crate::json::Map;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::template::Literal;

/// What the slices that were read add up to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) fresh: usize,
    pub(super) not_modified: usize,
    pub(super) drifted: bool,
    /// Pages of a slice, or of a parent, were counted.
    pub(super) counted: bool,
    /// The first slice that could not be read.
    pub(super) failed: Option<FetchError>,
    /// A parent that could not be read to its end.
    pub(super) parent_failed: Option<FetchError>,
    pub(super) failures_in_a_row: usize,
    pub(super) records: u64,
    /// The newest freshness of this read.
    pub(super) freshness: Option<Timestamp>,
    /// Slices that are behind, and how many there are, where that is known.
    pub(super) slices: (usize, Option<usize>),
    /// Pages that did not change, to be read again where their records are needed.
    pub(super) unread: Vec<(StreamSlice, Option<Literal>)>,
    /// Slices that the provider has nothing for.
    pub(super) skipped: usize,
    /// Why the first of them was left out.
    pub(super) skipped_because: Option<String>,
    /// Slices that were asked for.
    pub(super) asked: usize,
    /// How far the parents that are read incrementally have been read.
    pub(super) parents: Option<Map>,
    /// Parents below which everything was read.
    pub(super) done: HashSet<u64>,
    /// Every slice was read to its end.
    pub(super) is_whole: bool,
    /// Answers that may not have listed all there is.
    pub(super) doubts: usize,
    /// How far the feed of deletions was read.
    pub(super) deletions_since: Option<String>,
    /// When it was last swept.
    pub(super) swept: Option<Timestamp>,
}

impl Tally {
    /// Whether there is anything that the cursor could have moved by.
    pub(super) fn moves_cursor(&self) -> bool {
        self.fresh > 0
            || (self.is_whole && self.parents.is_some())
            || self.deletions_since.is_some()
            || self.swept.is_some()
    }

    /// How far the parents have been read, once everything below them has been. A parent that
    /// could not be read to its end has not come further, so that it holds nobody up.
    pub(super) fn settled_parents(&self) -> Option<&Map> {
        let is_settled = self.is_whole && self.failed.is_none();
        self.parents.as_ref().filter(|_| is_settled)
    }

    /// Whether something could not be read.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || self.parent_failed.is_some()
    }

    /// What was left out, in words.
    pub(super) fn skips(&self) -> Option<String> {
        let why = self.skipped_because.as_ref()?;
        let (skipped, all) = (self.skipped, self.asked);
        Some(format!("{skipped} of {all} parts were left out: {why}"))
    }
}
