//! What answers mean, and how long to wait.

use super::{Component, Kind::*, Place, idle, of, opt, req};

pub(super) const HANDLERS: &[&str] = &[
    "DefaultErrorHandler",
    "CompositeErrorHandler",
    "CustomErrorHandler",
];
const BACKOFFS: &[&str] = &[
    "ConstantBackoffStrategy",
    "ExponentialBackoffStrategy",
    "WaitTimeFromHeader",
    "WaitUntilTimeFromHeader",
    "WaitTimeFromResponse",
    "CustomBackoffStrategy",
];
const ACTIONS: &[&str] = &[
    "SUCCESS",
    "FAIL",
    "RETRY",
    "IGNORE",
    "RATE_LIMITED",
    "RESET_PAGINATION",
    "REFRESH_TOKEN_THEN_RETRY",
    "REDUCE_PAGE_SIZE",
    "SPLIT_REQUEST_WINDOW",
];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "DefaultErrorHandler",
        "Filters that say what answers mean, and how to wait before asking again.",
        &[
            opt(
                "response_filters",
                Components(&["HttpResponseFilter"]),
                "Asked in order; the first that matches counts.",
            ),
            opt(
                "backoff_strategies",
                Components(BACKOFFS),
                "Asked in order; the first that knows counts.",
            ),
            opt(
                "max_retries",
                Count(Place::Config),
                "How often a request is repeated.",
            )
            .or("5"),
        ],
    ),
    of(
        "CompositeErrorHandler",
        "Several handlers, asked in order.",
        &[req("error_handlers", Components(HANDLERS), "The handlers.")],
    ),
    of(
        "HttpResponseFilter",
        "What an answer means if one of the conditions holds.",
        &[
            opt("action", Choice(ACTIONS), "What to do."),
            opt(
                "failure_type",
                Choice(&["system_error", "config_error", "transient_error"]),
                "Whose fault it is.",
            ),
            opt("error_message", Template(Place::Answer), "What to say."),
            opt(
                "error_message_contains",
                Text,
                "Holds if the answer's message contains it.",
            ),
            opt("http_codes", Integers, "Holds for these statuses."),
            opt(
                "predicate",
                Template(Place::Predicate),
                "Holds if this is true.",
            ),
        ],
    ),
    of(
        "ConstantBackoffStrategy",
        "The same wait every time.",
        &[
            req(
                "backoff_time_in_seconds",
                Amount(Place::Config),
                "The wait.",
            ),
            opt("jitter_range_in_seconds", Number, "By how much it varies."),
        ],
    ),
    of(
        "ExponentialBackoffStrategy",
        "Twice as long every time.",
        &[
            opt(
                "factor",
                Amount(Place::Config),
                "What the power of two is multiplied by, in seconds.",
            )
            .or("5"),
            opt("jitter_range_in_seconds", Number, "By how much it varies."),
        ],
    ),
    of(
        "WaitTimeFromHeader",
        "Seconds to wait stand in a header.",
        &[
            req("header", Template(Place::Config), "The header."),
            opt("regex", Regex, "Which part of it."),
            opt(
                "max_waiting_time_in_seconds",
                Amount(Place::Config),
                "A longer wait is a failure.",
            ),
        ],
    ),
    of(
        "WaitUntilTimeFromHeader",
        "The instant to wait for stands in a header, in seconds since 1970.",
        &[
            req("header", Template(Place::Config), "The header."),
            opt(
                "min_wait",
                Amount(Place::Config),
                "The shortest wait, in seconds.",
            ),
            opt("regex", Regex, "Which part of it."),
            opt(
                "max_waiting_time_in_seconds",
                Amount(Place::Config),
                "A longer wait is a failure.",
            ),
        ],
    ),
    idle(
        "WaitTimeFromResponse",
        "Seconds to wait stand in the answer.",
        &[
            req("wait_time_in_seconds", Template(Place::Answer), "Where."),
            opt(
                "max_waiting_time_in_seconds",
                Amount(Place::Config),
                "A longer wait is a failure.",
            ),
        ],
    ),
    super::custom("CustomErrorHandler"),
    super::custom("CustomBackoffStrategy"),
];
