//! From answers to records.

use super::{Component, Kind::*, Place, idle, of, opt, req};

pub(super) const EXTRACTORS: &[&str] = &[
    "DpathExtractor",
    "CombinedExtractor",
    "CustomRecordExtractor",
];
pub(super) const DOWNLOADS: &[&str] = &[
    "DpathExtractor",
    "CombinedExtractor",
    "ResponseToFileExtractor",
    "CustomRecordExtractor",
];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "RecordSelector",
        "Extracts, filters and rewrites records.",
        &[
            req(
                "extractor",
                Component(EXTRACTORS),
                "Where the records stand in an answer.",
            ),
            opt(
                "record_filter",
                Component(&["RecordFilter", "CustomRecordFilter"]),
                "Which of them are kept.",
            ),
            opt(
                "schema_normalization",
                ChoiceOrComponent(&["None", "Default"], &["CustomSchemaNormalization"]),
                "Whether values are made to fit the schema.",
            ),
            opt(
                "transform_before_filtering",
                Flag,
                "Whether records are rewritten before they are filtered.",
            ),
        ],
    ),
    of(
        "DpathExtractor",
        "The records at a path.",
        &[
            req(
                "field_path",
                Path(Place::Config),
                "The path; `*` is every element, and an empty one the whole answer.",
            ),
            opt(
                "record_expander",
                Component(&["RecordExpander"]),
                "How the elements of a nested list become records.",
            ),
            opt(
                "decoder",
                Component(super::decode::NAMES),
                "Has no effect: the retriever decodes.",
            ),
        ],
    ),
    idle(
        "CombinedExtractor",
        "The records of several extractors.",
        &[
            req("extractors", Components(EXTRACTORS), "The extractors."),
            opt(
                "mode",
                Choice(&["union", "first_match"]),
                "Whether all of them count or the first that finds something.",
            )
            .or("\"union\""),
            opt(
                "skip_empty_records",
                Flag,
                "Whether empty records are dropped.",
            )
            .or("false"),
        ],
    ),
    idle(
        "ResponseToFileExtractor",
        "Rows of a large file.",
        &[opt(
            "preserve_na_values",
            Flag,
            "Whether texts such as NA stay texts.",
        )
        .or("false")],
    ),
    idle(
        "RecordExpander",
        "Elements of a nested list become records.",
        &[
            req(
                "expand_records_from_field",
                Path(Place::Config),
                "Where the list stands.",
            ),
            opt(
                "remain_original_record",
                Flag,
                "Whether each keeps the record it comes from.",
            )
            .or("false"),
            opt(
                "parent_fields",
                Components(&["ParentFieldPath"]),
                "Fields of that record that each gets.",
            ),
            opt("merge_parent", Flag, "Whether each gets all of them.").or("false"),
            opt(
                "on_no_records",
                Choice(&["skip", "emit_parent"]),
                "What becomes of a record without elements.",
            )
            .or("\"skip\""),
            opt(
                "truncation_indicator_path",
                Path(Place::Config),
                "Where the record says that its list is cut.",
            ),
            opt(
                "truncated_list_retriever",
                Component(&["SimpleRetriever", "CustomRetriever"]),
                "Reads such a list whole.",
            ),
        ],
    ),
    idle(
        "ParentFieldPath",
        "A field of the record that an element comes from.",
        &[
            req("parent_path", Path(Place::Config), "Where it stands there."),
            req("record_path", Path(Place::Config), "Where it goes."),
        ],
    ),
    of(
        "RecordFilter",
        "Keeps the records for which a condition holds.",
        &[opt("condition", Template(Place::Filter), "The condition.").or("\"\"")],
    ),
    super::custom("CustomRecordExtractor"),
    super::custom("CustomRecordFilter"),
    super::custom("CustomSchemaNormalization"),
];
