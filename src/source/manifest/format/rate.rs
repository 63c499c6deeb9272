//! How much may be asked, and at once.

use super::{Component, Kind::*, Place, of, opt, req};

const POLICIES: &[&str] = &[
    "FixedWindowCallRatePolicy",
    "MovingWindowCallRatePolicy",
    "UnlimitedCallRatePolicy",
];
const MATCHERS: &[&str] = &["HttpRequestRegexMatcher"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "ConcurrencyLevel",
        "How much may be read at once.",
        &[
            req("default_concurrency", Count(Place::Config), "As a rule."),
            opt("max_concurrency", Integer, "At most."),
        ],
    ),
    of(
        "HTTPAPIBudget",
        "How many calls the provider allows.",
        &[
            req(
                "policies",
                Components(POLICIES),
                "The first whose matchers fit a request counts.",
            ),
            opt(
                "ratelimit_reset_header",
                Text,
                "Header with the instant at which the count starts anew.",
            )
            .or("\"ratelimit-reset\""),
            opt(
                "ratelimit_remaining_header",
                Text,
                "Header with the calls that are left.",
            )
            .or("\"ratelimit-remaining\""),
            opt(
                "status_codes_for_ratelimit_hit",
                Integers,
                "Statuses that say that none are left.",
            )
            .or("[429]"),
        ],
    ),
    of(
        "FixedWindowCallRatePolicy",
        "So many calls in each period.",
        &[
            req("period", Duration(Place::Config), "The period."),
            req("call_limit", Count(Place::Config), "Calls in it."),
            req("matchers", Components(MATCHERS), "Which requests count."),
        ],
    ),
    of(
        "MovingWindowCallRatePolicy",
        "So many calls in any stretch of time.",
        &[
            req(
                "rates",
                Components(&["Rate"]),
                "The rates; all of them hold.",
            ),
            req("matchers", Components(MATCHERS), "Which requests count."),
        ],
    ),
    of(
        "UnlimitedCallRatePolicy",
        "As many calls as one likes.",
        &[req("matchers", Components(MATCHERS), "Which requests.")],
    ),
    of(
        "Rate",
        "So many calls in so much time.",
        &[
            req("limit", Count(Place::Config), "Calls."),
            req("interval", Duration(Place::Config), "Time."),
        ],
    ),
    of(
        "HttpRequestRegexMatcher",
        "Which requests a policy is about; without fields, all.",
        &[
            opt("method", Text, "Method."),
            opt("url_base", Text, "Start of the address."),
            opt("url_path_pattern", Regex, "Regular expression of the path."),
            opt("params", Any, "Query parameters."),
            opt("headers", Any, "Headers."),
            opt(
                "weight",
                Count(Place::Config),
                "Calls that one such request counts as.",
            ),
        ],
    ),
];
