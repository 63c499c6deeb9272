//! Where schemas of records come from.

use super::{Component, Kind::*, Place, of, opt, req};

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "InlineSchemaLoader",
        "The schema stands in the manifest.",
        &[opt("schema", Schema, "The schema.")],
    ),
    of(
        "JsonFileSchemaLoader",
        "The schema is a file.",
        &[opt(
            "file_path",
            Template(Place::Config),
            "Its path; ./schemas/STREAM.json where this is left out.",
        )],
    ),
    of(
        "DynamicSchemaLoader",
        "The provider describes its records.",
        &[
            req(
                "retriever",
                Component(&["SimpleRetriever", "AsyncRetriever", "CustomRetriever"]),
                "Reads the description.",
            ),
            opt(
                "schema_filter",
                Component(&["RecordFilter", "CustomRecordFilter"]),
                "Which fields are kept.",
            ),
            opt(
                "schema_transformations",
                Components(super::transform::NAMES),
                "What is done to the schema.",
            ),
            req(
                "schema_type_identifier",
                Component(&["SchemaTypeIdentifier"]),
                "Where names and types stand.",
            ),
        ],
    ),
    of(
        "SchemaTypeIdentifier",
        "Where the names and types of fields stand.",
        &[
            opt(
                "schema_pointer",
                Path(Place::Config),
                "Where the fields are listed.",
            )
            .or("[]"),
            req(
                "key_pointer",
                Path(Place::Config),
                "Where a field's name stands.",
            ),
            opt(
                "type_pointer",
                Path(Place::Config),
                "Where its type stands.",
            ),
            opt(
                "types_mapping",
                Components(&["TypesMap"]),
                "What the provider's types are in JSON Schema.",
            ),
        ],
    ),
    of(
        "TypesMap",
        "What a type of the provider is in JSON Schema.",
        &[
            req("target_type", Any, "The type there."),
            req(
                "current_type",
                TemplateOrTexts(Place::Config),
                "The provider's.",
            ),
            opt(
                "condition",
                Template(Place::RawSchema),
                "Whether it counts.",
            ),
        ],
    ),
    super::custom("CustomSchemaLoader"),
];
