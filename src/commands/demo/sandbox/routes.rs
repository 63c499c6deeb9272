//! The sandbox's routes: the part of both providers' HTTP that the built-in manifests use.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Query, RawQuery, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    RETRY_AFTER, USER_AGENT,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::issues::{BadSearch, Search};
use super::world::{Fault, Listing};
use super::{API_TOKEN, EMAIL, Shared, lock};

type Parameters = BTreeMap<String, String>;

pub(super) fn router(world: Shared) -> Router {
    Router::new()
        .route(
            "/",
            get(async || answer(StatusCode::OK, JSON, &json!({ "status": "OK" }))),
        )
        .route("/alerts/active", get(alerts))
        .route("/alerts/active/count", get(count))
        .route("/rest/api/2/myself", get(myself))
        .route("/rest/api/3/myself", get(myself))
        .route("/rest/api/3/serverInfo", get(server_info))
        .route(
            "/rest/api/3/search/jql",
            get(search_by_query).post(search_by_body),
        )
        .fallback(async || {
            let body = json!({ "title": "Not Found", "status": 404 });
            answer(StatusCode::NOT_FOUND, PROBLEM, &body)
        })
        .with_state(world)
}

const JSON: &str = "application/json;charset=UTF-8";
const GEO_JSON: &str = "application/geo+json";
const PROBLEM: &str = "application/problem+json";

fn answer(status: StatusCode, content_type: &'static str, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

async fn alerts(
    State(world): State<Shared>,
    RawQuery(raw): RawQuery,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key(USER_AGENT) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let raw = raw.unwrap_or_default();
    let mut world = lock(&world);
    world.catch_up(Listing::Alerts);
    match world.fault(Listing::Alerts) {
        Some(Fault::Limited) => return limited(&json!({ "title": "Too Many Requests" })),
        Some(Fault::Failed) => return failed(PROBLEM),
        None => {}
    }
    let etag = world.alerts.etag(&raw);
    let validators = [
        (ETAG, etag.clone()),
        (LAST_MODIFIED, http_date(world.alerts.updated())),
    ];
    if is_fresh(&headers, &etag, world.alerts.updated()) {
        world.requests.not_modified += 1;
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    let world = &mut *world;
    let selected = match world.alerts.select(&query) {
        Ok(selected) => selected,
        Err(unknown) => return unknown_parameter(&unknown),
    };
    world.requests.alert_listings += 1;
    world.ledger.serve_alerts(&raw, &selected);
    let body = world.alerts.collection(&selected);
    (validators, answer(StatusCode::OK, GEO_JSON, &body)).into_response()
}

async fn count(State(world): State<Shared>) -> Response {
    let total = lock(&world)
        .alerts
        .select(&Parameters::new())
        .map_or(0, |all| all.len());
    answer(StatusCode::OK, JSON, &json!({ "total": total }))
}

/// Whether the asker has this set already; a tag counts for more than a date.
fn is_fresh(headers: &HeaderMap, etag: &str, updated: Timestamp) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(IF_NONE_MATCH), text(IF_MODIFIED_SINCE)) {
        (Some(tags), _) => tags.split(',').any(|tag| tag.trim() == etag),
        (None, Some(date)) => date == http_date(updated),
        (None, None) => false,
    }
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn unknown_parameter(name: &str) -> Response {
    let message = format!("Query parameter \"{name}\" is not recognized");
    let body = json!({
        "title": "Invalid Parameter", "status": 400, "detail": "Bad Request",
        "type": "https://api.weather.gov/problems/InvalidParameter",
        "parameterErrors": [{ "parameter": format!("query.{name}"), "message": message }],
    });
    answer(StatusCode::BAD_REQUEST, PROBLEM, &body)
}

fn limited(body: &Value) -> Response {
    (
        [(RETRY_AFTER, "1")],
        answer(StatusCode::TOO_MANY_REQUESTS, JSON, body),
    )
        .into_response()
}

fn failed(content_type: &'static str) -> Response {
    let body = json!({ "title": "Unexpected Problem", "status": 500 });
    answer(StatusCode::INTERNAL_SERVER_ERROR, content_type, &body)
}

async fn myself(headers: HeaderMap) -> Response {
    if let Some(refused) = refuse(&headers) {
        return refused;
    }
    let body = json!({
        "accountId": "000000:00000000-0000-4000-8000-000000000001", "accountType": "atlassian",
        "active": true, "displayName": "Sandbox", "emailAddress": EMAIL, "timeZone": "Etc/UTC",
    });
    answer(StatusCode::OK, JSON, &body)
}

async fn server_info() -> Response {
    let body = json!({ "deploymentType": "Cloud", "version": "1001.0.0-SNAPSHOT" });
    answer(StatusCode::OK, JSON, &body)
}

async fn search_by_query(
    State(world): State<Shared>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let get = |name: &str| query.get(name).map(String::as_str);
    let search = Search {
        jql: get("jql").unwrap_or_default(),
        fields: get("fields"),
        max_results: get("maxResults").and_then(|text| text.parse().ok()),
        token: get("nextPageToken"),
    };
    search_issues(&world, &headers, &search)
}

async fn search_by_body(
    State(world): State<Shared>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return bad_request("Invalid request payload.");
    };
    let fields = body["fields"].as_array().map(|names| {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(",")
    });
    let search = Search {
        jql: body["jql"].as_str().unwrap_or_default(),
        fields: fields.as_deref(),
        max_results: body["maxResults"]
            .as_u64()
            .and_then(|count| count.try_into().ok()),
        token: body["nextPageToken"].as_str(),
    };
    search_issues(&world, &headers, &search)
}

fn search_issues(world: &Shared, headers: &HeaderMap, search: &Search<'_>) -> Response {
    if let Some(refused) = refuse(headers) {
        return refused;
    }
    let mut world = lock(world);
    if search.token.is_none() {
        world.catch_up(Listing::Issues);
    }
    match world.fault(Listing::Issues) {
        Some(Fault::Limited) => {
            let body = json!({ "errorMessages": ["Rate limit exceeded."], "errors": {} });
            return limited(&body);
        }
        Some(Fault::Failed) => return failed(JSON),
        None => {}
    }
    let found = match world.issues.search(search) {
        Ok(found) => found,
        Err(BadSearch::Unbounded) => {
            return bad_request(
                "Unbounded JQL queries are not allowed here. Please add a search restriction to \
                 your query.",
            );
        }
        Err(BadSearch::Token) => return bad_request("The provided next page token is invalid."),
    };
    world.requests.issue_pages += 1;
    world.ledger.serve_issues(&found.issues);
    let mut body = json!({ "issues": found.issues, "isLast": found.next.is_none() });
    if let Some(token) = found.next {
        body["nextPageToken"] = json!(token);
    }
    answer(StatusCode::OK, JSON, &body)
}

fn bad_request(message: &str) -> Response {
    let body = json!({ "errorMessages": [message], "errors": {} });
    answer(StatusCode::BAD_REQUEST, JSON, &body)
}

/// The answer to anybody but [`EMAIL`] with [`API_TOKEN`].
fn refuse(headers: &HeaderMap) -> Option<Response> {
    let expected = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{EMAIL}:{API_TOKEN}"))
    );
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    (given != Some(&expected)).then(|| {
        let message = "Client must be authenticated to access this resource.";
        let body = json!({ "message": message, "status-code": 401 });
        answer(StatusCode::UNAUTHORIZED, JSON, &body)
    })
}
