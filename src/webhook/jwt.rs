//! JSON Web Tokens that a provider signs with the shared secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::delivery::Delivery;
use super::verify::{Refusal, encode_hex};
use crate::connector::WebhookSecret;

/// Difference of clocks that is forgiven.
const LEEWAY_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    qsh: Option<String>,
}

/// Checks signature and times; where `request` is given also that the token was made for it.
pub(super) fn check<S>(
    token: &str,
    secret: &WebhookSecret,
    request: Option<&Delivery<S>>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut validation = Validation::new(Algorithm::HS256);
    // Compared below, with the clock that everything else goes by.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let claims = decode::<Claims>(token, &key, &validation)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => Refusal::Mismatch,
            _ => Refusal::Malformed,
        })?
        .claims;
    let now = now.as_second();
    if now > claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(Refusal::Stale {
            age_seconds: now.saturating_sub(claims.exp),
        });
    }
    if let Some(from) = claims.nbf
        && now.saturating_add(LEEWAY_SECONDS) < from
    {
        return Err(Refusal::Stale {
            age_seconds: now.saturating_sub(from),
        });
    }
    if let Some(request) = request {
        let given = claims.qsh.ok_or(Refusal::Malformed)?;
        let wanted = query_hash(request);
        if !bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) {
            return Err(Refusal::Mismatch);
        }
    }
    Ok(())
}

/// The hash of a request's method, path and sorted parameters, without the token itself:
/// <https://developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps/#creating-a-query-string-hash>
pub(super) fn query_hash<S>(request: &Delivery<S>) -> String {
    let mut parameters = BTreeMap::<String, Vec<String>>::new();
    let query = request.query.as_deref().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "jwt" {
            let values = parameters.entry(encoded(&name)).or_default();
            values.push(encoded(&value));
        }
    }
    let query: Vec<String> = parameters
        .into_iter()
        .map(|(name, mut values)| {
            values.sort();
            format!("{name}={}", values.join(","))
        })
        .collect();
    let path = match request.path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let canonical = format!(
        "{}&{}&{}",
        request.method,
        path.replace('&', "%26"),
        query.join("&")
    );
    encode_hex(&Sha256::digest(canonical))
}

/// Percent-encoding of all but unreserved characters (RFC 3986).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
