//! `metadata.connector.streams`: what a manifest says of one stream beyond Airbyte's format.
//!
//! A stream with a `cursor` is read in full once and from then on by what its provider says has
//! changed since an opaque token. Independently of that, `deleted` tells records that say of
//! themselves that they are gone, and `detail` fetches the whole of a record that a listing only
//! names. Rules find deletions that a stream read by dates does not show: `deletions` is a feed that
//! names what is gone, `part_key` lets a partition that was listed whole tell, `sweep` lists every
//! key now and then. `read` reads and checks the rules, `build` makes components of them.

mod build;
mod overlay;
mod read;

use std::sync::Arc;

pub(super) use read::STREAM_KEYS;

use super::errors::Condition;
use super::expr::Expr;
use super::extract::DpathExtractor;
use super::requester::Requester;
use super::select::RecordSelector;
use super::stream::Parts;
use crate::document::{Node, Position};
use crate::json::{Pointer, Value};

/// `metadata.connector.streams.<stream>`, before any configuration is known.
#[derive(Debug, Clone)]
pub(super) struct StreamRules {
    pub(super) cursor: Option<CursorRules>,
    pub(super) deleted: Option<Arc<Deleted>>,
    pub(super) detail: Option<DetailRules>,
    pub(super) deletions: Option<DeletionRules>,
    pub(super) listing: Option<ListingRules>,
    pub(super) sweep: Option<SweepRules>,
    /// Records come in the order of the cursor.
    pub(super) oldest_first: bool,
    /// First parts of the key of every record of a partition.
    pub(super) part_key: Vec<Expr>,
    /// Identifies what is read, together with the stream itself.
    pub(super) value: Value,
}

impl StreamRules {
    /// Whether a record can be asked for by what a listing says of it, and is told to be gone.
    pub(super) fn can_look_up(&self) -> bool {
        let detail = self.detail.as_ref();
        detail.is_some_and(|detail| detail.gone_when.is_some())
    }
}

/// `cursor`: components as written, to be laid over the stream's own.
#[derive(Debug, Clone)]
pub(super) struct CursorRules {
    /// Where it stands.
    pub(super) at: Position,
    marks: Arc<Marks>,
    start: Option<(Node, Expr)>,
    listing: Option<Node>,
    changes: Node,
    /// What answers void the token when changes are asked for, where that differs.
    void_changes: Option<Condition>,
}

/// `deletions`: components as written, to be laid over the stream's own.
#[derive(Debug, Clone)]
pub(super) struct DeletionRules {
    start: Expr,
    marks: Arc<Marks>,
    deleted: Arc<Deleted>,
    retriever: Node,
}

/// `listing`: how this worker lists a stream otherwise than its components say.
#[derive(Debug, Clone)]
pub(super) struct ListingRules {
    /// Holds for the configurations that want it; absent: all.
    when: Option<Expr>,
    retriever: Node,
}

/// `sweep`: components as written, to be laid over the stream's own.
#[derive(Debug, Clone)]
pub(super) struct SweepRules {
    every: Expr,
    lookback: Option<Expr>,
    /// Statuses of tolerated refusals that mean that a part holds nothing any more.
    empty: Vec<u16>,
    retriever: Node,
}

/// `detail`: components as written.
#[derive(Debug, Clone)]
pub(super) struct DetailRules {
    requester: Node,
    record_selector: Option<Node>,
    gone_when: Option<Condition>,
}

/// How the answers of a stream with a cursor are read.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    /// The token, of an answer that has one.
    pub(super) token: Expr,
    /// Answers that say that the token, or the page token of a read under way, is void.
    pub(super) reset_when: Option<Condition>,
    /// Where such an answer says that reading everything begins.
    pub(super) restart_at: Option<Expr>,
}

/// A stream that is read by what has changed. The stream's own parts read everything.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    /// Asked before everything is read: the token to go on from.
    pub(super) start: Option<Start>,
    /// Read what has changed since `token`.
    pub(super) changes: Parts,
}

/// A feed of what was deleted, beside a stream that does not show it.
#[derive(Debug, Clone)]
pub(super) struct Deletions {
    /// The token of a first read, which asks for nothing: what is gone was never known.
    pub(super) start: Expr,
    /// Read what was deleted since `token`.
    pub(super) parts: Parts,
}

/// What is read now and then, because it costs too much for each poll.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// Time between two.
    pub(super) every: Expr,
    pub(super) way: Way,
}

/// How a stream is swept.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// By a listing of every record, only to see which are still there.
    Keys(Box<Parts>),
    /// By the stream itself, read so far back.
    LookingBack(Expr),
}

/// A request whose answer holds the first token.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) requester: Requester,
    pub(super) token: Expr,
}

/// Which records are gone, by what the provider says.
#[derive(Debug, Clone)]
pub(super) struct Deleted {
    /// Holds for a record that says that it is gone.
    pub(super) when: Option<Expr>,
    /// Where an answer lists what is gone, apart from its records.
    pub(super) list: Option<DpathExtractor>,
    /// The key in what is gone; empty: where the stream's records have it.
    pub(super) key: Vec<Pointer>,
    /// All keys that begin with the key and this are gone as well.
    pub(super) below: Option<Arc<str>>,
    /// Holds for a record that has nothing below it: what was known there is gone.
    pub(super) leaf: Option<Expr>,
}

/// The request for the whole of a record that a listing names.
#[derive(Debug, Clone)]
pub(super) struct Detail {
    pub(super) requester: Requester,
    pub(super) selector: RecordSelector,
    pub(super) gone_when: Option<Condition>,
}
