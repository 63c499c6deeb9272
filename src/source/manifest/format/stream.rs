//! Streams and how they are retrieved.

use super::{Component, Kind::*, Place, idle, of, opt, req};

const RETRIEVERS: &[&str] = &["SimpleRetriever", "AsyncRetriever", "CustomRetriever"];
const LOADERS: &[&str] = &[
    "InlineSchemaLoader",
    "JsonFileSchemaLoader",
    "DynamicSchemaLoader",
    "CustomSchemaLoader",
];
const REQUESTERS: &[&str] = &["HttpRequester", "CustomRequester"];
const PAGINATORS: &[&str] = &["DefaultPaginator", "NoPagination"];

pub(super) const COMPONENTS: &[Component] = &[
    Component {
        open: true,
        ..of(
            "DeclarativeStream",
            "One kind of record.",
            &[
                opt("name", Text, "Name of the stream."),
                req(
                    "retriever",
                    Component(RETRIEVERS),
                    "How its records are read.",
                ),
                opt(
                    "incremental_sync",
                    Component(&["DatetimeBasedCursor", "IncrementingCountCursor"]),
                    "How reading goes on from where it stopped.",
                ),
                opt("primary_key", Key, "What tells its records apart."),
                opt(
                    "schema_loader",
                    ComponentOrList(LOADERS),
                    "Where the schema of its records comes from.",
                ),
                opt(
                    "transformations",
                    Components(super::transform::NAMES),
                    "What is done to each record, in order.",
                ),
                opt(
                    "state_migrations",
                    Components(&["LegacyToPerPartitionStateMigration", "CustomStateMigration"]),
                    "How state of older versions is read.",
                ),
                opt(
                    "file_uploader",
                    Any,
                    "Files that records point at; this worker publishes records only.",
                ),
            ],
        )
    },
    of(
        "StateDelegatingStream",
        "One stream read in two ways: fully at first, then incrementally.",
        &[
            req("name", Text, "Name of the stream."),
            req(
                "full_refresh_stream",
                Component(&["DeclarativeStream"]),
                "How it is read without state.",
            ),
            req(
                "incremental_stream",
                Component(&["DeclarativeStream"]),
                "How it is read with state.",
            ),
            opt(
                "api_retention_period",
                Duration(Place::Config),
                "How long the provider keeps what is read incrementally.",
            ),
        ],
    ),
    of(
        "ConditionalStreams",
        "Streams that exist where a condition holds.",
        &[
            req("condition", Template(Place::Config), "The condition."),
            req(
                "streams",
                Components(&["DeclarativeStream", "StateDelegatingStream"]),
                "The streams.",
            ),
        ],
    ),
    of(
        "SimpleRetriever",
        "Reads page after page of each slice.",
        &[
            req("requester", Component(REQUESTERS), "How to ask."),
            req(
                "record_selector",
                Component(&["RecordSelector"]),
                "Which records stand in an answer.",
            ),
            opt(
                "decoder",
                Component(super::decode::NAMES),
                "How an answer is read; as JSON where this is left out.",
            ),
            opt(
                "paginator",
                Component(PAGINATORS),
                "How the next page is found; without it there is one page.",
            ),
            opt(
                "partition_router",
                ComponentOrList(super::partition::NAMES),
                "How the stream is cut into partitions; several make every combination.",
            ),
            opt(
                "ignore_stream_slicer_parameters_on_paginated_requests",
                Flag,
                "Whether a page token already says which slice it is of.",
            )
            .or("false"),
            opt(
                "pagination_reset",
                Component(&["PaginationReset"]),
                "When paging starts anew.",
            ),
            opt(
                "page_size_reduction",
                Component(&["PageSizeReduction"]),
                "How pages shrink when they are too large for the provider.",
            ),
            opt(
                "request_window_splitting",
                Component(&["RequestWindowSplitting"]),
                "How windows of time are cut when they hold too much.",
            ),
        ],
    ),
    idle(
        "AsyncRetriever",
        "Asks the provider to prepare records, waits, and fetches them.",
        &[
            req(
                "record_selector",
                Component(&["RecordSelector"]),
                "Which records stand in what was prepared.",
            ),
            req(
                "status_mapping",
                Component(&["AsyncJobStatusMap"]),
                "What the provider's words for a job's state mean.",
            ),
            req(
                "status_extractor",
                Component(super::records::EXTRACTORS),
                "Where the state of a job stands.",
            ),
            opt(
                "download_target_extractor",
                Component(super::records::EXTRACTORS),
                "Where the addresses of the results stand.",
            ),
            opt(
                "download_extractor",
                Component(super::records::DOWNLOADS),
                "Which records stand in a result.",
            ),
            req("creation_requester", Component(REQUESTERS), "Starts a job."),
            req(
                "polling_requester",
                Component(REQUESTERS),
                "Asks for its state.",
            ),
            opt(
                "polling_job_timeout",
                Count(Place::Config),
                "Minutes that a job may take.",
            ),
            opt(
                "failed_retry_wait_time_in_seconds",
                Count(Place::Config),
                "Wait before a failed job is started anew.",
            ),
            opt(
                "download_target_requester",
                Component(REQUESTERS),
                "Asks for the addresses of the results.",
            ),
            req(
                "download_requester",
                Component(REQUESTERS),
                "Fetches a result.",
            ),
            opt(
                "download_paginator",
                Component(PAGINATORS),
                "How the next page of a result is found.",
            ),
            opt(
                "abort_requester",
                Component(REQUESTERS),
                "Ends a job that takes too long.",
            ),
            opt(
                "delete_requester",
                Component(REQUESTERS),
                "Removes a job that is done.",
            ),
            opt(
                "partition_router",
                ComponentOrList(super::partition::NAMES),
                "How the stream is cut into partitions.",
            ),
            opt(
                "decoder",
                Component(super::decode::NAMES),
                "How answers about jobs are read.",
            ),
            opt(
                "download_decoder",
                Component(super::decode::NAMES),
                "How results are read.",
            ),
        ],
    ),
    idle(
        "AsyncJobStatusMap",
        "What the provider's words for a job's state mean.",
        &[
            req("running", Texts, "Still at work."),
            req("completed", Texts, "Done."),
            req("failed", Texts, "Went wrong."),
            req("timeout", Texts, "Took too long."),
            opt("skipped", Texts, "Nothing to do."),
        ],
    ),
    idle(
        "PaginationReset",
        "Starts paging anew where the provider lists no further.",
        &[
            req(
                "action",
                Choice(&["SPLIT_USING_CURSOR", "RESET"]),
                "Whether the cursor moves on first.",
            ),
            opt(
                "limits",
                Component(&["PaginationResetLimits"]),
                "When it happens.",
            ),
        ],
    ),
    idle(
        "PaginationResetLimits",
        "When paging starts anew.",
        &[opt("number_of_records", Integer, "After so many records.")],
    ),
    idle(
        "PageSizeReduction",
        "Asks for smaller pages when the provider cannot make the wanted ones.",
        &[
            opt("reduction_factor", Number, "What a size is divided by.").or("2"),
            opt("minimum_page_size", Integer, "The smallest.").or("1"),
            opt("max_attempts", Integer, "How often one page shrinks.").or("5"),
            opt("backoff_seconds", Number, "Wait before the smaller page.").or("0.5"),
            opt(
                "retries_at_minimum_page_size",
                Integer,
                "How often the smallest is asked for.",
            )
            .or("0"),
            opt(
                "failure_message",
                Text,
                "What is said when that does not help.",
            ),
            opt(
                "reset_policy",
                Choice(&["NEVER", "AFTER_SUCCESSFUL_PAGE"]),
                "When the size is the wanted one again.",
            )
            .or("\"NEVER\""),
        ],
    ),
    idle(
        "RequestWindowSplitting",
        "Cuts a window of time in two when it holds too much.",
        &[
            opt(
                "failure_message",
                Text,
                "What is said when that does not help.",
            ),
            opt(
                "min_split_window",
                Duration(Place::Config),
                "The smallest window.",
            ),
        ],
    ),
    Component {
        open: true,
        ..of(
            "LegacyToPerPartitionStateMigration",
            "Reads state that has one cursor per parent.",
            &[],
        )
    },
    super::custom("CustomRetriever"),
    super::custom("CustomStateMigration"),
];
