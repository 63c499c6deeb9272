//! Authenticators.

use super::{Component, Kind::*, Place, idle, of, opt, req};

pub(super) const NAMES: &[&str] = &[
    "NoAuth",
    "ApiKeyAuthenticator",
    "BearerAuthenticator",
    "BasicHttpAuthenticator",
    "OAuthAuthenticator",
    "SessionTokenAuthenticator",
    "LegacySessionTokenAuthenticator",
    "JwtAuthenticator",
    "SelectiveAuthenticator",
    "RateLimitedMultipleTokenAuthenticator",
    "GithubAppAuthenticator",
    "GoogleServiceAccountAuthenticator",
    "GoogleDefaultAuthenticator",
    "CustomAuthenticator",
];
const ALGORITHMS: &[&str] = &[
    "HS256", "HS384", "HS512", "ES256", "ES256K", "ES384", "ES512", "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512", "EdDSA",
];

pub(super) const COMPONENTS: &[Component] = &[
    of("NoAuth", "No credentials.", &[]),
    of(
        "ApiKeyAuthenticator",
        "A key, wherever the provider wants it.",
        &[
            opt("api_token", Template(Place::Config), "The key."),
            opt(
                "header",
                Template(Place::Config),
                "Header for it; `inject_into` says more.",
            ),
            opt(
                "inject_into",
                Component(&["RequestOption"]),
                "Where it goes.",
            ),
        ],
    ),
    of(
        "BearerAuthenticator",
        "`Authorization: Bearer …`",
        &[req("api_token", Template(Place::Config), "The token.")],
    ),
    of(
        "BasicHttpAuthenticator",
        "`Authorization: Basic …`",
        &[
            req("username", Template(Place::Config), "Name."),
            opt("password", Template(Place::Config), "Password.").or("\"\""),
        ],
    ),
    of(
        "SelectiveAuthenticator",
        "One of several, chosen by a value of the configuration.",
        &[
            req(
                "authenticator_selection_path",
                Texts,
                "Where the value stands.",
            ),
            req(
                "authenticators",
                ComponentMap(NAMES),
                "Which value chooses which.",
            ),
        ],
    ),
    of(
        "OAuthAuthenticator",
        "Access tokens that are fetched and renewed.",
        &[
            opt(
                "client_id_name",
                Template(Place::Config),
                "Name of the client's id in a refresh.",
            )
            .or("\"client_id\""),
            opt("client_id", Template(Place::Config), "The client's id."),
            opt(
                "client_secret_name",
                Template(Place::Config),
                "Name of the client's secret in a refresh.",
            )
            .or("\"client_secret\""),
            opt(
                "client_secret",
                Template(Place::Config),
                "The client's secret.",
            ),
            opt(
                "refresh_token_name",
                Template(Place::Config),
                "Name of the refresh token in a refresh.",
            )
            .or("\"refresh_token\""),
            opt(
                "refresh_token",
                Template(Place::Config),
                "The refresh token.",
            ),
            opt(
                "token_refresh_endpoint",
                Template(Place::Config),
                "Address that gives tokens.",
            ),
            opt(
                "access_token_name",
                Template(Place::Config),
                "Where the access token stands in the answer.",
            )
            .or("\"access_token\""),
            opt(
                "access_token_value",
                Template(Place::Config),
                "An access token to begin with.",
            ),
            opt(
                "expires_in_name",
                Template(Place::Config),
                "Where its lifetime stands in the answer.",
            )
            .or("\"expires_in\""),
            opt(
                "grant_type_name",
                Template(Place::Config),
                "Name of the grant in a refresh.",
            )
            .or("\"grant_type\""),
            opt("grant_type", Template(Place::Config), "The grant.").or("\"refresh_token\""),
            opt(
                "refresh_request_body",
                Json(Place::Config),
                "More fields of a refresh.",
            ),
            opt(
                "refresh_request_headers",
                Templates(Place::Config, &[]),
                "Headers of a refresh.",
            ),
            opt(
                "send_refresh_request_as_query_params",
                Flag,
                "Whether a refresh goes into the query instead of the body.",
            )
            .or("false"),
            opt("scopes", Texts, "What access is asked for."),
            opt(
                "token_expiry_date",
                Template(Place::Config),
                "When the first access token ends.",
            ),
            opt(
                "token_expiry_date_format",
                DateFormat,
                "How the answer spells that date.",
            ),
            opt(
                "token_expiry_is_time_of_expiration",
                Flag,
                "Whether the answer holds a date instead of a duration.",
            ),
            opt(
                "refresh_token_error_status_codes",
                Integers,
                "Statuses that say that the refresh token ended.",
            ),
            opt("refresh_token_error_key", Text, "Where the answer says so."),
            opt("refresh_token_error_values", Texts, "What it says then."),
            opt(
                "refresh_token_updater",
                Component(&["RefreshTokenUpdater"]),
                "For refresh tokens that can be used once.",
            ),
            opt(
                "profile_assertion",
                Component(&["JwtAuthenticator"]),
                "A signed token in place of a secret.",
            ),
            opt("use_profile_assertion", Flag, "Whether it is used.").or("false"),
        ],
    ),
    of(
        "RefreshTokenUpdater",
        "Where new tokens are kept in the configuration.",
        &[
            opt(
                "refresh_token_name",
                Text,
                "Name of the refresh token in the answer.",
            )
            .or("\"refresh_token\""),
            opt(
                "access_token_config_path",
                Texts,
                "Where the access token is kept.",
            ),
            opt(
                "refresh_token_config_path",
                Texts,
                "Where the refresh token is kept.",
            ),
            opt(
                "token_expiry_date_config_path",
                Texts,
                "Where the end of the access token is kept.",
            ),
            opt(
                "refresh_token_error_status_codes",
                Integers,
                "Statuses that say that the refresh token ended.",
            ),
            opt("refresh_token_error_key", Text, "Where the answer says so."),
            opt("refresh_token_error_values", Texts, "What it says then."),
        ],
    ),
    of(
        "JwtAuthenticator",
        "A token that is signed for each use.",
        &[
            req(
                "secret_key",
                Template(Place::Config),
                "What it is signed with.",
            ),
            opt(
                "base64_encode_secret_key",
                Template(Place::Config),
                "Whether the key is encoded first.",
            )
            .or("false"),
            req("algorithm", Choice(ALGORITHMS), "How it is signed."),
            opt("token_duration", Integer, "Lifetime in seconds.").or("1200"),
            opt(
                "header_prefix",
                Template(Place::Config),
                "Word before the token in the header.",
            ),
            opt(
                "jwt_headers",
                Json(Place::Config),
                "`kid`, `typ`, `cty` of the token.",
            ),
            opt(
                "additional_jwt_headers",
                Json(Place::Config),
                "More of its headers.",
            ),
            opt(
                "jwt_payload",
                Json(Place::Config),
                "`iss`, `sub`, `aud` of the token.",
            ),
            opt(
                "additional_jwt_payload",
                Json(Place::Config),
                "More of its claims.",
            ),
            opt(
                "passphrase",
                Template(Place::Config),
                "What the key is encrypted with.",
            ),
            opt(
                "request_option",
                Component(&["RequestOption"]),
                "Where it goes, if not into Authorization.",
            ),
        ],
    ),
    of(
        "SessionTokenAuthenticator",
        "Logs in, and uses the token that the login gives.",
        &[
            req("login_requester", Component(&["HttpRequester"]), "Logs in."),
            req(
                "session_token_path",
                Texts,
                "Where the token stands in the answer.",
            ),
            opt(
                "expiration_duration",
                Duration(Place::Config),
                "How long it lasts.",
            ),
            req(
                "request_authentication",
                Variant(&[
                    ("ApiKey", "SessionTokenRequestApiKeyAuthenticator"),
                    ("Bearer", "SessionTokenRequestBearerAuthenticator"),
                ]),
                "How requests carry it.",
            ),
            opt(
                "decoder",
                Component(&["JsonDecoder", "XmlDecoder"]),
                "How the answer of the login is read.",
            ),
        ],
    ),
    of(
        "SessionTokenRequestApiKeyAuthenticator",
        "The token goes wherever the provider wants it.",
        &[
            req(
                "inject_into",
                Component(&["RequestOption"]),
                "Where it goes.",
            ),
            opt("api_token", Template(Place::Session), "What is sent."),
        ],
    ),
    of(
        "SessionTokenRequestBearerAuthenticator",
        "`Authorization: Bearer …`",
        &[],
    ),
    of(
        "LegacySessionTokenAuthenticator",
        "Logs in with name and password; the older form of SessionTokenAuthenticator.",
        &[
            req("header", Template(Place::Config), "Header for the token."),
            req("login_url", Template(Place::Config), "Path that logs in."),
            opt(
                "session_token",
                Template(Place::Config),
                "A token to begin with.",
            ),
            req(
                "session_token_response_key",
                Template(Place::Config),
                "Name of the token in the answer.",
            ),
            opt("username", Template(Place::Config), "Name."),
            opt("password", Template(Place::Config), "Password.").or("\"\""),
            req(
                "validate_session_url",
                Template(Place::Config),
                "Path that proves a token.",
            ),
        ],
    ),
    idle(
        "RateLimitedMultipleTokenAuthenticator",
        "Several tokens, used in turn as their quotas allow.",
        &[
            req("tokens", TemplateOrTexts(Place::Config), "The tokens."),
            opt("token_delimiter", Text, "What stands between them.").or("\",\""),
            opt("auth_method", Text, "Word before the token.").or("\"Bearer\""),
            opt("header", Text, "Header for the token.").or("\"Authorization\""),
            req(
                "quota_status_source",
                Component(&["QuotaStatusSource"]),
                "Where quotas are asked for.",
            ),
            req("quotas", Components(&["TokenQuota"]), "The quotas."),
            opt(
                "max_wait_time",
                Duration(Place::Config),
                "Longest wait for a quota.",
            )
            .or("\"PT2H\""),
            opt(
                "budget_reserve_fraction",
                Number,
                "Part of a quota that is left alone.",
            )
            .or("0.1"),
            opt(
                "budget_min_reserve",
                Integer,
                "Calls that are left alone at least.",
            )
            .or("50"),
        ],
    ),
    idle(
        "QuotaStatusSource",
        "Where quotas are asked for.",
        &[
            req("url", Template(Place::Config), "Address."),
            opt("http_method", Choice(&["GET", "POST"]), "Method.").or("\"GET\""),
            opt("request_headers", Templates(Place::Config, &[]), "Headers."),
            opt(
                "unavailable_status_codes",
                Integers,
                "Statuses that say that there are no quotas.",
            ),
        ],
    ),
    idle(
        "TokenQuota",
        "One quota of a token.",
        &[
            req("name", Text, "Name."),
            req(
                "remaining_path",
                Texts,
                "Where the calls that are left stand.",
            ),
            req(
                "reset_path",
                Texts,
                "Where the instant stands at which it starts anew.",
            ),
            opt("limit_path", Texts, "Where the whole quota stands."),
            opt(
                "matchers",
                Components(&["HttpRequestRegexMatcher"]),
                "Which requests count.",
            ),
            opt(
                "remaining_header",
                Text,
                "Header with the calls that are left.",
            ),
            opt(
                "reset_header",
                Text,
                "Header with the instant at which it starts anew.",
            ),
            opt("limit_header", Text, "Header with the whole quota."),
            opt(
                "exhaustion_status_codes",
                Integers,
                "Statuses that say that nothing is left.",
            ),
        ],
    ),
    of(
        "GithubAppAuthenticator",
        "An installation of a GitHub App; Airbyte does not know it.",
        &[
            req("url_base", Template(Place::Config), "Address of the API."),
            req(
                "app_id",
                Template(Place::Config),
                "The app, or its client ID.",
            ),
            req(
                "private_key",
                Template(Place::Config),
                "The app's key, as PEM.",
            ),
            opt(
                "installation_id",
                Template(Place::Config),
                "The installation; the app's only one where it is left out.",
            ),
            opt(
                "account",
                Template(Place::Config),
                "Whose installation, where there are several.",
            ),
        ],
    ),
    of(
        "GoogleServiceAccountAuthenticator",
        "A key file of Google's; Airbyte does not know it.",
        &[
            req(
                "key",
                Template(Place::Config),
                "The key file: its text, its contents, or its path.",
            ),
            req("scopes", Texts, "What may be done."),
            opt(
                "subject",
                Template(Place::Config),
                "The user to act for, by domain-wide delegation.",
            ),
        ],
    ),
    of(
        "GoogleDefaultAuthenticator",
        "What the machine has: application default credentials; Airbyte does not know it.",
        &[
            req("scopes", Texts, "What may be done."),
            opt(
                "subject",
                Template(Place::Config),
                "The user to act for, by domain-wide delegation.",
            ),
        ],
    ),
    super::custom("CustomAuthenticator"),
];
