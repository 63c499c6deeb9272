//! Where a redirect leads, and what may go along.
//!
//! Credentials stay with the origin they were meant for: to any other host or port, and from
//! https to http, nothing but `Accept` and `User-Agent` is sent on. Which header holds a secret
//! is the manifest's choice, so every other header counts as one.

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, USER_AGENT};
use http::{Method, StatusCode};
use thiserror::Error;
use url::Url;

use super::Request;

/// Redirects followed for one request.
pub(super) const MAX_REDIRECTS: usize = 5;

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum NotFollowed {
    /// Sending a body to somebody else.
    #[error("a {0} request may not be redirected to another host")]
    CrossHost(Method),
    /// `Location` is no http(s) address.
    #[error("it redirects to something that is no web address")]
    BadLocation,
}

/// The request that a redirect asks for; `None` when the answer is none.
pub(super) fn next(
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Request>, NotFollowed> {
    let Some(location) = headers.get(LOCATION).filter(|_| leads_on(status, headers)) else {
        return Ok(None);
    };
    let mut url = std::str::from_utf8(location.as_bytes())
        .ok()
        .and_then(|location| request.url.join(location).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or(NotFollowed::BadLocation)?;
    url.set_fragment(None);

    let mut next = request.clone();
    if !same_origin(&request.url, &url) {
        if !is_read(&request.method) {
            return Err(NotFollowed::CrossHost(request.method.clone()));
        }
        next.headers = harmless(&request.headers);
        // Both fail only for addresses that cannot carry credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    // RFC 9110 15.4: 303 always turns into GET; 301 and 302 do so by everybody's habit.
    if !is_read(&request.method) && matches!(status.as_u16(), 301..=303) {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_LENGTH);
    }
    next.url = url;
    Ok(Some(next))
}

/// Whether an answer is a redirect.
pub(super) fn leads_on(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Same host and port, or the same host's step from plain http up to https.
fn same_origin(from: &Url, to: &Url) -> bool {
    let upgrade = (from.scheme(), from.port()) == ("http", None)
        && (to.scheme(), to.port()) == ("https", None);
    let same_port =
        from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    from.host() == to.host() && (same_port || upgrade)
}

fn harmless(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| [ACCEPT, USER_AGENT].contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, url: &str) -> Request {
        Request {
            method,
            url: Url::parse(url).unwrap(),
            headers: [
                ("accept", "application/json"),
                ("user-agent", "test"),
                ("authorization", "Bearer secret"),
                ("cookie", "secret"),
                ("x-api-key", "secret"),
                ("content-type", "application/json"),
            ]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
            body: Some("{}".into()),
        }
    }

    fn follow(request: &Request, status: u16, to: &str) -> Result<Option<Request>, NotFollowed> {
        let headers = [(LOCATION, to.parse().unwrap())].into_iter().collect();
        next(request, StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for (from, to, kept) in [
            ("https://a.test/x", "/y?z=1", true),
            ("https://a.test/x", "https://a.test:443/y", true),
            ("https://a.test/x", "https://A.TEST/y", true),
            ("http://a.test/x", "https://a.test/y", true),
            ("https://a.test/x", "http://a.test/y", false),
            ("https://a.test/x", "https://a.test:8443/y", false),
            ("https://a.test/x", "https://b.test/y", false),
            ("https://a.test/x", "https://sub.a.test/y", false),
            ("https://a.test/x", "//b.test/y", false),
        ] {
            let next = follow(&request(Method::GET, from), 302, to)
                .unwrap()
                .unwrap();
            assert_eq!(
                next.headers.contains_key("authorization"),
                kept,
                "{from} → {to}"
            );
            assert_eq!(
                next.headers.contains_key("x-api-key"),
                kept,
                "{from} → {to}"
            );
            assert!(next.headers.contains_key("accept"));
            assert!(next.headers.contains_key("user-agent"));
        }
    }

    #[test]
    fn a_body_goes_to_nobody_else() {
        let post = request(Method::POST, "https://a.test/x");
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(
                follow(&post, status, "https://b.test/y").err(),
                Some(NotFollowed::CrossHost(Method::POST))
            );
        }
    }

    #[test]
    fn the_method_changes_only_where_http_says_so() {
        let post = request(Method::POST, "https://a.test/x");
        for (status, method) in [
            (301, Method::GET),
            (302, Method::GET),
            (303, Method::GET),
            (307, Method::POST),
            (308, Method::POST),
        ] {
            let next = follow(&post, status, "/y").unwrap().unwrap();
            assert_eq!(next.method, method, "{status}");
            assert_eq!(next.body.is_some(), method == Method::POST, "{status}");
        }
    }

    #[test]
    fn only_redirects_with_a_web_address_are_followed() {
        let get = request(Method::GET, "https://a.test/x");
        for status in [200, 300, 304, 305, 404] {
            assert!(follow(&get, status, "/y").unwrap().is_none(), "{status}");
        }
        assert!(
            next(&get, StatusCode::FOUND, &HeaderMap::new())
                .unwrap()
                .is_none()
        );
        for to in [
            "file:///etc/passwd",
            "javascript:1",
            "http://",
            "https://[bad",
        ] {
            assert_eq!(
                follow(&get, 302, to).err(),
                Some(NotFollowed::BadLocation),
                "{to}"
            );
        }
    }
}
