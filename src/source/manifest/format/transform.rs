//! Transformations of records.

use super::{Component, Kind::*, Place, of, opt, req};

pub(super) const NAMES: &[&str] = &[
    "AddFields",
    "RemoveFields",
    "KeysToLower",
    "KeysToSnakeCase",
    "KeysReplace",
    "FlattenFields",
    "DpathFlattenFields",
    "CustomTransformation",
];
pub(super) const VALUE_TYPES: &[&str] = &["string", "number", "integer", "boolean"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "AddFields",
        "Sets fields from templates.",
        &[
            req(
                "fields",
                Components(&["AddedFieldDefinition"]),
                "The fields, set one after another.",
            ),
            opt(
                "condition",
                Template(Place::Added),
                "Whether one is set; sees its value and path.",
            )
            .or("\"\""),
        ],
    ),
    of(
        "AddedFieldDefinition",
        "One field to set.",
        &[
            req("path", Path(Place::Config), "Where it goes."),
            req("value", Template(Place::Record), "Its value."),
            opt("value_type", Choice(VALUE_TYPES), "Its type."),
        ],
    ),
    of(
        "RemoveFields",
        "Deletes fields.",
        &[
            req(
                "field_pointers",
                Paths(Place::Config),
                "Their paths; `*` is every key, `**` every depth.",
            ),
            opt(
                "condition",
                Template(Place::Property),
                "Whether one is deleted; sees it as property.",
            )
            .or("\"\""),
        ],
    ),
    of("KeysToLower", "Keys in lower case.", &[]),
    of("KeysToSnakeCase", "Keys in snake case.", &[]),
    of(
        "KeysReplace",
        "Replaces text in keys.",
        &[
            req("old", Template(Place::Record), "The text."),
            req("new", Template(Place::Record), "What it becomes."),
        ],
    ),
    of(
        "FlattenFields",
        "Moves all nested fields to the top.",
        &[opt("flatten_lists", Flag, "Whether lists are flattened, too.").or("true")],
    ),
    of(
        "DpathFlattenFields",
        "Moves the fields of one nested object to the top.",
        &[
            req("field_path", Path(Place::Config), "Where it stands."),
            opt("delete_origin_value", Flag, "Whether it goes."),
            opt(
                "replace_record",
                Flag,
                "Whether its fields are all that stays.",
            ),
            opt(
                "key_transformation",
                Component(&["KeyTransformation"]),
                "What its keys become.",
            ),
        ],
    ),
    of(
        "KeyTransformation",
        "What keys become.",
        &[
            opt("prefix", Template(Place::Config), "Text before them."),
            opt("suffix", Template(Place::Config), "Text after them."),
        ],
    ),
    super::custom("CustomTransformation"),
];
