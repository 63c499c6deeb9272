//! What an answer holds: its records, what follows it, and what it says went wrong.

use bytes::Bytes;
use jiff::Timestamp;

use super::{Pages, shown};
use crate::client::{FetchError, Response, without_query};
use crate::json::{Value, get, text_of};
use crate::source::Deleted;
use crate::source::manifest::metadata::AbsentList;
use crate::source::manifest::paginate::Answered;
use crate::source::manifest::retriever::extent::Extent;
use crate::source::manifest::retriever::guard::instant;
use crate::source::manifest::select::Selected;
use crate::source::manifest::template::Literal;

/// Largest body of a page after decompression.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// What an answer holds.
pub(super) struct Answer {
    pub(super) selected: Selected,
    /// The token of the page that follows it.
    pub(super) next: Option<Literal>,
    pub(super) freshness: Option<Timestamp>,
    pub(super) lacks_list: bool,
    /// What the listing holds, if this is its first page and the provider says so.
    pub(super) extent: Option<Extent>,
    /// What it says is gone.
    pub(super) deleted: Vec<Deleted>,
    /// The token from which changes go on.
    pub(super) cursor_token: Option<String>,
}

impl Pages<'_> {
    /// Decodes an answer, and finds what follows it.
    pub(super) fn read_answer(&self, response: &Response) -> Result<Answer, FetchError> {
        let unusable = |error: &dyn std::fmt::Display| {
            let place = without_query(&response.url);
            FetchError::Unusable(self.named(&format!("{place}: {error}")))
        };
        let is_empty = matches!(response.status.as_u16(), 204 | 205);
        let documents = if is_empty {
            Vec::new()
        } else {
            self.parts
                .decoder
                .decode(response.body.clone(), MAX_BODY_BYTES)
                .map_err(|error| unusable(&error))?
        };
        let shown = shown(self.token.as_ref());
        let context = self.context(shown.as_ref());
        let mut selected = self
            .parts
            .selector
            .select(&documents, &context, self.run.hashing)
            .map_err(|error| unusable(&error))?;
        let lacks_list = self.lacks_list(&documents, &selected);
        if lacks_list && let Some(said) = error_in(&documents[0]) {
            let said = self.run.secrets.hide(&said);
            return Err(unusable(&format!(
                "the answer has no records but an error: {said}"
            )));
        }
        let lacks_list = lacks_list && self.parts.absent_list == AbsentList::Unknown;
        let freshness = self.parts.freshness.as_ref().and_then(|pointer| {
            let text = get(documents.first()?, pointer)?;
            instant(&text_of(text))
        });

        let mut is_past = false;
        let last = selected.records.last().cloned();
        if let Some((cursor, progress)) = self.wanted {
            is_past = self.parts.is_data_feed
                && last
                    .as_ref()
                    .is_some_and(|last| cursor.ends_feed(progress, last));
            selected
                .records
                .retain(|record| cursor.is_wanted(progress, record));
        }
        let next = if is_past {
            None
        } else {
            let answered = Answered {
                headers: &response.headers,
                documents: &documents,
                extracted: selected.extracted,
                kept: selected.records.len(),
                last: last.as_deref(),
                token: self.token.as_ref(),
                context: &context,
            };
            self.parts
                .paginator
                .after(&answered)
                .map_err(|error| unusable(&error))?
        };
        let cursor_token = self
            .cursor_token(response, &documents, &context)
            .map_err(|error| unusable(&error))?;
        let deleted = self
            .sort_out(&mut selected, &documents, &context)
            .map_err(|error| unusable(&error))?;
        let is_first = self.read == 0 && next.is_some();
        let extent = is_first.then(|| Extent::of(&response.headers, documents.first()));
        Ok(Answer {
            selected,
            next,
            freshness,
            lacks_list,
            extent: extent.flatten(),
            deleted,
            cursor_token,
        })
    }

    /// Whether the list of records is missing, not merely empty. Some providers leave an empty
    /// list out, others an answer that is something else altogether.
    fn lacks_list(&self, documents: &[Bytes], selected: &Selected) -> bool {
        let (0, Some(document), Some(path)) = (
            selected.extracted,
            documents.first(),
            &self.parts.record_path,
        ) else {
            return false;
        };
        document.trim_ascii_start().first() == Some(&b'{') && get(document, path).is_none()
    }
}

/// What an answer without records says went wrong.
pub(super) fn error_in(document: &[u8]) -> Option<String> {
    let value = crate::json::parse(document).ok()?;
    ["error", "errors", "errorMessages", "fault", "exception"]
        .iter()
        .filter_map(|name| value.get(name))
        .find(|said| match said {
            Value::Null | Value::Bool(false) | Value::Int(0) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        })
        .map(|said| said.to_string().chars().take(300).collect())
}
