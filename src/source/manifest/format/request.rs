//! Requests: address, options, body.

use super::{Component, Kind::*, Place, idle, of, opt, req};

const BODIES: &[&str] = &[
    "RequestBodyJsonObject",
    "RequestBodyUrlEncodedForm",
    "RequestBodyPlainText",
    "RequestBodyGraphQL",
];
const RETRIEVERS: &[&str] = &["SimpleRetriever", "CustomRetriever"];

pub(super) const COMPONENTS: &[Component] = &[
    of(
        "HttpRequester",
        "How to ask the provider.",
        &[
            opt("url", Template(Place::Request), "Address."),
            opt(
                "url_base",
                Template(Place::Request),
                "Address that `path` is joined to; the older spelling of `url`.",
            ),
            opt("path", Template(Place::Request), "Path below the address."),
            opt(
                "http_method",
                Choice(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
                "Method.",
            )
            .or("\"GET\""),
            opt(
                "authenticator",
                Component(super::auth::NAMES),
                "How requests prove who sends them.",
            ),
            opt(
                "request_parameters",
                Templates(Place::Request, &["QueryProperties"]),
                "Query of the address.",
            ),
            opt(
                "request_headers",
                Templates(Place::Request, &[]),
                "Headers.",
            ),
            opt("request_body", Component(BODIES), "Body."),
            opt(
                "request_body_json",
                Json(Place::Request),
                "Body as JSON; the older spelling of `request_body`.",
            ),
            opt(
                "request_body_data",
                Templates(Place::Request, &[]),
                "Body as a form or text; the older spelling of `request_body`.",
            ),
            opt(
                "error_handler",
                Component(super::errors::HANDLERS),
                "What answers mean.",
            ),
            opt(
                "use_cache",
                Flag,
                "Whether the same request is sent once in a read.",
            )
            .or("false"),
            opt(
                "query_properties",
                Component(&["QueryProperties"]),
                "Properties to ask for.",
            ),
            opt(
                "fetch_properties_from_endpoint",
                Component(&["PropertiesFromEndpoint"]),
                "The older spelling of `query_properties`.",
            ),
            opt(
                "connect_timeout_in_seconds",
                Number,
                "Bound on connecting; a connector's own timeout counts here.",
            ),
            opt(
                "read_timeout_in_seconds",
                Number,
                "Bound on the answer; a connector's own timeout counts here.",
            ),
            opt(
                "use_tcp_keepalive",
                Flag,
                "Whether idle connections are kept alive.",
            )
            .or("false"),
        ],
    ),
    of(
        "RequestOption",
        "Where a value goes in a request.",
        &[
            req(
                "inject_into",
                Choice(&["request_parameter", "header", "body_data", "body_json"]),
                "Query, headers, form or JSON body.",
            ),
            opt("field_name", Template(Place::Config), "Its name there."),
            opt(
                "field_path",
                Path(Place::Config),
                "Its path in a JSON body.",
            ),
        ],
    ),
    of(
        "RequestPath",
        "The page token is the address of the next page.",
        &[],
    ),
    of(
        "RequestBodyJsonObject",
        "A JSON body.",
        &[req("value", Json(Place::Request), "The object.")],
    ),
    of(
        "RequestBodyUrlEncodedForm",
        "A form as body.",
        &[req("value", Templates(Place::Request, &[]), "The fields.")],
    ),
    of(
        "RequestBodyPlainText",
        "A text as body.",
        &[req("value", Template(Place::Request), "The text.")],
    ),
    of(
        "RequestBodyGraphQL",
        "A GraphQL query as body.",
        &[req(
            "value",
            Component(&["RequestBodyGraphQlQuery"]),
            "The query.",
        )],
    ),
    Component {
        open: true,
        ..of(
            "RequestBodyGraphQlQuery",
            "A GraphQL query.",
            &[req(
                "query",
                Template(Place::Request),
                "The query's text; braces of GraphQL stand single.",
            )],
        )
    },
    idle(
        "QueryProperties",
        "Asks for fields of records by name, in portions.",
        &[
            req(
                "property_list",
                TextsOrComponent(&["PropertiesFromEndpoint"]),
                "The fields.",
            ),
            opt(
                "always_include_properties",
                Texts,
                "Fields that every portion holds.",
            ),
            opt(
                "property_chunking",
                Component(&["PropertyChunking"]),
                "How large a portion is.",
            ),
            opt(
                "property_selector",
                Component(&["JsonSchemaPropertySelector"]),
                "Which fields the schema leaves.",
            ),
        ],
    ),
    idle(
        "PropertiesFromEndpoint",
        "Fields that the provider names.",
        &[
            req(
                "property_field_path",
                Path(Place::Config),
                "Where the name stands in a record.",
            ),
            req("retriever", Component(RETRIEVERS), "Reads the fields."),
        ],
    ),
    idle(
        "PropertyChunking",
        "How large a portion of fields is.",
        &[
            req(
                "property_limit_type",
                Choice(&["characters", "property_count"]),
                "What is counted.",
            ),
            opt("property_limit", Integer, "How many."),
            opt(
                "record_merge_strategy",
                Component(&["GroupByKeyMergeStrategy"]),
                "How the portions of a record become one.",
            ),
        ],
    ),
    idle(
        "GroupByKeyMergeStrategy",
        "Records with the same key become one.",
        &[req("key", Key, "The key.")],
    ),
    idle(
        "JsonSchemaPropertySelector",
        "Only fields that the schema holds.",
        &[opt(
            "transformations",
            Components(super::transform::NAMES),
            "What is done to the schema's names first.",
        )],
    ),
    super::custom("CustomRequester"),
];
