//! Paginators: how the next page is asked for, and when there is none.

mod answer;
mod link;

use http::HeaderMap;

pub(super) use answer::Answered;
pub(super) use link::links;

use super::expr::{Expr, unsupported};
use super::fields::{flag, optional, problem, required, type_of};
use super::options::{RequestOption, RequestOptions};
use super::template::{Binding, Context, EvalError, Literal};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// How a requester's pages follow one another.
#[derive(Debug, Clone)]
pub(super) enum Paginator {
    /// One page is all there is.
    Single,
    /// `DefaultPaginator`
    Pages(Box<Pages>),
}

/// A strategy, and where its token and page size go.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    strategy: Strategy,
    size_option: Option<RequestOption>,
    token_place: Option<TokenPlace>,
    /// Whether a token keeps its spelling. The reference reads the token `1e5` as a number and
    /// sends `100000.0`.
    verbatim: bool,
}

#[derive(Debug, Clone)]
enum TokenPlace {
    /// The token is the address of the next page.
    Address,
    Option(RequestOption),
}

#[derive(Debug, Clone)]
enum Strategy {
    Page {
        size: Option<i64>,
        start: i64,
        inject_first: bool,
    },
    Offset {
        size: Option<Expr>,
        inject_first: bool,
    },
    Cursor {
        value: Expr,
        stop: Option<Expr>,
        size: Option<i64>,
    },
}

/// The page that the next one follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'p> {
    /// The body; at least the paths that [`Paginator::response_paths`] names.
    pub(super) response: &'p Value,
    pub(super) headers: &'p HeaderMap,
    /// Records in the answer, before filters.
    pub(super) extracted: usize,
    /// Records after filters.
    pub(super) kept: usize,
    /// The last record after filters, if [`Paginator::needs_last_record`].
    pub(super) last_record: Option<&'p Value>,
    /// The token that asked for this page.
    pub(super) token: Option<&'p Literal>,
}

impl Paginator {
    /// Builds `paginator` of a retriever. `context` offers the configuration.
    pub(super) fn build(
        node: &Node,
        context: &Context<'_>,
        verbatim: bool,
    ) -> Result<Self, Problem> {
        match type_of(node) {
            Some("NoPagination") => return Ok(Self::Single),
            Some("DefaultPaginator") => {}
            _ => return Err(unsupported(node)),
        }
        let strategy_node = required(node, "pagination_strategy")?;
        let strategy = Strategy::build(strategy_node, context)?;
        let size_option = optional(node, "page_size_option")
            .map(RequestOption::build)
            .transpose()?;
        let token_place = match optional(node, "page_token_option") {
            None => None,
            Some(option) if type_of(option) == Some("RequestPath") => Some(TokenPlace::Address),
            Some(option) => Some(TokenPlace::Option(RequestOption::build(option)?)),
        };
        if size_option.is_some() {
            let size = strategy.page_size(context).map_err(|error| {
                problem(
                    strategy_node.at,
                    error.to_string(),
                    "make page_size a number",
                )
            })?;
            if size.unwrap_or(0) == 0 {
                return Err(problem(
                    node.at,
                    "page_size_option without a page_size",
                    "give the pagination strategy a page_size",
                ));
            }
        }
        Ok(Self::Pages(Box::new(Pages {
            strategy,
            size_option,
            token_place,
            verbatim,
        })))
    }

    /// The token of the first page, where the strategy sends one.
    pub(super) fn initial_token(&self) -> Option<Literal> {
        let Self::Pages(pages) = self else {
            return None;
        };
        match &pages.strategy {
            Strategy::Page {
                start,
                inject_first: true,
                ..
            } => Some(Literal::Int(*start)),
            Strategy::Offset {
                inject_first: true, ..
            } => Some(Literal::Int(0)),
            _ => None,
        }
    }

    /// What the paginator adds to the request for the page of `token`.
    pub(super) fn options(
        &self,
        token: Option<&Literal>,
        context: &Context<'_>,
    ) -> Result<RequestOptions, EvalError> {
        let mut options = RequestOptions::default();
        let Self::Pages(pages) = self else {
            return Ok(options);
        };
        if let (Some(TokenPlace::Option(option)), Some(token)) = (&pages.token_place, token)
            && !token.is_none()
        {
            option.inject(&mut options, token.clone(), context)?;
        }
        if let Some(option) = &pages.size_option
            && let Some(size) = pages.strategy.page_size(context)?
            && size != 0
        {
            option.inject(&mut options, Literal::Int(size), context)?;
        }
        Ok(options)
    }

    /// The address of the page of `token`, where the token is one.
    pub(super) fn address(&self, token: Option<&Literal>) -> Option<String> {
        match self {
            Self::Pages(pages) if matches!(pages.token_place, Some(TokenPlace::Address)) => token
                .filter(|token| token.is_truthy())
                .map(Literal::to_string),
            _ => None,
        }
    }

    /// Whether page tokens are addresses.
    pub(super) fn follows_addresses(&self) -> bool {
        matches!(self, Self::Pages(pages) if matches!(pages.token_place, Some(TokenPlace::Address)))
    }

    /// The token of the page after `seen`; `None` when it is the last. `context` offers the
    /// configuration and the slice.
    pub(super) fn next(
        &self,
        seen: &Seen<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Literal>, EvalError> {
        let Self::Pages(pages) = self else {
            return Ok(None);
        };
        let count = i64::try_from(seen.extracted).unwrap_or(i64::MAX);
        let next = match &pages.strategy {
            Strategy::Page { size, start, .. } => {
                let full = size.is_none_or(|size| size == 0 || count >= size);
                (count > 0 && full)
                    .then(|| number_of(seen.token, *start).map(|page| page + 1))
                    .transpose()?
                    .map(Literal::Int)
            }
            Strategy::Offset { .. } => {
                let size = pages.strategy.page_size(context)?;
                let full = size.is_none_or(|size| size == 0 || count >= size);
                (count > 0 && full)
                    .then(|| number_of(seen.token, 0).map(|offset| offset + count))
                    .transpose()?
                    .map(Literal::Int)
            }
            Strategy::Cursor { value, stop, size } => {
                let headers = headers_of(seen.headers);
                let mut context = context
                    .clone()
                    .with("response", seen.response)
                    .with("headers", Binding::Headers(&headers))
                    .with("last_record", seen.last_record)
                    .with(
                        "last_page_size",
                        i64::try_from(seen.kept).unwrap_or(i64::MAX),
                    );
                context.set("page_size", size.map_or(Binding::None, Binding::Int));
                if let Some(stop) = stop
                    && stop.boolean(&context)?
                {
                    return Ok(None);
                }
                Some(pages.token(value, &context)?)
            }
        };
        Ok(next.filter(Literal::is_truthy))
    }

    /// The token of the page after that of `token` if there is one, where no answer is needed to
    /// know it. `context` offers the configuration.
    pub(super) fn predict(
        &self,
        token: Option<&Literal>,
        context: &Context<'_>,
    ) -> Option<Literal> {
        let Self::Pages(pages) = self else {
            return None;
        };
        if !matches!(pages.token_place, Some(TokenPlace::Option(_))) {
            return None;
        }
        let size = pages.strategy.page_size(context).ok().flatten();
        let size = size.filter(|size| *size > 0)?;
        let next = match &pages.strategy {
            Strategy::Page { start, .. } => number_of(token, *start).ok()?.checked_add(1)?,
            Strategy::Offset { .. } => number_of(token, 0).ok()?.checked_add(size)?,
            Strategy::Cursor { .. } => return None,
        };
        Some(Literal::Int(next))
    }

    /// The parts of the body that [`next`](Self::next) looks at; `None` means all of it.
    pub(super) fn response_paths(&self) -> Option<Vec<Vec<String>>> {
        let mut paths = Vec::new();
        for expr in self.templates() {
            paths.extend(expr.template().paths("response")?);
        }
        Some(paths)
    }

    /// Whether [`next`](Self::next) looks at the last record.
    pub(super) fn needs_last_record(&self) -> bool {
        self.templates()
            .any(|expr| expr.template().uses("last_record"))
    }

    fn templates(&self) -> impl Iterator<Item = &Expr> {
        let cursor = match self {
            Self::Pages(pages) => match &pages.strategy {
                Strategy::Cursor { value, stop, .. } => Some((value, stop)),
                _ => None,
            },
            Self::Single => None,
        };
        cursor
            .into_iter()
            .flat_map(|(value, stop)| std::iter::once(value).chain(stop))
    }

    /// Whether `token` counts records or pages, so that an edit in between shifts what the next
    /// page holds. An opaque cursor holds its place.
    pub(super) fn is_positional(&self, token: &Literal) -> bool {
        let Self::Pages(pages) = self else {
            return false;
        };
        match (&pages.strategy, token) {
            (Strategy::Page { .. } | Strategy::Offset { .. }, _) => true,
            (Strategy::Cursor { .. }, Literal::Int(_)) => true,
            (Strategy::Cursor { .. }, Literal::Str(text)) => {
                if matches!(pages.token_place, Some(TokenPlace::Address)) {
                    counts_pages(text)
                } else {
                    is_numbers(text)
                }
            }
            _ => false,
        }
    }
}

impl Pages {
    fn token(&self, value: &Expr, context: &Context<'_>) -> Result<Literal, EvalError> {
        let typed = value.value(context)?;
        if self.verbatim && matches!(typed, Literal::Float(_) | Literal::Int(_)) {
            let text = value.verbatim(context)?;
            if typed.to_string() != text && !text.is_empty() {
                return Ok(Literal::Str(text));
            }
        }
        Ok(typed)
    }
}

/// Whether a cursor is made of numbers (`100:2:0`): that is a page in a cursor's costume.
fn is_numbers(token: &str) -> bool {
    token.contains(':')
        && token
            .split(':')
            .all(|part| part.trim_start_matches('-').parse::<u32>().is_ok())
}

/// Whether an address asks for a numbered page. Beside a key to go on from, a number is only told
/// along.
fn counts_pages(address: &str) -> bool {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let mut is_counted = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let is_number = value.parse::<u64>().is_ok();
        match name.to_ascii_lowercase().as_str() {
            "page" | "offset" | "start" | "startat" | "skip" | "page[number]" | "page[offset]" => {
                is_counted |= is_number;
            }
            "id_after" => return false,
            "cursor" | "after" if !value.is_empty() && !is_date(&value) => return false,
            _ => {}
        }
    }
    is_counted
}

/// Whether a value is a number, or begins like a date: then it filters, and names no place.
fn is_date(value: &str) -> bool {
    value.bytes().take(4).all(|byte| byte.is_ascii_digit())
}

fn number_of(token: Option<&Literal>, first: i64) -> Result<i64, EvalError> {
    match token {
        None | Some(Literal::None) => Ok(first),
        Some(Literal::Int(number)) => Ok(*number),
        Some(other) => Err(EvalError::Failed {
            what: format!("the page token {other} is no whole number"),
        }),
    }
}

impl Strategy {
    fn build(node: &Node, context: &Context<'_>) -> Result<Self, Problem> {
        let inject_first = flag(node, "inject_on_first_request")?;
        let size = Expr::field(node, "page_size")?;
        let whole = |expr: &Option<Expr>, key: &str| match expr {
            None => Ok(None),
            Some(expr) => match expr.value(context) {
                Ok(Literal::Int(size)) => Ok(Some(size)),
                _ => Err(problem(
                    node.at,
                    format!("{key} is no whole number"),
                    "write a number, or a template that gives one",
                )),
            },
        };
        Ok(match type_of(node) {
            Some("PageIncrement") => Self::Page {
                size: whole(&size, "page_size")?,
                start: whole(&Expr::field(node, "start_from_page")?, "start_from_page")?
                    .unwrap_or(0),
                inject_first,
            },
            Some("OffsetIncrement") => Self::Offset { size, inject_first },
            Some("CursorPagination") => Self::Cursor {
                value: Expr::required(node, "cursor_value")?,
                stop: Expr::field(node, "stop_condition")?
                    .filter(|stop| !stop.template().source().is_empty()),
                size: whole(&size, "page_size")?,
            },
            _ => return Err(unsupported(node)),
        })
    }

    fn page_size(&self, context: &Context<'_>) -> Result<Option<i64>, EvalError> {
        match self {
            Self::Page { size, .. } | Self::Cursor { size, .. } => Ok(*size),
            Self::Offset { size: None, .. } => Ok(None),
            Self::Offset {
                size: Some(size), ..
            } => match size.value(context)? {
                Literal::Int(size) => Ok(Some(size)),
                other => Err(EvalError::Failed {
                    what: format!("page_size is {other}, which is no whole number"),
                }),
            },
        }
    }
}

/// Headers by name, whatever their case, with `link` read into its relations.
fn headers_of(headers: &HeaderMap) -> Map {
    let mut map = super::errors::header_map(headers);
    let links = match map.get("link").and_then(Value::as_str) {
        Some(text) => links(text),
        None => Map::new(),
    };
    map.insert("link".to_owned(), links.into());
    map
}

#[cfg(test)]
mod tests {
    use super::counts_pages;

    #[test]
    fn an_address_with_a_key_to_go_on_from_counts_no_pages() {
        for (query, counts) in [
            ("page=2&per_page=100", true),
            ("updated_after=2026-01-01&page=7", true),
            ("page%5Bnumber%5D=3", true),
            // A day and a number of an account filter.
            ("after=2026-01-01&page=2", true),
            ("after=&page=2", true),
            ("page=1&pagination=keyset&cursor=eyJpZCI6IjQyIn0", false),
            ("pagination=keyset&id_after=42&page=1", false),
            ("per_page=100&after=Y3Vyc29yOnYyOpHOAA%3D%3D&page=2", false),
            ("per_page=100", false),
        ] {
            let address = format!("https://a.test/issues?{query}");
            assert_eq!(counts_pages(&address), counts, "{query}");
        }
    }
}
