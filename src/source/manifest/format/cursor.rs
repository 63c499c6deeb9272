//! Cursors.

use super::{Component, Kind::*, Place, of, opt, req};

const DATES: &[&str] = &["MinMaxDatetime"];
const OPTION: &[&str] = &["RequestOption"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "DatetimeBasedCursor",
        "Reads windows of time, and goes on from the newest record.",
        &[
            req(
                "cursor_field",
                Template(Place::Config),
                "Field of a record that holds its time.",
            ),
            req(
                "datetime_format",
                DateFormat,
                "How dates are sent, and kept in state.",
            ),
            opt(
                "cursor_datetime_formats",
                DateFormats,
                "How records spell their time, tried in order.",
            ),
            req(
                "start_datetime",
                ComponentOrTemplate(DATES, Place::Config),
                "Where reading begins.",
            ),
            opt(
                "end_datetime",
                ComponentOrTemplate(DATES, Place::Config),
                "Where it ends; now, where this is left out.",
            ),
            opt(
                "start_time_option",
                Component(OPTION),
                "Where the start of a window goes in a request.",
            ),
            opt("end_time_option", Component(OPTION), "Where its end goes."),
            opt(
                "step",
                Duration(Place::Config),
                "Length of a window; goes with cursor_granularity.",
            ),
            opt(
                "cursor_granularity",
                Duration(Place::Config),
                "The smallest difference between two dates; goes with step.",
            ),
            opt(
                "lookback_window",
                Duration(Place::Config),
                "How far a read goes back behind what is known.",
            ),
            opt(
                "partition_field_start",
                Template(Place::Config),
                "Key of a window's start in stream_interval.",
            )
            .or("\"start_time\""),
            opt(
                "partition_field_end",
                Template(Place::Config),
                "Key of its end.",
            )
            .or("\"end_time\""),
            opt(
                "is_data_feed",
                Flag,
                "Whether the newest records come first, and paging stops at known ones.",
            ),
            opt(
                "is_client_side_incremental",
                Flag,
                "Whether known records are dropped here, as the provider cannot filter.",
            ),
            opt(
                "is_compare_strictly",
                Flag,
                "Whether a window whose start is its end is left out.",
            )
            .or("false"),
            opt(
                "global_substream_cursor",
                Flag,
                "Whether all partitions share one cursor.",
            )
            .or("false"),
            opt(
                "clamping",
                Component(&["Clamping"]),
                "Whether windows begin and end with whole days, weeks or months.",
            ),
            opt(
                "allow_catalog_defined_cursor_field",
                Flag,
                "Whether a catalog may choose the field.",
            ),
        ],
    ),
    of(
        "Clamping",
        "Windows that begin and end with whole days, weeks or months.",
        &[
            req("target", Template(Place::Config), "DAY, WEEK or MONTH."),
            opt("target_details", Any, "`weekday` on which weeks begin."),
        ],
    ),
    of(
        "MinMaxDatetime",
        "A date, kept between two others.",
        &[
            req("datetime", Template(Place::Config), "The date."),
            opt(
                "datetime_format",
                DateFormat,
                "How it is spelled; as the cursor's where this is left out.",
            ),
            opt(
                "min_datetime",
                Template(Place::Config),
                "The earliest it may be.",
            ),
            opt(
                "max_datetime",
                Template(Place::Config),
                "The latest it may be.",
            ),
        ],
    ),
    of(
        "IncrementingCountCursor",
        "Goes on from the largest number.",
        &[
            req(
                "cursor_field",
                Template(Place::Config),
                "Field of a record that holds the number.",
            ),
            opt("start_value", Count(Place::Config), "Where reading begins."),
            opt(
                "start_value_option",
                Component(OPTION),
                "Where the number goes in a request.",
            ),
            opt(
                "allow_catalog_defined_cursor_field",
                Flag,
                "Whether a catalog may choose the field.",
            ),
        ],
    ),
];
