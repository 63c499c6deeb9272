//! The manifest itself, its check, and what it says of the configuration.

use super::{Component, Kind::*, Place, of, opt, req};

pub(super) const STREAMS: &[&str] = &[
    "DeclarativeStream",
    "StateDelegatingStream",
    "ConditionalStreams",
];
const CONFIG_CHANGES: &[&str] = &[
    "ConfigRemapField",
    "ConfigAddFields",
    "ConfigRemoveFields",
    "CustomConfigTransformation",
];
const VALIDATIONS: &[&str] = &["ValidateAdheresToSchema", "CustomValidationStrategy"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "DeclarativeSource",
        "A provider described as data.",
        &[
            opt(
                "streams",
                Components(STREAMS),
                "The kinds of record that can be read.",
            ),
            opt(
                "dynamic_streams",
                Components(&["DynamicDeclarativeStream"]),
                "Streams made from a template and values.",
            ),
            opt(
                "check",
                Component(&["CheckStream", "CheckDynamicStream"]),
                "What proves that a connector works.",
            ),
            opt(
                "spec",
                Component(&["Spec"]),
                "What a connector must be told.",
            ),
            opt(
                "version",
                Text,
                "Version of the format that the manifest was written for; a hint only.",
            ),
            opt("definitions", Any, "Parts to refer to by $ref."),
            opt("schemas", Any, "Schemas to refer to by $ref."),
            opt(
                "metadata",
                Any,
                "What other readers than Airbyte look at: `connector` is this worker's.",
            ),
            opt(
                "concurrency_level",
                Component(&["ConcurrencyLevel"]),
                "How much may be read at once.",
            ),
            opt(
                "api_budget",
                Component(&["HTTPAPIBudget"]),
                "How many calls the provider allows.",
            ),
            opt(
                "stream_groups",
                Any,
                "Streams that must not be read at the same time; streams are read one after another here.",
            ),
            opt(
                "max_concurrent_async_job_count",
                Count(Place::Config),
                "Jobs that may run at the provider at once.",
            ),
            opt("description", Text, "What the manifest is for."),
        ],
    ),
    of(
        "CheckStream",
        "Proves a connector by reading the start of streams.",
        &[
            opt("stream_names", Texts, "The streams."),
            opt(
                "dynamic_streams_check_configs",
                Components(&["DynamicStreamCheckConfig"]),
                "Streams that are made from a template.",
            ),
            opt(
                "config_overrides",
                Any,
                "Configuration used by the check alone.",
            ),
        ],
    ),
    of(
        "DynamicStreamCheckConfig",
        "How many streams of a template are checked.",
        &[
            req("dynamic_stream_name", Text, "Name of the template."),
            opt(
                "stream_count",
                Integer,
                "How many of its streams; all where it is left out.",
            )
            .or("0"),
        ],
    ),
    of(
        "CheckDynamicStream",
        "Proves a connector by reading streams that are made from a template.",
        &[
            req("stream_count", Integer, "How many of them."),
            opt(
                "use_check_availability",
                Flag,
                "Whether they are read, or only made.",
            )
            .or("true"),
            opt(
                "config_overrides",
                Any,
                "Configuration used by the check alone.",
            ),
        ],
    ),
    of(
        "Spec",
        "What a connector must be told: `providerConfig` is checked against it.",
        &[
            req(
                "connection_specification",
                Schema,
                "JSON Schema of the configuration; secrets carry airbyte_secret.",
            ),
            opt(
                "documentation_url",
                Text,
                "Address of a page that explains it.",
            ),
            opt(
                "advanced_auth",
                Any,
                "How a user grants access in a browser.",
            ),
            opt(
                "config_normalization_rules",
                Component(&["ConfigNormalizationRules"]),
                "How older configuration becomes current, and what must hold of it.",
            ),
        ],
    ),
    of(
        "ConfigNormalizationRules",
        "How configuration is brought into shape before it is used.",
        &[
            opt(
                "config_migrations",
                Components(&["ConfigMigration"]),
                "From older shapes to the current one.",
            ),
            opt(
                "transformations",
                Components(CONFIG_CHANGES),
                "Changes made every time.",
            ),
            opt(
                "validations",
                Components(&["DpathValidator", "PredicateValidator"]),
                "What must hold.",
            ),
        ],
    ),
    of(
        "ConfigMigration",
        "Brings configuration from an older shape to the current one.",
        &[
            opt("description", Text, "What it is for."),
            req(
                "transformations",
                Components(CONFIG_CHANGES),
                "The changes, in order.",
            ),
        ],
    ),
    of(
        "ConfigRemapField",
        "Replaces a value of the configuration by what a map says.",
        &[
            req("map", Json(Place::Config), "Old values and new."),
            req("field_path", Path(Place::Config), "Where the value stands."),
        ],
    ),
    of(
        "ConfigAddFields",
        "Adds values to the configuration.",
        &[
            req(
                "fields",
                Components(&["AddedFieldDefinition"]),
                "The values.",
            ),
            opt(
                "condition",
                Template(Place::Property),
                "Whether they are added.",
            ),
        ],
    ),
    of(
        "ConfigRemoveFields",
        "Removes values from the configuration.",
        &[
            req("field_pointers", Paths(Place::Config), "Where they stand."),
            opt(
                "condition",
                Template(Place::Property),
                "Whether one is removed.",
            ),
        ],
    ),
    of(
        "DpathValidator",
        "Checks the values at a path of the configuration.",
        &[
            req("field_path", Path(Place::Config), "The path."),
            req(
                "validation_strategy",
                Component(VALIDATIONS),
                "What must hold of them.",
            ),
        ],
    ),
    of(
        "PredicateValidator",
        "Checks one value.",
        &[
            req("value", Json(Place::Config), "The value."),
            req(
                "validation_strategy",
                Component(VALIDATIONS),
                "What must hold of it.",
            ),
        ],
    ),
    of(
        "ValidateAdheresToSchema",
        "Holds a value to a JSON Schema.",
        &[req(
            "base_schema",
            Any,
            "The schema, or a template that gives it.",
        )],
    ),
    super::custom("CustomConfigTransformation"),
    super::custom("CustomValidationStrategy"),
];
