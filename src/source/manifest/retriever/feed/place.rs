//! Where the read of a stream with a token was cut short: a page of everything, or of what changed
//! since the token.
//!
//! Pages before it are not read again, so that a crash repeats one of them and not hours of them,
//! and nothing that a later page said again in another way.

use jiff::{SignedDuration, Timestamp};

use crate::json::{Map, Value, parse};
use crate::source::manifest::retriever::guard::instant;
use crate::source::manifest::template::Literal;

/// How long a place is gone back to: most providers forget the tokens of their pages in time.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A page to go on from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeedPlace {
    /// The token since which changes are read; everything is where there is none.
    pub(super) since: Option<String>,
    /// The token that was taken before everything was read.
    pub(super) first: Option<String>,
    /// What names the page.
    pub(super) page: Literal,
    /// When it was noted.
    pub(super) at: Timestamp,
}

impl FeedPlace {
    /// As it is part of a stream's state, unless that is too long ago.
    pub(super) fn stored(state: &str, now: Timestamp) -> Option<Self> {
        let state = parse(state.as_bytes()).ok()?;
        let place = state.get("resume")?;
        let at = instant(place.get("at")?.as_str()?)?;
        let token = |key| place.get(key).and_then(Value::as_str).map(str::to_owned);
        (now.duration_since(at) <= GOOD_FOR).then_some(Self {
            since: token("since"),
            first: token("first"),
            page: Literal::from(place.get("page")?),
            at,
        })
    }

    /// What is stored.
    pub(super) fn to_value(&self) -> Value {
        let token = |token: &Option<String>| token.as_deref().map_or(Value::Null, Value::from);
        Map::from_iter([
            ("since".to_owned(), token(&self.since)),
            ("first".to_owned(), token(&self.first)),
            ("page".to_owned(), self.page.clone().into_json()),
            ("at".to_owned(), self.at.to_string().into()),
        ])
        .into()
    }
}
