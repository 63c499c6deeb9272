//! `HTTPAPIBudget`: from the manifest's `api_budget` to the client's budget.

use std::time::Duration;

use regex::Regex;

use super::datetime::Span;
use super::expr::{Expr, unsupported};
use super::fields::{list, optional, problem, required, text, type_of};
use super::template::{Context, Literal};
use crate::client::budget::{Budget, Limit, Matcher, Policy, Rate};
use crate::document::{Kind, Node, Problem};
use crate::json::Value;

/// The budget of a manifest, if it has one. `context` offers the configuration.
pub(super) fn build(document: &Node, context: &Context<'_>) -> Result<Option<Budget>, Problem> {
    let Some(node) = optional(document, "api_budget") else {
        return Ok(None);
    };
    if type_of(node).is_some_and(|kind| kind != "HTTPAPIBudget") {
        return Err(unsupported(node));
    }
    let policies = list(node, "policies")?
        .iter()
        .map(|policy| build_policy(policy, context))
        .collect::<Result<_, _>>()?;
    let header = |key, default: &str| Ok(text(node, key)?.unwrap_or(default).to_ascii_lowercase());
    let statuses = list(node, "status_codes_for_ratelimit_hit")?;
    Ok(Some(Budget {
        policies,
        remaining_header: header("ratelimit_remaining_header", "ratelimit-remaining")?,
        reset_header: header("ratelimit_reset_header", "ratelimit-reset")?,
        hit_statuses: if statuses.is_empty() {
            vec![429]
        } else {
            statuses.iter().filter_map(status).collect()
        },
    }))
}

fn build_policy(node: &Node, context: &Context<'_>) -> Result<Policy, Problem> {
    let limit = match type_of(node) {
        Some("FixedWindowCallRatePolicy") => Limit::Fixed(Rate {
            calls: calls(node, "call_limit", context)?,
            interval: interval(node, "period", context)?,
        }),
        Some("MovingWindowCallRatePolicy") => {
            let rates = list(node, "rates")?
                .iter()
                .map(|rate| {
                    Ok(Rate {
                        calls: calls(rate, "limit", context)?,
                        interval: interval(rate, "interval", context)?,
                    })
                })
                .collect::<Result<Vec<_>, Problem>>()?;
            if rates.is_empty() {
                return Err(problem(
                    node.at,
                    "the policy has no rates",
                    "add at least one",
                ));
            }
            Limit::Moving(rates)
        }
        Some("UnlimitedCallRatePolicy") => Limit::Unlimited,
        _ => return Err(unsupported(node)),
    };
    let matchers = list(node, "matchers")?
        .iter()
        .map(|matcher| build_matcher(matcher, context))
        .collect::<Result<_, _>>()?;
    Ok(Policy::new(matchers, limit))
}

fn build_matcher(node: &Node, context: &Context<'_>) -> Result<Matcher, Problem> {
    let words = |key| -> Result<Option<String>, Problem> {
        let Some(expr) = Expr::field(node, key)? else {
            return Ok(None);
        };
        let value = expr.text(context);
        let value = value.map_err(|error| problem(node.at, error.to_string(), "mend it"))?;
        Ok(Some(value).filter(|text| !text.is_empty()))
    };
    let path = match optional(node, "url_path_pattern") {
        None => None,
        Some(pattern) => Some(
            Regex::new(pattern.as_str().unwrap_or_default()).map_err(|_| {
                problem(
                    pattern.at,
                    "url_path_pattern is no regular expression that can be read",
                    "check its brackets; look-around and references back are not supported",
                )
            })?,
        ),
    };
    Ok(Matcher {
        method: words("method")?.map(|method| method.to_ascii_uppercase()),
        base: words("url_base")?.map(|base| base.trim_end_matches('/').to_owned()),
        path,
        params: pairs(node, "params", str::to_owned)?,
        headers: pairs(node, "headers", str::to_ascii_lowercase)?,
        weight: match optional(node, "weight") {
            Some(_) => Some(calls(node, "weight", context)?),
            None => None,
        },
    })
}

fn pairs(
    node: &Node,
    key: &str,
    named: impl Fn(&str) -> String,
) -> Result<Vec<(String, String)>, Problem> {
    let Some(map) = optional(node, key) else {
        return Ok(Vec::new());
    };
    map.entries()
        .iter()
        .map(|entry| {
            let value = match entry.value.to_value() {
                Value::String(text) => text,
                value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => value.to_string(),
                _ => {
                    return Err(problem(
                        entry.value.at,
                        format!("{} of {key} is no text", entry.key),
                        "write the value to look for",
                    ));
                }
            };
            Ok((named(&entry.key), value))
        })
        .collect()
}

/// A whole number of calls above zero.
fn calls(node: &Node, key: &str, context: &Context<'_>) -> Result<u64, Problem> {
    let at = required(node, key)?.at;
    let value = Expr::required(node, key)?.value(context);
    match value {
        Ok(Literal::Int(calls @ 1..)) => Ok(calls.unsigned_abs()),
        _ => Err(problem(
            at,
            format!("{key} is no whole number above zero"),
            "write a number, or a template that gives one",
        )),
    }
}

/// A duration of fixed length above zero.
fn interval(node: &Node, key: &str, context: &Context<'_>) -> Result<Duration, Problem> {
    let at = required(node, key)?.at;
    let text = Expr::required(node, key)?.text(context).ok();
    let span = text.and_then(|text| Span::parse(&text).ok());
    let micros = span
        .filter(|span| !span.is_calendar() && span.micros > 0)
        .and_then(|span| u64::try_from(span.micros).ok());
    micros.map(Duration::from_micros).ok_or_else(|| {
        problem(
            at,
            format!("{key} is no duration of fixed length"),
            "write it as ISO 8601, as in PT1M or P1D",
        )
    })
}

fn status(node: &Node) -> Option<u16> {
    match &node.kind {
        Kind::Int(status) => u16::try_from(*status).ok(),
        Kind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::document::parse_yaml;

    fn read(text: &str) -> Result<Option<Budget>, String> {
        let document = parse_yaml("m.yaml", text).unwrap();
        let config: Value = crate::json::parse(br#"{"calls": 7}"#).unwrap();
        build(
            &document,
            &Context::new(Clock::System).with("config", &config),
        )
        .map_err(|problem| problem.to_string())
    }

    #[test]
    fn all_policies_and_matchers_are_read() {
        let budget = read(
            r#"
api_budget:
  type: HTTPAPIBudget
  ratelimit_reset_header: X-Reset
  status_codes_for_ratelimit_hit: [429, 503]
  policies:
    - type: FixedWindowCallRatePolicy
      period: PT1M
      call_limit: "{{ config['calls'] }}"
      matchers:
        - { type: HttpRequestRegexMatcher, method: post, url_base: "https://a.test/", url_path_pattern: "^/x", weight: 3, headers: { X-A: 1 } }
    - type: MovingWindowCallRatePolicy
      rates: [{ type: Rate, limit: 5, interval: PT1S }, { type: Rate, limit: 50, interval: P1D }]
      matchers: []
    - { type: UnlimitedCallRatePolicy, matchers: [] }
"#,
        )
        .unwrap()
        .unwrap();
        assert_eq!(budget.policies.len(), 3);
        assert_eq!(budget.reset_header, "x-reset");
        assert_eq!(budget.remaining_header, "ratelimit-remaining");
        assert_eq!(budget.hit_statuses, [429, 503]);
        assert!(read("streams: []").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_honoured_is_told_with_its_place() {
        for (policy, expected) in [
            (
                "{ type: FixedWindowCallRatePolicy, period: P1M, call_limit: 1, matchers: [] }",
                "2:",
            ),
            (
                "{ type: FixedWindowCallRatePolicy, period: PT1S, call_limit: 0, matchers: [] }",
                "call_limit is no whole number above zero",
            ),
            (
                "{ type: MovingWindowCallRatePolicy, rates: [], matchers: [] }",
                "no rates",
            ),
            ("{ type: Other }", "not supported"),
        ] {
            let error = read(&format!("api_budget:\n  policies: [{policy}]")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
