//! How much there is to read, by the provider's own account. For display alone: nothing else may
//! depend on a number that providers round, cap or leave out.

use bytes::Bytes;
use http::HeaderMap;
use http::header::LINK;

use crate::json::{Value, get};
use crate::source::manifest::paginate::links;

/// What one listing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Records(u64),
    Pages(u64),
}

/// Headers by which providers count the records of a listing.
const HEADERS: [&str; 3] = ["x-total-count", "x-total", "total-count"];

/// Where else they do.
const MEMBERS: [&str; 6] = [
    "/total",
    "/totalCount",
    "/total_count",
    "/meta/total",
    "/meta/total_count",
    "/pagination/total",
];

impl Extent {
    /// What the first page of a listing says of all its pages.
    pub(super) fn of(headers: &HeaderMap, document: Option<&Bytes>) -> Option<Self> {
        let header = |name| headers.get(name)?.to_str().ok()?.trim().parse().ok();
        HEADERS
            .into_iter()
            .find_map(header)
            .map(Self::Records)
            .or_else(|| last_page(headers).map(Self::Pages))
            .or_else(|| {
                let document = document.filter(|text| text.trim_ascii_start().starts_with(b"{"))?;
                MEMBERS.into_iter().find_map(|member| {
                    let pointer = member.parse().ok()?;
                    let number = std::str::from_utf8(get(document, &pointer)?).ok()?;
                    number.parse().ok().map(Self::Records)
                })
            })
    }

    /// Which part of it is read, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn part(self, pages: usize, records: u64) -> f64 {
        let (read, all) = match self {
            Self::Records(all) => (records, all),
            Self::Pages(all) => (pages as u64, all),
        };
        (read as f64 / all.max(1) as f64).min(1.0)
    }
}

/// The page number in the address of the last page.
fn last_page(headers: &HeaderMap) -> Option<u64> {
    let links = links(headers.get(LINK)?.to_str().ok()?);
    let address = links.get("last")?.get("url").and_then(Value::as_str)?;
    let (_, query) = address.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "page")
        .and_then(|(_, number)| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(header: Option<(&'static str, &str)>, body: &'static str) -> Option<Extent> {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        Extent::of(&headers, Some(&Bytes::from_static(body.as_bytes())))
    }

    #[test]
    fn providers_count_in_several_places() {
        let link = "<https://a/x?per_page=1&page=2>; rel=\"next\", <https://a/x?per_page=1&page=7>; rel=\"last\"";
        for (header, body, expected) in [
            (
                Some(("x-total-count", "12")),
                "[]",
                Some(Extent::Records(12)),
            ),
            (Some(("link", link)), "[]", Some(Extent::Pages(7))),
            (Some(("link", "<https://a>; rel=\"last\"")), "[]", None),
            (
                None,
                r#"{"issues":[{"total":1}],"total":9}"#,
                Some(Extent::Records(9)),
            ),
            (None, r#"{"meta":{"total":3}}"#, Some(Extent::Records(3))),
            (None, r#"{"total":"many"}"#, None),
            (None, r#"[{"total":9}]"#, None),
        ] {
            assert_eq!(said(header, body), expected, "{body}");
        }
    }

    #[test]
    fn no_part_is_more_than_the_whole() {
        assert!((Extent::Pages(4).part(1, 100) - 0.25).abs() < 1e-9);
        assert!((Extent::Records(0).part(1, 100) - 1.0).abs() < 1e-9);
        assert!((Extent::Records(50).part(1, 100) - 1.0).abs() < 1e-9);
    }
}
