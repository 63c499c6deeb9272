//! `metadata.connector.rate_limits`: how much a provider may be asked, and where its answers tell
//! what is left and how long to wait.

use super::metadata::Reader;
use crate::client::{QuotaRule, RateLimits, Scope, TimeFormat, WaitRule};
use crate::document::{Kind, Node, Position};

/// Keys of `metadata.connector.rate_limits`.
pub(crate) const RATE_KEYS: [&str; 7] = [
    "requests_per_second",
    "burst",
    "concurrent_requests",
    "strategy",
    "scope",
    "quotas",
    "retry_after",
];
/// Keys of an entry of its `quotas`.
pub(crate) const QUOTA_KEYS: [&str; 7] = [
    "name",
    "remaining",
    "limit",
    "reset",
    "reset_format",
    "window_seconds",
    "cost",
];
/// Keys of an entry of its `retry_after`.
pub(crate) const WAIT_KEYS: [&str; 2] = ["from", "format"];

/// Limits and waits that a manifest may declare; a provider has a handful.
pub(crate) const MOST: usize = 16;

impl Reader {
    pub(super) fn rate_limits(&mut self, node: &Node) -> RateLimits {
        let mut limits = RateLimits::default();
        for (key, at, value) in self.members("rate_limits", node, &RATE_KEYS) {
            match key {
                "requests_per_second" => limits.requests_per_second = self.number(key, value),
                "burst" => {
                    limits.burst = self.number(key, value);
                    if node.get("requests_per_second").is_none() {
                        self.complain(
                            at,
                            "rate_limits has a burst without requests_per_second",
                            "add requests_per_second, at which the burst fills up again",
                        );
                    }
                }
                "concurrent_requests" => match value.kind {
                    Kind::Int(most @ 1..=1000) => {
                        limits.concurrent_requests = usize::try_from(most).ok();
                    }
                    _ => self.wrong(key, value, "a whole number from 1 to 1000"),
                },
                "strategy" if value.as_str() != Some("token_bucket") => self.complain(
                    value.at,
                    "unknown strategy of rate_limits",
                    "the only one is token_bucket",
                ),
                "scope" => match value.as_str() {
                    Some("credential") => limits.scope = Scope::Credential,
                    Some("endpoint") => limits.scope = Scope::Endpoint,
                    _ => self.complain(
                        value.at,
                        "unknown scope of rate_limits",
                        "write credential, or endpoint if the provider refuses each on its own",
                    ),
                },
                "quotas" => {
                    for (number, item) in self.items(key, value).iter().enumerate() {
                        limits.quotas.extend(self.quota(number, item));
                    }
                }
                "retry_after" => {
                    for item in self.items(key, value) {
                        limits.waits.extend(self.wait(item));
                    }
                }
                _ => {}
            }
        }
        limits
    }

    fn items<'n>(&mut self, key: &str, node: &'n Node) -> &'n [Node] {
        let items = node.items();
        if items.is_empty() || items.len() > MOST {
            self.wrong(key, node, &format!("a list of 1 to {MOST}"));
        }
        &items[..items.len().min(MOST)]
    }

    fn quota(&mut self, number: usize, node: &Node) -> Option<QuotaRule> {
        let mut rule = QuotaRule {
            name: format!("declared {number}"),
            remaining: crate::client::Place::Header(String::new()),
            limit: None,
            reset: None,
            format: TimeFormat::Auto,
            window: None,
            cost: None,
        };
        let mut remaining = None;
        for (key, _, value) in self.members("rate_limits.quotas", node, &QUOTA_KEYS) {
            match key {
                "name" => {
                    if let Some(name) = self.text(key, value) {
                        rule.name = format!("declared {name}");
                    }
                }
                "remaining" => remaining = self.place(key, value),
                "limit" => rule.limit = self.place(key, value),
                "reset" => rule.reset = self.place(key, value),
                "reset_format" => rule.format = self.time_format(value),
                "window_seconds" => rule.window = self.seconds(key, value),
                _ => rule.cost = self.place(key, value),
            }
        }
        let lacks = |reader: &mut Self, what: &str, at: Position| {
            reader.complain(
                at,
                format!("an entry of rate_limits.quotas has no {what}"),
                "add it: without both nothing can be learned",
            );
        };
        if node.get("remaining").is_none() {
            lacks(self, "remaining", node.at);
        }
        if node.get("reset").is_none() && node.get("window_seconds").is_none() {
            lacks(self, "reset or window_seconds", node.at);
        }
        rule.remaining = remaining?;
        Some(rule)
    }

    fn wait(&mut self, node: &Node) -> Option<WaitRule> {
        let (mut from, mut format) = (None, TimeFormat::Auto);
        for (key, _, value) in self.members("rate_limits.retry_after", node, &WAIT_KEYS) {
            match key {
                "from" => from = self.place(key, value),
                _ => format = self.time_format(value),
            }
        }
        if node.get("from").is_none() {
            self.complain(
                node.at,
                "an entry of rate_limits.retry_after has no from",
                "name the header, or the place in the body by a JSON pointer",
            );
        }
        Some(WaitRule {
            from: from?,
            format,
        })
    }

    fn time_format(&mut self, node: &Node) -> TimeFormat {
        let known = TimeFormat::NAMES;
        let found = known.iter().find(|(name, _)| node.as_str() == Some(name));
        if let Some((_, format)) = found {
            return *format;
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        self.complain(
            node.at,
            "unknown format of a time in rate_limits",
            format!("use one of: {}", names.join(", ")),
        );
        TimeFormat::Auto
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::Place;
    use crate::document::parse_yaml;

    fn read(text: &str) -> Result<RateLimits, Vec<String>> {
        let document = parse_yaml("m.yaml", text).unwrap();
        let mut reader = Reader::default();
        let limits = reader.rate_limits(&document);
        if reader.problems.is_empty() {
            return Ok(limits);
        }
        Err(reader.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn everything_that_is_said_is_read() {
        let limits = read(
            "
requests_per_second: 2
burst: 4
concurrent_requests: 3
strategy: token_bucket
scope: endpoint
quotas:
  - { name: points, remaining: /cost/left, limit: /cost/max, cost: /cost/used, window_seconds: 60 }
  - { remaining: X-Left, reset: X-Ends, reset_format: epoch_milliseconds }
retry_after:
  - { from: X-Retry-Ms, format: milliseconds }
  - { from: /error/until, format: instant }
",
        )
        .unwrap();
        assert_eq!(limits.scope, Scope::Endpoint);
        let [points, left] = &limits.quotas[..] else {
            panic!("{:?}", limits.quotas)
        };
        assert_eq!(points.name, "declared points");
        assert_eq!(points.remaining, Place::Body("/cost/left".parse().unwrap()));
        assert_eq!(points.window, Some(Duration::from_mins(1)));
        assert!(points.limit.is_some() && points.cost.is_some());
        assert_eq!(left.reset, Some(Place::Header("x-ends".to_owned())));
        assert_eq!(left.format, TimeFormat::EpochMilliseconds);
        assert_eq!(limits.waits.len(), 2);
        assert_eq!(limits.waits[0].from, Place::Header("x-retry-ms".to_owned()));
    }

    #[test]
    fn what_cannot_be_honoured_is_told_with_place_and_fix() {
        for (text, expected) in [
            (
                "burst: 4",
                "1:1: rate_limits has a burst without requests_per_second",
            ),
            (
                "concurrent_requests: 0",
                "make it a whole number from 1 to 1000",
            ),
            ("strategy: leaky", "unknown strategy of rate_limits"),
            ("scope: host", "1:8: unknown scope of rate_limits"),
            ("quotas: []", "make it a list of 1 to 16"),
            (
                "quotas: [{ remaining: X }]",
                "has no reset or window_seconds",
            ),
            ("quotas: [{ reset: X }]", "has no remaining"),
            (
                "quotas: [{ remaining: X, reset: Y, reset_format: unix }]",
                "use one of: auto, seconds",
            ),
            (
                "quotas: [{ remaning: X, window_seconds: 1 }]",
                "did you mean \"remaining\"?",
            ),
            ("retry_after: [{ format: seconds }]", "has no from"),
        ] {
            let problems = read(text).unwrap_err().join("\n");
            assert!(problems.contains(expected), "{text}: {problems}");
        }
    }
}
