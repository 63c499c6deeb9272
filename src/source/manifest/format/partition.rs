//! Partition routers.

use super::{Component, Kind::*, Place, of, opt, req};

pub(super) const NAMES: &[&str] = &[
    "ListPartitionRouter",
    "SubstreamPartitionRouter",
    "GroupingPartitionRouter",
    "UnionPartitionRouter",
    "CustomPartitionRouter",
];
const INNER: &[&str] = &[
    "ListPartitionRouter",
    "SubstreamPartitionRouter",
    "UnionPartitionRouter",
    "CustomPartitionRouter",
];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "ListPartitionRouter",
        "A partition per value of a list.",
        &[
            req(
                "cursor_field",
                Template(Place::Config),
                "Key of the value in stream_partition.",
            ),
            req(
                "values",
                TemplateOrTexts(Place::Config),
                "The values, or a template that gives them.",
            ),
            opt(
                "request_option",
                Component(&["RequestOption"]),
                "Where the value goes in a request.",
            ),
        ],
    ),
    of(
        "SubstreamPartitionRouter",
        "A partition per record of other streams.",
        &[req(
            "parent_stream_configs",
            Components(&["ParentStreamConfig"]),
            "The other streams, read one after another.",
        )],
    ),
    of(
        "ParentStreamConfig",
        "A stream whose records are partitions of this one.",
        &[
            req(
                "stream",
                Component(&["DeclarativeStream", "StateDelegatingStream"]),
                "The stream.",
            ),
            req(
                "parent_key",
                Template(Place::Config),
                "Where the value stands in its records.",
            ),
            req(
                "partition_field",
                Template(Place::Config),
                "Key of the value in stream_partition.",
            ),
            opt(
                "request_option",
                Component(&["RequestOption"]),
                "Where the value goes in a request.",
            ),
            opt(
                "incremental_dependency",
                Flag,
                "Whether only parents that changed are read again.",
            )
            .or("false"),
            opt(
                "lazy_read_pointer",
                Path(Place::Config),
                "Where a parent record holds the first of its children.",
            ),
            opt(
                "extra_fields",
                Paths(Place::Config),
                "Fields of a parent record that templates may use.",
            ),
        ],
    ),
    of(
        "GroupingPartitionRouter",
        "Several partitions become one, whose value is a list.",
        &[
            req("group_size", Integer, "How many."),
            req(
                "underlying_partition_router",
                Component(INNER),
                "The partitions.",
            ),
            opt("deduplicate", Flag, "Whether each value counts once.").or("true"),
        ],
    ),
    of(
        "UnionPartitionRouter",
        "The partitions of several routers, each value once.",
        &[
            req(
                "partition_field",
                Template(Place::Config),
                "Key of the value in stream_partition.",
            ),
            req("partition_routers", Components(INNER), "The routers."),
        ],
    ),
    super::custom("CustomPartitionRouter"),
];
