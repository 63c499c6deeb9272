//! From an answer to the token of the page that follows it: only what the paginator's templates
//! look at is read.

use bytes::Bytes;
use http::HeaderMap;

use super::{Paginator, Seen};
use crate::json::{Map, parse};
use crate::source::manifest::decode::Decoder;
use crate::source::manifest::template::{Context, Literal};
use crate::source::manifest::tree;

/// The answer that the next page follows.
#[derive(Clone, Copy)]
pub(in crate::source::manifest) struct Answered<'p> {
    pub(in crate::source::manifest) headers: &'p HeaderMap,
    /// The decoded body.
    pub(in crate::source::manifest) documents: &'p [Bytes],
    /// Records in it, before filters.
    pub(in crate::source::manifest) extracted: usize,
    /// Records after filters.
    pub(in crate::source::manifest) kept: usize,
    /// The last record that paging looks at.
    pub(in crate::source::manifest) last: Option<&'p Bytes>,
    /// The token that asked for this page.
    pub(in crate::source::manifest) token: Option<&'p Literal>,
    /// Offers the configuration and the slice.
    pub(in crate::source::manifest) context: &'p Context<'p>,
}

impl Paginator {
    /// The token of the page after `answered`; `None` when it is the last. The error is for
    /// people.
    pub(in crate::source::manifest) fn after(
        &self,
        answered: &Answered<'_>,
    ) -> Result<Option<Literal>, String> {
        if matches!(self, Self::Single) {
            return Ok(None);
        }
        let documents = answered.documents;
        let body = match (self.response_paths(), documents.first()) {
            (_, None) => Map::new().into(),
            (Some(paths), Some(first)) => {
                tree::pruned_first(first, &paths).map_err(|error| error.to_string())?
            }
            (None, Some(_)) => Decoder::response(documents).map_err(|error| error.to_string())?,
        };
        let last_record = match answered.last {
            Some(last) if self.needs_last_record() => {
                Some(parse(last).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let seen = Seen {
            response: &body,
            headers: answered.headers,
            extracted: answered.extracted,
            kept: answered.kept,
            last_record: last_record.as_ref(),
            token: answered.token,
        };
        self.next(&seen, answered.context)
            .map_err(|error| format!("cannot tell the next page: {error}"))
    }
}
