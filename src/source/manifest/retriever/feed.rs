//! Streams with a token: everything once, and from then on what has changed since.
//!
//! Each partition has a token of its own. Only a read that saw all partitions in full finds
//! deletions by absence; one of changes takes the provider's word for them. A token that the
//! provider voids means that everything is read again, at once and with all partitions, so that
//! what was deleted meanwhile is found.

use std::collections::BTreeMap;

use super::pages::{self, Answered, Pages, TOKEN, exchange, token_in};
use super::reading::{Halt, ends_the_stream};
use super::{Retriever, Stored};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::feed::{Feed, Start};
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::partition::Partition;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::manifest::template::Literal;
use crate::source::{Event, Events, Outcome, Page, ReadState, Stopped};

/// How often one poll begins anew because the provider voids what it gave before.
const MAX_RESTARTS: usize = 2;

/// Largest body of the answer to `start`.
const MAX_START_BYTES: usize = 1024 * 1024;

/// Tokens by partition.
type Tokens = BTreeMap<String, String>;

/// A read in progress.
struct FeedRead<'a, 'r> {
    retriever: &'a Retriever<'r>,
    feed: &'a Feed,
    events: &'a Events,
    /// What is known at the end of the read.
    tokens: Tokens,
    /// Where the provider said that reading everything begins.
    restart_at: Option<Literal>,
    tally: Tally,
    records: u64,
    limit: Option<u64>,
}

/// What the partitions that were read add up to.
#[derive(Default)]
struct Tally {
    in_full: usize,
    changes: usize,
    drifted: bool,
    /// Pages were found by counting.
    counted: bool,
    failed: Option<FetchError>,
    /// Tokens of partitions read in full: they count when nothing is missing.
    first_tokens: Tokens,
}

/// Why the read of a partition does not go on.
enum Stop {
    Halt(Halt),
    /// The token is void.
    Void,
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl Retriever<'_> {
    /// Reads a stream that has a token.
    pub(super) async fn read_feed(
        &self,
        feed: &Feed,
        state: &ReadState,
        events: &Events,
    ) -> Result<(), Stopped> {
        let stored = self.stored(state);
        let mut read = FeedRead {
            retriever: self,
            feed,
            events,
            tokens: tokens_of(&stored),
            restart_at: None,
            tally: Tally::default(),
            records: 0,
            limit: state.limit,
        };
        let (outcome, fields) = match read.all().await {
            Ok(()) => read.outcome(&stored),
            Err(Halt::Stopped) => return Err(Stopped),
            Err(Halt::Limit | Halt::Stale) => (Outcome::Unchanged, None),
            Err(Halt::Failed(error)) => {
                read.tally.failed.get_or_insert(error);
                read.outcome(&stored)
            }
        };
        let state = fields
            .into_iter()
            .filter(|_| state.limit.is_none())
            .collect();
        let end = Event::End {
            stream: self.index,
            outcome,
            state,
        };
        events.send(end).await
    }
}

impl FeedRead<'_, '_> {
    async fn all(&mut self) -> Result<(), Halt> {
        let retriever = self.retriever;
        let partitions = retriever
            .parents
            .partitions(&retriever.run, &retriever.parts.routers, None)
            .await
            .map_err(Halt::Failed)?;
        let listed: Vec<(String, &Partition)> = partitions
            .list
            .iter()
            .map(|partition| (Value::from(partition.keys.clone()).to_string(), partition))
            .collect();
        let is_listed = |key: &String| listed.iter().any(|(listed, _)| listed == key);
        if partitions.failed.is_none() && !self.tokens.keys().all(is_listed) {
            // What belonged to a partition that is gone, only a full read tells.
            self.tokens.clear();
        }
        for _ in 0..=MAX_RESTARTS {
            self.tally = Tally {
                failed: partitions.failed.clone(),
                ..Tally::default()
            };
            match self.partitions(&listed).await {
                Ok(()) => return Ok(()),
                Err(Stop::Halt(halt)) => return Err(halt),
                Err(Stop::Void) => {
                    self.tokens.clear();
                    let stream = retriever.index;
                    self.events.send(Event::Restart { stream }).await?;
                }
            }
        }
        Err(Halt::Failed(FetchError::Unusable(format!(
            "stream {}: the provider voided its token {} times in one poll",
            retriever.run.stream,
            MAX_RESTARTS + 1
        ))))
    }

    async fn partitions(&mut self, listed: &[(String, &Partition)]) -> Result<(), Stop> {
        for (key, partition) in listed {
            match self.partition(key, partition).await {
                Ok(()) => {}
                Err(Stop::Halt(Halt::Failed(error))) if !ends_the_stream(&error) => {
                    tracing::debug!(stream = self.retriever.run.stream, %error, "a partition cannot be read");
                    self.tally.failed.get_or_insert(error);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    async fn partition(&mut self, key: &str, partition: &Partition) -> Result<(), Stop> {
        let run = &self.retriever.run;
        let mut slice = partition.slice(Map::new());
        if let Some(token) = self.tokens.get(key).cloned() {
            slice.extra_fields.insert(TOKEN.to_owned(), token.into());
            let changes = &self.feed.changes;
            if let Some(next) = self.walk(changes, &slice, None).await? {
                self.tokens.insert(key.to_owned(), next);
            }
            self.tally.changes += 1;
            return Ok(());
        }
        // Taken before the listing, so that nothing falls between the two.
        let first = match &self.feed.start {
            Some(start) => Some(
                self.first_token(start, &slice)
                    .await
                    .map_err(Halt::Failed)?,
            ),
            None => None,
        };
        let restart_at = self.restart_at.take();
        let last = self.walk(self.retriever.parts, &slice, restart_at).await?;
        let Some(token) = first.or(last) else {
            return Err(Stop::Halt(Halt::Failed(FetchError::Unusable(format!(
                "stream {}: everything was read, but no answer holds the token to go on from",
                run.stream
            )))));
        };
        self.tally.first_tokens.insert(key.to_owned(), token);
        self.tally.in_full += 1;
        Ok(())
    }

    /// Reads all pages of a slice; the last token that one of them holds.
    async fn walk(
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
            self.emit(page).await?;
        }
        self.tally.counted |= pages.is_counted();
        self.tally.drifted |= pages.drift() > super::guard::Found::Nothing;
        Ok(token)
    }

    async fn emit(&mut self, page: pages::Page) -> Result<(), Halt> {
        let mut records = page.records;
        if let Some(limit) = self.limit {
            let left = limit.saturating_sub(self.records);
            records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.records += records.len() as u64;
        let page = Page {
            stream: self.retriever.index,
            records,
            rejected: page.rejected,
            deleted: page.deleted,
            ..Page::default()
        };
        self.events.send(Event::Page(page)).await?;
        if self.limit.is_some_and(|limit| self.records >= limit) {
            return Err(Halt::Limit);
        }
        Ok(())
    }

    /// Asks for the token that is known before anything is read.
    async fn first_token(&self, start: &Start, slice: &StreamSlice) -> Result<String, FetchError> {
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

    /// How the read ended, and what it leaves behind.
    fn outcome(&mut self, stored: &Stored) -> (Outcome, Option<(String, Option<String>)>) {
        let tally = std::mem::take(&mut self.tally);
        let outcome = match tally.failed {
            Some(error) => Outcome::Incomplete(error),
            None if tally.drifted => Outcome::Drifted,
            None if tally.changes > 0 => Outcome::Changes,
            None if tally.counted => Outcome::Counted,
            None => Outcome::Complete,
        };
        if matches!(
            outcome,
            Outcome::Complete | Outcome::Counted | Outcome::Changes
        ) {
            // After any other read something may be missing that only a full one finds.
            self.tokens.extend(tally.first_tokens);
        }
        (outcome, self.field(stored))
    }

    /// The state field of the tokens, if they changed.
    fn field(&self, stored: &Stored) -> Option<(String, Option<String>)> {
        let text = (!self.tokens.is_empty()).then(|| {
            let tokens: Map = self
                .tokens
                .iter()
                .map(|(key, token)| (key.clone(), token.as_str().into()))
                .collect();
            let mut map = Map::new();
            map.insert("config".to_owned(), self.retriever.shape.into());
            map.insert("tokens".to_owned(), tokens.into());
            Value::from(map).to_string()
        });
        (stored.text != text).then(|| (self.retriever.cursor_key(), text))
    }
}

fn tokens_of(stored: &Stored) -> Tokens {
    let tokens = stored.tokens.as_ref();
    tokens
        .into_iter()
        .flatten()
        .filter_map(|(key, token)| Some((key.clone(), token.as_str()?.to_owned())))
        .collect()
}
