//! Fetches the whole of each record that a listing or a feed of changes only names.

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::StatusCode;

use super::answer::MAX_BODY_BYTES;
use super::context;
use super::void::{Answered, exchange};
use crate::client::{FetchError, without_query};
use crate::json::{Map, Value, parse};
use crate::source::manifest::feed::Detail;
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::retriever::Run;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::{Deleted, Record, Rejected, key_of};

/// What became of a record that was asked for.
enum Found {
    Whole(Record),
    Rejected(Rejected),
    /// It was deleted after it was named.
    Gone(Deleted),
    /// The manifest's filter does not want it.
    Unwanted,
}

/// What the details of one slice have in common.
pub(super) struct Details<'r> {
    pub(super) run: &'r Run<'r>,
    pub(super) parts: &'r Parts,
    pub(super) slice: &'r StreamSlice,
    /// Records of a page that are completed at most; the others are left out.
    pub(super) most: Option<usize>,
}

/// The record with this key, of a stream that is not partitioned; `None` when it is gone, or not
/// wanted any more.
pub(in crate::source::manifest) async fn look_up(
    run: &Run<'_>,
    parts: &Parts,
    key: &str,
) -> Result<Option<Record>, FetchError> {
    let (Some(detail), [pointer]) = (parts.detail.as_deref(), &parts.key[..]) else {
        return Err(run.misconfigured("records cannot be asked for by their keys"));
    };
    let named = pointer
        .parts()
        .iter()
        .rev()
        .fold(key.into(), |inner, part| {
            let mut outer = Map::new();
            outer.insert(part.clone(), inner);
            Value::from(outer)
        });
    let details = Details {
        run,
        parts,
        slice: &StreamSlice::default(),
        most: None,
    };
    match details
        .whole(detail, Bytes::from(named.to_json()).into())
        .await?
    {
        Found::Whole(record) => Ok(Some(record)),
        Found::Gone(_) | Found::Unwanted => Ok(None),
        Found::Rejected(Rejected { reason, .. }) => Err(FetchError::Unusable(run.named(&reason))),
    }
}

impl Details<'_> {
    /// Puts whole records in the place of those that are only named. Without a rule for it they
    /// stay as they are.
    pub(super) async fn complete(
        &self,
        records: Vec<Record>,
        rejected: &mut Vec<Rejected>,
        deleted: &mut Vec<Deleted>,
    ) -> Result<Vec<Record>, FetchError> {
        let Some(detail) = self.parts.detail.as_deref() else {
            return Ok(records);
        };
        let most = self.most.unwrap_or(usize::MAX);
        let mut found = stream::iter(records.into_iter().take(most))
            .map(|record| self.whole(detail, record))
            // In order, as many at once as the manifest allows.
            .buffered(self.parts.ahead.max(1));
        let mut whole = Vec::new();
        while let Some(found) = found.next().await {
            match found? {
                Found::Whole(record) => whole.push(record),
                Found::Rejected(record) => rejected.push(record),
                Found::Gone(gone) => deleted.push(gone),
                Found::Unwanted => {}
            }
        }
        Ok(whole)
    }

    async fn whole(&self, detail: &Detail, named: Record) -> Result<Found, FetchError> {
        let unusable = |error: &dyn std::fmt::Display| {
            FetchError::Unusable(self.run.named(&format!("the detail of a record: {error}")))
        };
        let named = named.into_data();
        let record = parse(&named).map_err(|error| unusable(&error))?;
        let context = context(self.run, self.slice, None).with("record", &record);
        let request = detail
            .requester
            .request(None, RequestOptions::default(), &context)
            .map_err(|error| self.run.in_stream(error))?;
        let when = detail.gone_when.as_ref();
        let response =
            match exchange(self.run, &detail.requester, &request, true, false, when).await? {
                Answered::Fits { .. } => {
                    return Ok(match key_of(&named, &self.parts.key) {
                        Ok(key) => Found::Gone(Deleted {
                            key,
                            below: None,
                            itself: true,
                        }),
                        Err(reason) => Found::Rejected(Rejected {
                            data: named,
                            reason,
                        }),
                    });
                }
                Answered::Accepted { response, ignored } => {
                    if ignored || matches!(response.status, StatusCode::NO_CONTENT) {
                        return Err(FetchError::Rejected(self.run.named(&format!(
                            "{} answered {} without the record that was asked for",
                            without_query(&response.url),
                            response.status
                        ))));
                    }
                    response
                }
            };
        let documents = self
            .parts
            .decoder
            .decode(response.body.clone(), MAX_BODY_BYTES)
            .map_err(|error| unusable(&error))?;
        let mut selected = detail
            .selector
            .select(&documents, &context, self.run.hashing)
            .map_err(|error| unusable(&error))?;
        if let Some(rejected) = selected.rejected.pop() {
            return Ok(Found::Rejected(rejected));
        }
        match (selected.records.pop(), selected.records.is_empty()) {
            (None, _) if selected.extracted == 0 => Err(unusable(&format!(
                "{} answered without a record",
                without_query(&response.url)
            ))),
            (None, _) => Ok(Found::Unwanted),
            (Some(record), true) => Ok(Found::Whole(record)),
            (Some(_), false) => Err(unusable(&format!(
                "{} answered with several records",
                without_query(&response.url)
            ))),
        }
    }
}
