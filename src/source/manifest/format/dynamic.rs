//! Streams that are made from a template.

use super::{Component, Kind::*, Place, of, opt, req};

const RESOLVERS: &[&str] = &[
    "HttpComponentsResolver",
    "ConfigComponentsResolver",
    "ParametrizedComponentsResolver",
];
const MAPPING: &[&str] = &["ComponentMappingDefinition"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "DynamicDeclarativeStream",
        "Streams made from one template and many values.",
        &[
            opt("name", Text, "Name of the template."),
            req(
                "stream_template",
                Component(&["DeclarativeStream", "StateDelegatingStream"]),
                "What the streams have in common.",
            ),
            req(
                "components_resolver",
                Component(RESOLVERS),
                "Where the values come from.",
            ),
            opt(
                "use_parent_parameters",
                Flag,
                "Whether the template's $parameters win over the components'.",
            )
            .or("true"),
        ],
    ),
    of(
        "HttpComponentsResolver",
        "One stream per record of a request.",
        &[
            req(
                "retriever",
                Component(&["SimpleRetriever", "AsyncRetriever", "CustomRetriever"]),
                "Reads the records.",
            ),
            req(
                "components_mapping",
                Components(MAPPING),
                "What goes where in the template.",
            ),
        ],
    ),
    of(
        "ConfigComponentsResolver",
        "One stream per value of a list in the configuration.",
        &[
            req(
                "stream_config",
                ComponentOrList(&["StreamConfig"]),
                "Where the list stands.",
            ),
            req(
                "components_mapping",
                Components(MAPPING),
                "What goes where in the template.",
            ),
        ],
    ),
    of(
        "ParametrizedComponentsResolver",
        "One stream per entry of a list in the manifest.",
        &[
            req(
                "stream_parameters",
                Component(&["StreamParametersDefinition"]),
                "The list.",
            ),
            req(
                "components_mapping",
                Components(MAPPING),
                "What goes where in the template.",
            ),
        ],
    ),
    of(
        "StreamParametersDefinition",
        "A list of values for streams.",
        &[req(
            "list_of_parameters_for_stream",
            Any,
            "One map per stream.",
        )],
    ),
    of(
        "StreamConfig",
        "A list in the configuration.",
        &[
            req("configs_pointer", Path(Place::Config), "Where it stands."),
            opt(
                "default_values",
                Any,
                "Entries that are there without configuration.",
            ),
        ],
    ),
    of(
        "ComponentMappingDefinition",
        "One value that goes into a template.",
        &[
            req("field_path", Path(Place::Mapping), "Where it goes."),
            req("value", Template(Place::Mapping), "The value."),
            opt(
                "value_type",
                Choice(super::transform::VALUE_TYPES),
                "Its type.",
            ),
            opt("create_or_update", Flag, "Whether it may be new there.").or("false"),
            opt(
                "condition",
                Template(Place::Mapping),
                "Whether it goes there.",
            ),
        ],
    ),
];
