//! Where a value stands in a delivery: a header, a parameter of the address, a field of the body.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use thiserror::Error;
use url::form_urlencoded;

use crate::json::{self, Pointer};

/// One place, written `header:NAME`, `query:NAME` or as a JSON pointer into the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A request header.
    Header(HeaderName),
    /// A parameter of the request's address.
    Query(String),
    /// A field of the body.
    Body(Pointer),
}

/// The text names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write header:NAME, query:NAME or a JSON pointer such as /action")]
pub struct InvalidPlace;

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        if let Some(name) = text.strip_prefix("header:") {
            return HeaderName::from_str(name.trim())
                .map(Self::Header)
                .map_err(|_| InvalidPlace);
        }
        if let Some(name) = text.strip_prefix("query:") {
            let name = name.trim();
            return (!name.is_empty())
                .then(|| Self::Query(name.to_owned()))
                .ok_or(InvalidPlace);
        }
        match text.parse::<Pointer>() {
            Ok(pointer) if !text.is_empty() => Ok(Self::Body(pointer)),
            _ => Err(InvalidPlace),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Body(pointer) => write!(f, "{pointer}"),
        }
    }
}

impl Place {
    /// What stands there, as text; `None` when nothing, `null`, an object or a list does, or a
    /// header is there more than once. `body` is JSON, or nothing that is.
    pub fn find<'d>(
        &self,
        headers: &'d HeaderMap,
        query: Option<&str>,
        body: &'d [u8],
    ) -> Option<Cow<'d, str>> {
        match self {
            Self::Header(name) => {
                let mut values = headers.get_all(name).iter();
                let value = values.next()?.to_str().ok()?;
                values.next().is_none().then(|| value.trim().into())
            }
            Self::Query(name) => form_urlencoded::parse(query?.as_bytes())
                .find(|(key, _)| key == name.as_str())
                .map(|(_, value)| value.into_owned().into()),
            Self::Body(pointer) => scalar(body, pointer),
        }
    }
}

/// The scalar at `pointer` as text.
pub(super) fn scalar<'b>(body: &'b [u8], pointer: &Pointer) -> Option<Cow<'b, str>> {
    match json::get(body, pointer)? {
        b"null" | [b'{' | b'[', ..] => None,
        value => Some(json::text_of(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for text in ["header:x-github-event", "query:token", "/a~1b/0"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in ["", "header:", "header:a b", "query:", "action", "body:/x"] {
            assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("x-id", "1".parse().unwrap());
        let place: Place = "header:X-Id".parse().unwrap();
        assert_eq!(place.find(&headers, None, b"").as_deref(), Some("1"));
        headers.append("x-id", "2".parse().unwrap());
        assert_eq!(place.find(&headers, None, b""), None);
    }

    #[test]
    fn the_body_and_the_address_are_looked_into() {
        let headers = HeaderMap::new();
        let find = |text: &str| {
            let place: Place = text.parse().unwrap();
            place
                .find(
                    &headers,
                    Some("a=1&token=%20x"),
                    br#"{"n":12,"t":"x\u0021","o":{}}"#,
                )
                .map(Cow::into_owned)
        };
        assert_eq!(find("/n").as_deref(), Some("12"));
        assert_eq!(find("/t").as_deref(), Some("x!"));
        assert_eq!(find("/o"), None);
        assert_eq!(find("query:token").as_deref(), Some(" x"));
    }
}
