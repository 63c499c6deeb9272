//! Which requests a policy of a budget is about.

use regex::Regex;

use crate::client::Request;
use crate::client::wait::text;

/// Which requests a policy is about; what is not said matches all.
#[derive(Debug, Default)]
pub struct Matcher {
    /// In capitals.
    pub method: Option<String>,
    /// `https://host`, without a slash at the end.
    pub base: Option<String>,
    /// Looked for in the path.
    pub path: Option<Regex>,
    /// Query parameters that must be there.
    pub params: Vec<(String, String)>,
    /// Headers that must be there, in lower case.
    pub headers: Vec<(String, String)>,
    /// Calls that one such request counts as; at least one.
    pub weight: Option<u64>,
}

impl Matcher {
    /// Whether `request` is one of them.
    pub(super) fn fits(&self, request: &Request) -> bool {
        let url = &request.url;
        let has = |pairs: &[(String, String)], get: &dyn Fn(&str) -> Option<String>| {
            pairs
                .iter()
                .all(|(name, value)| get(name).as_ref() == Some(value))
        };
        self.method
            .as_ref()
            .is_none_or(|method| *request.method.as_str() == **method)
            && self
                .base
                .as_ref()
                .is_none_or(|base| url.origin().ascii_serialization() == *base)
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.is_match(url.path().trim_end_matches('/')))
            && has(&self.params, &|name| {
                let mut pairs = url.query_pairs();
                let (_, value) = pairs.find(|(key, _)| key == name)?;
                Some(value.into_owned())
            })
            && has(&self.headers, &|name| {
                text(&request.headers, name).map(str::to_owned)
            })
    }
}
