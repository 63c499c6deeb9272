//! The pages of one slice as the reference asks for them: one after the other, until the
//! paginator knows no next one.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::cache::{self, ResponseCache};
use crate::client::{FetchError, Response, without_query};
use crate::json::{Map, Value};
use crate::source::Record;
use crate::source::manifest::cursor::{OpenCursor, Progress};
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::paginate::Answered;
use crate::source::manifest::requester::token_map;
use crate::source::manifest::retriever::Run;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::manifest::template::{Binding, Context, Literal};

/// Largest body of a page after decompression.
const MAX_BODY_BYTES: usize = 1 << 30;

/// One slice on its way from page to page.
pub(super) struct Pages<'r> {
    run: Run<'r>,
    parts: &'r Parts,
    slice: Arc<StreamSlice>,
    /// What the slice adds to requests.
    options: RequestOptions,
    /// By what the provider does not filter itself.
    wanted: Option<(OpenCursor, Progress)>,
    /// Where its answers are kept, if they are.
    cache: Option<&'r ResponseCache>,
    token: Option<Literal>,
    /// The body of the first page, where a parent record holds it.
    held: Option<Bytes>,
    done: bool,
}

impl<'r> Pages<'r> {
    pub(super) fn new(
        run: Run<'r>,
        parts: &'r Parts,
        slice: Arc<StreamSlice>,
        wanted: Option<(OpenCursor, Progress)>,
        cache: Option<&'r ResponseCache>,
    ) -> Result<Self, FetchError> {
        let options = parts
            .slice_options
            .of(&slice, &run.context())
            .map_err(|error| run.misconfigured(error))?;
        Ok(Self {
            run,
            parts,
            slice,
            options,
            wanted,
            cache: cache.filter(|_| parts.requester.may_keep),
            token: parts.paginator.initial_token(),
            held: None,
            done: false,
        })
    }

    /// Takes `page` for the answer to the first request.
    pub(super) fn begin_with(&mut self, page: Option<&Value>) {
        self.held = page.map(|page| page.to_json().into());
    }

    /// The records of the next page; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, FetchError> {
        if self.done {
            return Ok(None);
        }
        let response = match self.held.take() {
            Some(body) => self.held_answer(body)?,
            None => self.fetch().await?,
        };
        if response.status.as_u16() >= 400 {
            // Whatever the manifest calls it, the reference takes a refusal for no answer at all.
            self.done = true;
            return Ok(None);
        }
        let (records, next) = self.read(&response)?;
        self.done = next.is_none();
        self.token = next;
        Ok(Some(records))
    }

    /// An answer that came with the parent record.
    fn held_answer(&self, body: Bytes) -> Result<Response, FetchError> {
        Ok(Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body,
            url: self.parts.requester.address(&self.context(None))?,
        })
    }

    async fn fetch(&self) -> Result<Response, FetchError> {
        let shown = shown(self.token.as_ref());
        let context = self.context(shown.as_ref());
        let paginator = &self.parts.paginator;
        let token = self.token.as_ref();
        let mut options = paginator
            .options(token, &context)
            .map_err(|error| self.run.misconfigured(error))?;
        if token.is_none() || !self.parts.slice_options_on_first_page_only {
            options
                .merge(self.options.clone())
                .map_err(|error| self.run.misconfigured(error))?;
        }
        let address = paginator.address(token);
        let requester = &self.parts.requester;
        let request = requester.request(address.as_deref(), options, &context)?;
        let kept = self.cache.zip(cache::key(&request));
        if let Some(response) = kept.and_then(|(cache, key)| cache.get(key)) {
            return Ok(response);
        }
        let verdicts = self.run.verdicts(&requester.errors, false);
        let response = requester
            .send_as_the_reference(&self.run, &request, &verdicts)
            .await?;
        if let Some((cache, key)) = kept {
            cache.put(key, &response);
        }
        Ok(response)
    }

    /// The records of an answer, and the token of the page that follows it.
    fn read(&self, response: &Response) -> Result<(Vec<Bytes>, Option<Literal>), FetchError> {
        let unusable = |what: &dyn std::fmt::Display| {
            let place = without_query(&response.url);
            FetchError::Unusable(format!("stream {}: {place}: {what}", self.run.stream))
        };
        let parts = self.parts;
        let documents = parts
            .decoder
            .decode_as_the_reference(response.body.clone(), MAX_BODY_BYTES)
            .map_err(|error| unusable(&error))?;
        let shown = shown(self.token.as_ref());
        let context = self.context(shown.as_ref());
        let mut selected = parts
            .selector
            .select(&documents, &context, None)
            .map_err(|error| unusable(&error))?;
        if let Some(rejected) = selected.rejected.first() {
            return Err(unusable(&rejected.reason));
        }
        let mut is_past = false;
        if let Some((cursor, progress)) = &self.wanted {
            if parts.is_data_feed {
                let last = selected.records.last();
                is_past = last.is_some_and(|last| cursor.ends_feed(progress, last));
            } else {
                let wanted = |record: &Record| cursor.is_wanted(progress, record);
                selected.records.retain(wanted);
            }
        }
        let next = if is_past {
            None
        } else {
            let answered = Answered {
                headers: &response.headers,
                documents: &documents,
                extracted: selected.extracted,
                kept: selected.records.len(),
                last: selected.records.last().map(|last| &**last),
                token: self.token.as_ref(),
                context: &context,
            };
            let next = parts.paginator.after(&answered);
            next.map_err(|error| unusable(&error))?
        };
        if let (Some((cursor, progress)), true) = (&self.wanted, parts.is_data_feed) {
            // Only now: what ends the feed had to be seen.
            let wanted = |record: &Record| cursor.is_wanted(progress, record);
            selected.records.retain(wanted);
        }
        let records = selected.records.into_iter().map(Record::into_data);
        Ok((records.collect(), next))
    }

    fn context<'c>(&'c self, token: Option<&'c Map>) -> Context<'c> {
        let mut context = self.run.context();
        context.set("stream_slice", self.slice.view());
        context.set("next_page_token", token.map_or(Binding::None, Binding::Map));
        for (name, value) in &self.slice.extra_fields {
            context.set(name, value);
        }
        context
    }
}

/// A token as templates see it.
fn shown(token: Option<&Literal>) -> Option<Map> {
    token.map(|token| token_map(token.clone().into_json()))
}
