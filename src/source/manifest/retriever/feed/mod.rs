//! Streams with a token: everything once, and from then on what has changed since.
//!
//! Each partition has a token of its own. Only a read that saw all partitions in full finds
//! deletions by absence; one of changes takes the provider's word for them. A token that the
//! provider voids means that everything is read again, at once and with all partitions, so that
//! what was deleted meanwhile is found.

mod place;
mod walk;

use std::collections::BTreeMap;

use self::place::FeedPlace;
use super::pages::TOKEN;
use super::reading::{Halt, ends_the_stream};
use super::{Retriever, Stored};
use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::feed::Feed;
use crate::source::manifest::partition::Partition;
use crate::source::manifest::template::Literal;
use crate::source::{Event, Events, Outcome, ReadState, Stopped};

/// How often one poll begins anew because the provider voids what it gave before.
const MAX_RESTARTS: usize = 2;

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
    /// Where an earlier read was cut short.
    place: Option<FeedPlace>,
    /// Nothing is remembered of the stream, whatever was read of it.
    is_new: bool,
    /// Whether the stream is one partition, so that one place is enough.
    is_whole: bool,
    /// What this read notes places for; `None` where it must begin anew if it is cut short.
    noting: Option<Noting>,
    /// A place was handed over.
    has_noted: bool,
    /// Pages since the last beginning.
    pages: usize,
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

/// What a place that is noted belongs to.
struct Noting {
    since: Option<String>,
    first: Option<String>,
    /// Nothing may have been known before, if the place is to count.
    is_first: bool,
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
            place: (stored.text.as_deref())
                .and_then(|text| FeedPlace::stored(text, self.run.clock.now())),
            is_new: !state.fields.contains_key(&self.cursor_key()),
            is_whole: false,
            noting: None,
            has_noted: false,
            pages: 0,
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
        self.is_whole = listed.len() == 1 && partitions.failed.is_none() && self.limit.is_none();
        if !self.is_whole {
            self.place = None;
        }
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
        let since = self.tokens.get(key).cloned();
        let place = self.place.take().filter(|place| place.since == since);
        if let Some(token) = since {
            slice
                .extra_fields
                .insert(TOKEN.to_owned(), token.clone().into());
            self.noting = Some(Noting {
                since: Some(token),
                first: None,
                is_first: false,
            });
            let changes = &self.feed.changes;
            if let (Some(next), _) = self.walk(changes, &slice, place, None).await? {
                self.tokens.insert(key.to_owned(), next);
            }
            self.tally.changes += 1;
            return Ok(());
        }
        // Taken before the listing, so that nothing falls between the two.
        let first = match (&self.feed.start, &place) {
            (Some(_), Some(place)) => place.first.clone(),
            (Some(start), None) => Some(
                self.first_token(start, &slice)
                    .await
                    .map_err(Halt::Failed)?,
            ),
            (None, _) => None,
        };
        let goes_on = place.is_some();
        // A read that finds what is gone by its absence has to see all there is.
        self.noting = (goes_on || self.is_new).then(|| Noting {
            since: None,
            first: first.clone(),
            is_first: !goes_on,
        });
        let restart_at = self.restart_at.take();
        let parts = self.retriever.parts;
        let (last, is_all) = self.walk(parts, &slice, place, restart_at).await?;
        let Some(token) = first.or(last) else {
            return Err(Stop::Halt(Halt::Failed(FetchError::Unusable(format!(
                "stream {}: everything was read, but no answer holds the token to go on from",
                run.stream
            )))));
        };
        self.tally.first_tokens.insert(key.to_owned(), token);
        // What stands before the place was not seen in this read.
        self.tally.changes += usize::from(!is_all);
        self.tally.in_full += usize::from(is_all);
        Ok(())
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
        let is_cut = matches!(outcome, Outcome::Incomplete(_));
        (outcome, self.field(stored, is_cut))
    }

    /// The state field of the tokens, if they changed.
    fn field(&self, stored: &Stored, is_cut: bool) -> Option<(String, Option<String>)> {
        let was_void = self.tokens.is_empty()
            && stored
                .tokens
                .as_ref()
                .is_some_and(|tokens| !tokens.is_empty());
        if is_cut && self.is_whole && !was_void {
            // With the place that was noted last.
            return None;
        }
        // An empty one tells a read that is to find deletions from the very first.
        let is_known = stored.text.is_some() || !self.tokens.is_empty();
        let text = is_known.then(|| self.text(None));
        (self.has_noted || stored.text != text).then(|| (self.retriever.cursor_key(), text))
    }

    fn text(&self, place: Option<&FeedPlace>) -> String {
        let tokens: Map = self
            .tokens
            .iter()
            .map(|(key, token)| (key.clone(), token.as_str().into()))
            .collect();
        let mut map = Map::new();
        map.insert("config".to_owned(), self.retriever.shape.into());
        map.insert("tokens".to_owned(), tokens.into());
        if let Some(place) = place {
            map.insert("resume".to_owned(), place.to_value());
        }
        Value::from(map).to_string()
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
