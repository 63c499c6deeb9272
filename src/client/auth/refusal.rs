//! What a refusal of a token endpoint means, in words that say what to do.

use std::fmt::Write as _;

use super::answer;
use crate::client::{Response, without_query};
use crate::json::Value;
use crate::telemetry::redacted;

/// Longest text of a provider that is repeated, in characters.
const MAX_CHARS: usize = 200;

/// Errors that say: later.
const PASSING: [&str; 4] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "ratelimited",
];

/// Errors about the client, not the grant.
const CLIENT: [&str; 5] = [
    "invalid_client",
    "invalid_client_id",
    "bad_client_secret",
    "incorrect_client_credentials",
    "unauthorized_client",
];

/// Errors that say that a grant or refresh token is no longer good.
const DEAD: [&str; 9] = [
    "invalid_grant",
    "invalid_refresh_token",
    "bad_refresh_token",
    "token_revoked",
    "token_expired",
    "access_denied",
    "interaction_required",
    "consent_required",
    "login_required",
];

/// What an answer of a token endpoint refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing: the answer may hold a token.
    None,
    /// The endpoint cannot answer now.
    Passing,
    /// Credentials: asking again changes nothing.
    Final,
}

/// Reads an answer that may be a refusal whatever its status: some answer errors with 200.
pub(super) fn read(response: &Response) -> Refusal {
    let code = error_code(&response.body);
    let status = response.status.as_u16();
    match (status, code) {
        (_, Some(code)) if PASSING.contains(&code.as_str()) => Refusal::Passing,
        (200..=299, None) => Refusal::None,
        (408 | 429 | 500.., _) => Refusal::Passing,
        _ => Refusal::Final,
    }
}

/// `error` of an answer without a token.
fn error_code(body: &[u8]) -> Option<String> {
    let value = answer::document(body).ok()?;
    match value.get("error") {
        Some(Value::String(code)) if !code.is_empty() => Some(code.clone()),
        // `{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}`
        Some(Value::Object(error)) => {
            let named = ["status", "code", "message"]
                .iter()
                .find_map(|name| error.get(*name)?.as_str());
            Some(named.unwrap_or("error").to_owned())
        }
        _ => None,
    }
}

/// What to tell the operator of a failure that passes.
pub(super) fn passing_words(response: &Response) -> String {
    let place = without_query(&response.url);
    match error_code(&response.body) {
        Some(code) => format!("{place} answered {} ({})", response.status, redacted(&code)),
        None => format!("{place} answered {}", response.status),
    }
}

/// What to tell the operator. `has_grant`: whether a refresh token was sent.
pub(super) fn words(response: &Response, has_grant: bool) -> String {
    let code = error_code(&response.body);
    let place = without_query(&response.url);
    let said = match (&code, description(&response.body)) {
        (Some(code), Some(text)) => format!("{code}: {text}"),
        (Some(code), None) => code.clone(),
        (None, Some(text)) => text,
        (None, None) => String::new(),
    };
    let said = redacted(&said).into_owned();
    let mut words = format!("{place} answered {}", response.status);
    if !said.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(words, " ({said})");
    }
    let advice = match code.as_deref() {
        Some(code) if CLIENT.contains(&code) && !is_about_the_grant(&said) => {
            "the client id or the client secret is wrong"
        }
        Some("invalid_scope") => "a scope that is asked for is not granted to this client",
        Some(code) if has_grant && (DEAD.contains(&code) || is_about_the_grant(&said)) => {
            "the refresh token is expired, revoked or already used: authorise again and configure \
             the new refresh token"
        }
        Some("invalid_grant") => {
            "the key or the assertion is not accepted: check the key, whom it is for, and this \
             machine's clock"
        }
        _ => "the credentials are not accepted",
    };
    format!("{words}: {advice}")
}

/// Atlassian answers `unauthorized_client` for a refresh token that is dead.
fn is_about_the_grant(said: &str) -> bool {
    let said = said.to_ascii_lowercase().replace('_', " ");
    said.contains("refresh token") || said.contains("invalid grant")
}

fn description(body: &[u8]) -> Option<String> {
    let value = answer::document(body).ok()?;
    let text = ["error_description", "message", "detail", "errorMessage"]
        .iter()
        .find_map(|name| value.get(name)?.as_str())
        .or_else(|| value.get("error")?.get("message")?.as_str())?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    })
}

/// Whether a refusal says that the credential is good but does not reach so far: then a new token
/// changes nothing. The words that say it, with the scopes that they name.
pub fn lacks_scope(response: &Response) -> Option<String> {
    let headers = &response.headers;
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let mut found = Vec::new();
    let challenge = header("www-authenticate").unwrap_or_default();
    if challenge.contains("insufficient_scope") {
        found.push(match parameter(&challenge, "scope") {
            Some(scope) => format!("the scope {scope} is needed"),
            None => "a scope is missing".to_owned(),
        });
    }
    let status = response.status.as_u16();
    if let Ok(value) = answer::document(&response.body) {
        found.extend(named_in(&value));
    }
    if status == 403 || status == 404 {
        if let Some(accepted) = header("x-accepted-github-permissions") {
            found.push(format!("the permission {accepted} is needed"));
        }
        if let (Some(accepted), Some(granted)) =
            (header("x-accepted-oauth-scopes"), scopes(headers))
        {
            let has = |wanted: &str| granted.split([',', ' ']).any(|scope| scope == wanted);
            if !accepted.split(',').any(|wanted| has(wanted.trim())) {
                found.push(format!(
                    "one of the scopes {accepted} is needed, and the token has {}",
                    if granted.is_empty() { "none" } else { &granted }
                ));
            }
        }
        if let Some(sso) = header("x-github-sso").filter(|sso| sso.starts_with("required")) {
            let url = parameter(&sso, "url").unwrap_or_default();
            found.push(format!(
                "the organisation wants the token authorised for single sign-on {url}"
            ));
        }
    }
    found.dedup();
    (!found.is_empty()).then(|| redacted(&found.join("; ")).into_owned())
}

fn scopes(headers: &http::HeaderMap) -> Option<String> {
    let value = headers.get("x-oauth-scopes")?.to_str().ok()?;
    Some(value.trim().to_owned())
}

/// What a body says about scopes: RFC 6750's error, Slack's and Dropbox's fields, Google's reason,
/// Atlassian's gateway.
fn named_in(value: &Value) -> Option<String> {
    let text_at = |path: &[&str]| {
        let found = path.iter().try_fold(value, |at, name| at.get(name))?;
        found.as_str().map(str::to_owned)
    };
    let scope = [
        &["scope"][..],
        &["needed"],
        &["required_scope"],
        &["error", "required_scope"],
    ]
    .iter()
    .find_map(|path| text_at(path));
    let error = text_at(&["error"])
        .or_else(|| text_at(&["error", ".tag"]))
        .or_else(|| text_at(&["error_summary"]))
        .unwrap_or_default();
    let is_scope_error = ["insufficient_scope", "missing_scope"]
        .iter()
        .any(|code| error.starts_with(code))
        || text_at(&["message"]).is_some_and(|text| text.contains("scope does not match"));
    if is_scope_error {
        return Some(match scope {
            Some(scope) => format!("the scope {scope} is needed"),
            None => "a scope is missing".to_owned(),
        });
    }
    let is_google = value
        .get("error")
        .and_then(|error| error.get("details"))
        .and_then(Value::as_array)
        .is_some_and(|details| {
            details.iter().any(|detail| {
                detail.get("reason").and_then(Value::as_str)
                    == Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT")
            })
        });
    is_google.then(|| "the token was issued with too few scopes".to_owned())
}

/// `name="value"` or `name=value` in a header.
fn parameter(header: &str, name: &str) -> Option<String> {
    let (_, rest) = header.split_once(&format!("{name}="))?;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([',', ';']).next()?,
    };
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (
                        http::HeaderName::from_static(name),
                        http::HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect(),
            body: body.to_owned().into(),
            url: "https://auth.test/token?secret=1".parse().unwrap(),
        }
    }

    #[test]
    fn refusals_say_whose_fault_it_is() {
        for (status, body, advice) in [
            (400, r#"{"error":"invalid_grant"}"#, "authorise again"),
            (
                403,
                r#"{"error":"unauthorized_client","error_description":"refresh_token is invalid"}"#,
                "authorise again",
            ),
            (200, r#"{"error":"bad_refresh_token"}"#, "authorise again"),
            (
                200,
                r#"{"ok":false,"error":"invalid_refresh_token"}"#,
                "authorise again",
            ),
            (
                401,
                r#"{"error":"invalid_client"}"#,
                "the client id or the client secret is wrong",
            ),
            (
                400,
                r#"{"error":"invalid_scope"}"#,
                "a scope that is asked for",
            ),
            (403, "<html>", "the credentials are not accepted"),
        ] {
            let response = response(status, &[], body);
            assert_eq!(read(&response), Refusal::Final, "{body}");
            let words = words(&response, true);
            assert!(words.contains(advice), "{words}");
            assert!(!words.contains("secret=1"), "{words}");
        }
        let key = response(400, &[], r#"{"error":"invalid_grant"}"#);
        assert!(words(&key, false).contains("this machine's clock"));
    }

    #[test]
    fn passing_failures_and_answers_are_no_refusals() {
        for (status, body, expected) in [
            (200, r#"{"access_token":"a"}"#, Refusal::None),
            (200, "<html>", Refusal::None),
            (503, "", Refusal::Passing),
            (429, "", Refusal::Passing),
            (
                400,
                r#"{"error":"temporarily_unavailable"}"#,
                Refusal::Passing,
            ),
        ] {
            assert_eq!(read(&response(status, &[], body)), expected, "{body}");
        }
    }

    #[test]
    fn a_missing_scope_is_told_from_a_wrong_token() {
        for (status, headers, body, expected) in [
            (
                403,
                &[(
                    "www-authenticate",
                    r#"Bearer error="insufficient_scope", scope="read_api""#,
                )][..],
                "",
                Some("the scope read_api is needed"),
            ),
            (
                401,
                &[],
                r#"{"error":{".tag":"missing_scope","required_scope":"files.metadata.read"}}"#,
                Some("the scope files.metadata.read is needed"),
            ),
            (
                403,
                &[],
                r#"{"error":"insufficient_scope","scope":"api"}"#,
                Some("the scope api is needed"),
            ),
            (
                401,
                &[],
                r#"{"code":401,"message":"Unauthorized; scope does not match"}"#,
                Some("a scope is missing"),
            ),
            (
                404,
                &[
                    ("x-accepted-oauth-scopes", "repo"),
                    ("x-oauth-scopes", "gist, user"),
                ],
                "{}",
                Some("one of the scopes repo is needed, and the token has gist, user"),
            ),
            (
                404,
                &[
                    ("x-accepted-oauth-scopes", "repo"),
                    ("x-oauth-scopes", "repo"),
                ],
                "{}",
                None,
            ),
            (
                403,
                &[("x-accepted-github-permissions", "issues=read")],
                "{}",
                Some("the permission issues=read is needed"),
            ),
            (401, &[], r#"{"message":"Bad credentials"}"#, None),
        ] {
            let found = lacks_scope(&response(status, headers, body));
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }
}
