//! The pages of one partition of a stream with a token, and the places at which they may be gone
//! back to.

use super::super::pages::{self, Answered, Pages, TOKEN, exchange, token_in};
use super::super::reading::Halt;
use super::place::FeedPlace;
use super::{FeedRead, Stop};
use crate::client::FetchError;
use crate::source::manifest::feed::Start;
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::manifest::template::Literal;
use crate::source::{Event, Page};

/// Largest body of the answer to `start`.
const MAX_START_BYTES: usize = 1024 * 1024;

impl FeedRead<'_, '_> {
    /// Reads the pages of a slice, from `place` on if that can still be gone back to: the last token
    /// that one of them holds, and whether it was all of them.
    pub(super) async fn walk(
        &mut self,
        parts: &Parts,
        slice: &StreamSlice,
        place: Option<FeedPlace>,
        start: Option<Literal>,
    ) -> Result<(Option<String>, bool), Stop> {
        if let Some(place) = place {
            let stream = self.retriever.run.stream;
            tracing::info!(stream, "going on where the last read stopped");
            match self.pages(parts, slice, Some(place.page)).await {
                Err(
                    Stop::Void
                    | Stop::Halt(Halt::Failed(FetchError::Rejected(_) | FetchError::Unusable(_))),
                ) if self.pages == 0 => {
                    tracing::debug!(stream, "cannot go on; reading from the start");
                    self.restart_at = None;
                }
                read => return Ok((read?, false)),
            }
        }
        Ok((self.pages(parts, slice, start).await?, true))
    }

    /// Reads the pages of a slice; the last token that one of them holds.
    async fn pages(
        &mut self,
        parts: &Parts,
        slice: &StreamSlice,
        start: Option<Literal>,
    ) -> Result<Option<String>, Stop> {
        let run = &self.retriever.run;
        let options = parts
            .slice_options
            .of(slice, &run.context())
            .map_err(|error| Halt::Failed(run.misconfigured(error)))?;
        let left = self.limit.map(|limit| limit.saturating_sub(self.records));
        let mut pages = Pages::new(run, parts, slice, options, None)
            .starting_at(start)
            .detailing(left.map(|left| usize::try_from(left).unwrap_or(usize::MAX)));
        let mut token = None;
        self.pages = 0;
        loop {
            let page = match pages.next(None).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => match pages.voided() {
                    Some(voided) => {
                        self.restart_at = voided.restart_at.map(Literal::Str);
                        return Err(Stop::Void);
                    }
                    None => return Err(Halt::Failed(error).into()),
                },
            };
            if page.cursor_token.is_some() {
                token.clone_from(&page.cursor_token);
            }
            let reads_all = !slice.extra_fields.contains_key(TOKEN);
            self.tally.drifted |= page.lacks_list && reads_all;
            self.pages += 1;
            let place = (page.token.clone()).filter(|token| pages.holds_its_place(Some(token)));
            self.emit(page, place).await?;
        }
        self.tally.counted |= pages.is_counted();
        self.tally.drifted |= pages.drift() > super::super::guard::Found::Nothing;
        Ok(token)
    }

    async fn emit(&mut self, page: pages::Page, place: Option<Literal>) -> Result<(), Halt> {
        let mut records = page.records;
        if let Some(limit) = self.limit {
            let left = limit.saturating_sub(self.records);
            records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.records += records.len() as u64;
        let mut page = Page {
            stream: self.retriever.index,
            records,
            rejected: page.rejected,
            deleted: page.deleted,
            ..Page::default()
        };
        if let (true, Some(noting), Some(place)) = (self.is_whole, &self.noting, place) {
            let place = FeedPlace {
                since: noting.since.clone(),
                first: noting.first.clone(),
                page: place,
                at: self.retriever.run.clock.now(),
            };
            let field = (self.retriever.cursor_key(), Some(self.text(Some(&place))));
            if noting.is_first {
                page.first = Some(field);
            } else {
                page.state.push(field);
            }
            self.has_noted = true;
        }
        self.events.send(Event::Page(page)).await?;
        if self.limit.is_some_and(|limit| self.records >= limit) {
            return Err(Halt::Limit);
        }
        Ok(())
    }

    /// Asks for the token that is known before anything is read.
    pub(super) async fn first_token(
        &self,
        start: &Start,
        slice: &StreamSlice,
    ) -> Result<String, FetchError> {
        let run = &self.retriever.run;
        let context = run.context().with("stream_slice", slice.view());
        let request = start
            .requester
            .request(None, RequestOptions::default(), &context)
            .map_err(|error| run.in_stream(error))?;
        let unusable = |why: &dyn std::fmt::Display| {
            FetchError::Unusable(format!(
                "stream {}: {}: {why}",
                run.stream,
                crate::client::without_query(&request.url)
            ))
        };
        let answered = exchange(run, &start.requester, &request, true, false, None).await?;
        let response = match answered {
            Answered::Accepted {
                response,
                ignored: false,
            } => response,
            Answered::Accepted { response, .. } | Answered::Fits { response } => {
                return Err(unusable(&format!("answered {}", response.status)));
            }
        };
        if response.body.len() > MAX_START_BYTES {
            return Err(unusable(&"the answer is too large to hold a token"));
        }
        crate::json::validate(&response.body).map_err(|error| unusable(&error))?;
        let documents = [response.body.clone()];
        token_in(&start.token, &response, &documents, &context)
            .map_err(|error| unusable(&error))?
            .ok_or_else(|| unusable(&"the answer holds no token"))
    }
}
