//! The pages of one slice, one at a time: request, judge, decode, select, find the next.

mod answer;
mod details;
mod mentions;
mod void;

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesOrdered, StreamExt as _};
use http::StatusCode;
use jiff::Timestamp;

use self::answer::Answer;
use self::details::Details;
pub(in crate::source::manifest) use self::details::look_up;
pub(super) use self::mentions::token_in;
pub(super) use self::void::{Answered, exchange};
use super::Run;
use super::extent::Extent;
use super::guard::{Drift, Found, MAX_PAGES, Progress as Advance};
use super::validators::{Remembered, Validators};
use crate::client::{FetchError, Request, Response, without_query};
use crate::json::{Map, Value, validate};
use crate::source::manifest::cursor::{OpenCursor, Progress};
use crate::source::manifest::errors::provider_message;
use crate::source::manifest::options::RequestOptions;
use crate::source::manifest::requester::{shape, token_map};
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::Parts;
use crate::source::manifest::template::{Binding, Context, Literal};
use crate::source::{Deleted, Record, Rejected};

/// Largest body that is looked into for an error: a listing holds none.
const MAX_REFUSAL_BYTES: usize = 4 * 1024;

/// The name of the token in templates.
pub(super) const TOKEN: &str = "token";

/// One slice on its way from page to page.
pub(super) struct Pages<'r> {
    run: &'r Run<'r>,
    parts: &'r Parts,
    slice: &'r StreamSlice,
    /// What the slice adds to every request.
    options: RequestOptions,
    /// The cursor of a stream whose provider does not filter, and how far it had come.
    wanted: Option<(&'r OpenCursor, &'r Progress)>,
    token: Option<Literal>,
    /// Pages on their way, the current one first.
    asked: FuturesOrdered<BoxFuture<'r, Result<Fetched, FetchError>>>,
    asked_tokens: VecDeque<Option<Literal>>,
    advance: Advance,
    drift: Drift,
    is_counted: bool,
    extent: Option<Extent>,
    records: u64,
    read: usize,
    done: bool,
    /// Records of a page whose details are fetched at most.
    most: Option<usize>,
    /// Set when an answer said that the token is void.
    voided: Option<Voided>,
}

/// One page.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    pub(super) rejected: Vec<Rejected>,
    /// The provider says that the page is as it was.
    pub(super) not_modified: bool,
    /// Validators to keep with these records.
    pub(super) state: Option<(String, Option<String>)>,
    /// The token that asked for the page.
    pub(super) token: Option<Literal>,
    /// No page follows.
    pub(super) is_last: bool,
    /// The instant that only grows, where the manifest names one.
    pub(super) freshness: Option<Timestamp>,
    /// The answer holds no list of records, not even an empty one.
    pub(super) lacks_list: bool,
    /// What the answer says is gone.
    pub(super) deleted: Vec<Deleted>,
    /// The token from which changes go on after this page.
    pub(super) cursor_token: Option<String>,
    /// The answer is a refusal by which the provider says that it has no such records here.
    pub(super) skipped: Option<String>,
}

/// The provider does not know the token any more.
#[derive(Debug)]
pub(super) struct Voided {
    /// Where it says to begin anew.
    pub(super) restart_at: Option<String>,
}

/// A request, and what was remembered of the last answer to it.
struct Asked {
    request: Request,
    /// Whether it goes where the credentials may go.
    is_home: bool,
    /// The state field of its validators.
    key: String,
    remembered: Option<Remembered>,
}

/// The answer to a request.
struct Fetched {
    asked: Asked,
    answered: Answered,
}

impl<'r> Pages<'r> {
    pub(super) fn new(
        run: &'r Run<'r>,
        parts: &'r Parts,
        slice: &'r StreamSlice,
        options: RequestOptions,
        wanted: Option<(&'r OpenCursor, &'r Progress)>,
    ) -> Self {
        Self {
            run,
            parts,
            slice,
            options,
            wanted,
            token: parts.paginator.initial_token(),
            asked: FuturesOrdered::new(),
            asked_tokens: VecDeque::new(),
            advance: Advance::default(),
            drift: Drift::new(parts.key.clone()),
            is_counted: false,
            extent: None,
            records: 0,
            read: 0,
            done: false,
            most: None,
            voided: None,
        }
    }

    /// Which part of the slice is read, from 0 to 1, where the provider says how much there is.
    pub(super) fn part(&self) -> Option<f64> {
        self.extent
            .map(|extent| extent.part(self.read, self.records))
    }

    /// Whether pages were found by counting, so that records may stand on none of them.
    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// The same, beginning at the page of `token`.
    pub(super) fn starting_at(mut self, token: Option<Literal>) -> Self {
        if token.is_some() {
            self.token = token;
        }
        self
    }

    /// What tells its slice from others: the first request.
    pub(super) fn shape(&self) -> Result<Vec<u8>, FetchError> {
        let first = self.parts.paginator.initial_token();
        Ok(shape(&self.request(first.as_ref(), None)?.request))
    }

    /// Whether the page of `token` holds its place, so that it can be gone back to.
    pub(super) fn holds_its_place(&self, token: Option<&Literal>) -> bool {
        token.is_none_or(|token| !self.parts.paginator.is_positional(token))
    }

    /// The same, fetching the details of so many records of a page at most.
    pub(super) fn detailing(mut self, most: Option<usize>) -> Self {
        self.most = most;
        self
    }

    /// Whether an answer said that the token is void.
    pub(super) fn voided(&mut self) -> Option<Voided> {
        self.voided.take()
    }

    /// Whether records moved between pages while they were read. A page that a cursor names
    /// holds its place, and of what is newest first nothing can be lost.
    pub(super) fn drift(&self) -> Found {
        if self.is_counted && !self.parts.is_data_feed {
            self.drift.found()
        } else {
            Found::Nothing
        }
    }

    /// Reads the page of `token` alone, again and without asking whether it changed.
    pub(super) async fn fresh(&mut self, token: Option<Literal>) -> Result<Page, FetchError> {
        self.token = token;
        self.done = false;
        self.advance = Advance::default();
        let mut page = self.page(None).await?;
        page.state = None;
        Ok(page)
    }

    /// The next page; `None` after the last. `validators` make the requests conditional.
    pub(super) async fn next(
        &mut self,
        validators: Option<&mut Validators<'_>>,
    ) -> Result<Option<Page>, FetchError> {
        if self.done {
            return Ok(None);
        }
        if self.read >= MAX_PAGES {
            return Err(FetchError::Bound(
                self.named(&format!("more than {MAX_PAGES} pages in one slice")),
            ));
        }
        let page = self.page(validators).await?;
        self.read += 1;
        Ok(Some(page))
    }

    async fn page(
        &mut self,
        mut validators: Option<&mut Validators<'_>>,
    ) -> Result<Page, FetchError> {
        self.ask(validators.as_deref())?;
        self.asked_tokens.pop_front();
        let fetched = self.asked.next().await;
        let Some(fetched) = fetched else {
            return Err(FetchError::Misconfigured(
                self.named("no page was asked for"),
            ));
        };
        let Fetched { asked, answered } = fetched?;
        let (response, ignored) = match answered {
            Answered::Accepted { response, ignored } => (response, ignored),
            Answered::Fits { response } => return Err(self.void(&response)),
        };
        let Asked {
            request,
            key,
            remembered,
            ..
        } = asked;

        if let (StatusCode::NOT_MODIFIED, Some(remembered)) = (response.status, remembered) {
            if let Some(validators) = validators.as_deref_mut() {
                validators.keep(key);
            }
            let next = literal_of(&remembered.next);
            return self.finish(
                next,
                Page {
                    not_modified: true,
                    ..Page::default()
                },
            );
        }
        if ignored && self.parts.empties.contains(&response.status.as_u16()) {
            return self.finish(None, Page::default());
        }
        let may_skip = self.parts.skips.contains(&response.status.as_u16());
        if may_skip && (ignored || is_refusal(&response)) {
            let page = Page {
                skipped: Some(self.why_skipped(&response)),
                ..Page::default()
            };
            return self.finish(None, page);
        }
        if ignored {
            // Paging ends here by the manifest's wish, but what was not read is not absent.
            return Err(FetchError::Rejected(self.named(&format!(
                "{} answered {}, which the manifest tolerates: the listing is not complete",
                without_query(&response.url),
                response.status
            ))));
        }
        let Answer {
            selected,
            next,
            freshness,
            lacks_list,
            extent,
            mut deleted,
            cursor_token,
        } = self.read_answer(&response)?;
        self.extent = extent.or(self.extent);
        self.records += selected.extracted as u64;
        let stored = next.clone().map_or(Value::Null, Literal::into_json);
        let state = validators.and_then(|v| v.remember(key, &request, &response, stored));
        // Of a feed of changes two pages may well name the same records.
        if !self.reads_changes() {
            self.advance
                .page(&selected.records)
                .map_err(|error| self.in_stream(error))?;
        }
        if self.is_counted
            || next
                .as_ref()
                .is_some_and(|next| self.parts.paginator.is_positional(next))
        {
            self.is_counted = true;
            self.drift.watch(&selected.records);
        }
        let mut rejected = selected.rejected;
        let details = Details {
            run: self.run,
            parts: self.parts,
            slice: self.slice,
            most: self.most,
        };
        let records = details
            .complete(selected.records, &mut rejected, &mut deleted)
            .await?;
        let page = Page {
            records,
            rejected,
            state,
            freshness,
            lacks_list,
            deleted,
            cursor_token,
            ..Page::default()
        };
        self.finish(next, page)
    }

    /// The refusal that says that a partition has no such records, in words.
    fn why_skipped(&self, response: &Response) -> String {
        let url = without_query(&response.url);
        let said = provider_message(&response.body, self.run.secrets);
        if said.is_empty() {
            format!("{url} answered {}", response.status)
        } else {
            format!("{url} answered {}: {said}", response.status)
        }
    }

    /// Moves on to `next`.
    fn finish(&mut self, next: Option<Literal>, mut page: Page) -> Result<Page, FetchError> {
        page.token = self.token.take();
        page.is_last = next.is_none();
        self.done = page.is_last;
        if let Some(next) = &next {
            self.advance
                .token(next)
                .map_err(|error| self.in_stream(error))?;
        }
        self.token = next;
        Ok(page)
    }

    /// Asks for the page of the current token, and for some after it where their tokens are known
    /// without an answer and the first page was full.
    fn ask(&mut self, validators: Option<&Validators<'_>>) -> Result<(), FetchError> {
        if self.asked_tokens.front() != Some(&self.token) {
            // Another page follows than was thought, or none was thought of.
            self.asked = FuturesOrdered::new();
            self.asked_tokens.clear();
            self.ask_one(self.token.clone(), validators)?;
        }
        let most = if self.read > 0 { self.parts.ahead } else { 1 };
        while self.asked_tokens.len() < most {
            let last = self.asked_tokens.back().and_then(Option::as_ref);
            let Some(next) = self.parts.paginator.predict(last, &self.run.context()) else {
                break;
            };
            self.ask_one(Some(next), validators)?;
        }
        Ok(())
    }

    fn ask_one(
        &mut self,
        token: Option<Literal>,
        validators: Option<&Validators<'_>>,
    ) -> Result<(), FetchError> {
        let asked = self.request(token.as_ref(), validators)?;
        self.asked
            .push_back(send(self.run, self.parts, asked).boxed());
        self.asked_tokens.push_back(token);
        Ok(())
    }

    fn request(
        &self,
        token: Option<&Literal>,
        validators: Option<&Validators<'_>>,
    ) -> Result<Asked, FetchError> {
        let shown = shown(token);
        let context = self.context(shown.as_ref());
        let paginator = &self.parts.paginator;
        let failed = |error: &dyn std::fmt::Display| {
            FetchError::Misconfigured(self.named(&error.to_string()))
        };
        let mut options = paginator
            .options(token, &context)
            .map_err(|error| failed(&error))?;
        if token.is_none() || !self.parts.slice_options_on_first_page_only {
            options
                .merge(self.options.clone())
                .map_err(|error| failed(&error))?;
        }
        let address = paginator.address(token);
        let mut request = self
            .parts
            .requester
            .request(address.as_deref(), options, &context)
            .map_err(|error| self.in_stream(error))?;
        let is_home = self
            .parts
            .requester
            .is_home(&request, &context)
            .map_err(|error| self.in_stream(error))?;
        let Some(validators) = validators else {
            return Ok(Asked {
                request,
                is_home,
                key: String::new(),
                remembered: None,
            });
        };
        let key = validators.key(&request);
        let remembered = validators.apply(&key, &mut request)?;
        Ok(Asked {
            request,
            is_home,
            key,
            remembered,
        })
    }

    fn context<'c>(&'c self, token: Option<&'c Map>) -> Context<'c> {
        context(self.run, self.slice, token)
    }

    /// Whether the pages tell what changed since a token.
    fn reads_changes(&self) -> bool {
        self.slice.extra_fields.contains_key(TOKEN)
    }

    /// Notes that the token is void.
    fn void(&mut self, response: &Response) -> FetchError {
        let restart_at = self
            .parts
            .marks
            .as_ref()
            .and_then(|marks| marks.restart_at.as_ref());
        let address = restart_at.map_or(Ok(None), |restart_at| {
            // A refusal need not have a body.
            let body = response.body.clone();
            let documents: &[Bytes] = match validate(&body) {
                Ok(()) => &[body],
                Err(_) => &[],
            };
            token_in(restart_at, response, documents, &self.run.context())
        });
        match address {
            Ok(restart_at) => {
                self.voided = Some(Voided { restart_at });
                FetchError::Rejected(self.named("the provider does not know the token any more"))
            }
            Err(error) => FetchError::Unusable(self.named(&format!("restart_at: {error}"))),
        }
    }

    fn named(&self, what: &str) -> String {
        self.run.named(what)
    }

    fn in_stream(&self, error: FetchError) -> FetchError {
        self.run.in_stream(error)
    }
}

/// Whether an answer looks like success and holds an error that the error handler let pass.
fn is_refusal(response: &Response) -> bool {
    response.status.is_success()
        && response.body.len() <= MAX_REFUSAL_BYTES
        && answer::error_in(&response.body).is_some()
}

/// What templates of a slice's requests see.
fn context<'c>(run: &'c Run<'_>, slice: &'c StreamSlice, token: Option<&'c Map>) -> Context<'c> {
    let mut context = run.context();
    context.set("stream_slice", slice.view());
    context.set("next_page_token", token.map_or(Binding::None, Binding::Map));
    for (name, value) in &slice.extra_fields {
        context.set(name, value);
    }
    context
}

/// Sends one request until it is answered or given up.
async fn send(run: &Run<'_>, parts: &Parts, asked: Asked) -> Result<Fetched, FetchError> {
    let conditional = asked.remembered.is_some();
    let when = parts
        .marks
        .as_ref()
        .and_then(|marks| marks.reset_when.as_ref());
    let answered = exchange(
        run,
        &parts.requester,
        &asked.request,
        asked.is_home,
        conditional,
        when,
    )
    .await?;
    Ok(Fetched { asked, answered })
}

/// A token as templates see it.
fn shown(token: Option<&Literal>) -> Option<Map> {
    token.map(|token| token_map(token.clone().into_json()))
}

/// A token as it was remembered.
fn literal_of(value: &Value) -> Option<Literal> {
    match value {
        Value::Null => None,
        Value::Int(number) => Some(Literal::Int(*number)),
        Value::Float(number) => Some(Literal::Float(*number)),
        Value::Bool(flag) => Some(Literal::Bool(*flag)),
        Value::String(text) => Some(Literal::Str(text.clone())),
        other => Some(Literal::Str(other.to_string())),
    }
}
