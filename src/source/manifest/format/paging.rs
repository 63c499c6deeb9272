//! Pagination.

use super::{Component, Kind::*, Place, of, opt, req};

const STRATEGIES: &[&str] = &[
    "PageIncrement",
    "OffsetIncrement",
    "CursorPagination",
    "CustomPaginationStrategy",
];

pub(super) const COMPONENTS: &[Component] = &[
    of("NoPagination", "There is one page.", &[]),
    of(
        "DefaultPaginator",
        "Asks for page after page.",
        &[
            req(
                "pagination_strategy",
                Component(STRATEGIES),
                "How the token of the next page is found.",
            ),
            opt(
                "page_token_option",
                Component(&["RequestOption", "RequestPath"]),
                "Where the token goes.",
            ),
            opt(
                "page_size_option",
                Component(&["RequestOption"]),
                "Where the size of a page goes.",
            ),
            opt("decoder", Component(super::decode::NAMES), "Has no effect."),
        ],
    ),
    of(
        "PageIncrement",
        "Pages are numbered.",
        &[
            opt(
                "page_size",
                Count(Place::Config),
                "A page with fewer records is the last.",
            ),
            opt("start_from_page", Integer, "Number of the first page.").or("0"),
            opt(
                "inject_on_first_request",
                Flag,
                "Whether the first page is asked for by its number.",
            )
            .or("false"),
        ],
    ),
    of(
        "OffsetIncrement",
        "The token is how many records were read.",
        &[
            opt(
                "page_size",
                Count(Place::Answer),
                "A page with fewer records is the last.",
            ),
            opt(
                "inject_on_first_request",
                Flag,
                "Whether the first page is asked for by the offset 0.",
            )
            .or("false"),
        ],
    ),
    of(
        "CursorPagination",
        "The answer says where the next page is.",
        &[
            req(
                "cursor_value",
                Template(Place::Page),
                "The token of the next page; empty after the last.",
            ),
            opt("page_size", Count(Place::Config), "Records of a page."),
            opt(
                "stop_condition",
                Template(Place::Page),
                "Whether this page is the last.",
            ),
            opt("decoder", Component(super::decode::NAMES), "Has no effect."),
        ],
    ),
    super::custom("CustomPaginationStrategy"),
];
