//! JSON Web Tokens that a provider signs with the shared secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::Place;
use super::delivery::{Delivery, Unverified};
use super::scheme::Jwt;
use super::signature::encode_hex;
use super::verify::Refusal;
use crate::connector::WebhookSecret;

/// Difference of clocks that is forgiven.
const LEEWAY_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    #[serde(flatten)]
    times: Times,
    #[serde(default)]
    qsh: Option<String>,
}

/// When a token holds.
#[derive(Deserialize)]
pub(super) struct Times {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
}

impl Times {
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        let now = now.as_second();
        let begins = self.nbf.unwrap_or(i64::MIN);
        if now > self.exp.saturating_add(LEEWAY_SECONDS) {
            let age_seconds = now.saturating_sub(self.exp);
            return Err(Refusal::Stale { age_seconds });
        }
        if now.saturating_add(LEEWAY_SECONDS) < begins {
            let age_seconds = now.saturating_sub(begins);
            return Err(Refusal::Stale { age_seconds });
        }
        Ok(())
    }
}

/// The token of a delivery.
pub(super) fn token_of(
    place: &Place,
    prefix: &str,
    delivery: &Delivery<Unverified>,
) -> Result<String, Refusal> {
    let found = place
        .find(&delivery.headers, delivery.query.as_deref(), &[])
        .ok_or(Refusal::Missing)?;
    let token = found.strip_prefix(prefix).ok_or(Refusal::Malformed)?;
    Ok(token.to_owned())
}

/// What a token claims, if `key` signed it. Its times are not looked at: they are compared with
/// the clock that everything else goes by.
pub(super) fn claims<C: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<C, Refusal> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    match decode::<C>(token, key, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) if *error.kind() == ErrorKind::InvalidSignature => Err(Refusal::Mismatch),
        Err(_) => Err(Refusal::Malformed),
    }
}

/// Checks signature and times, and where the scheme says so that the token was made for this
/// request.
pub(super) fn check(
    scheme: &Jwt,
    secrets: &[WebhookSecret],
    delivery: &Delivery<Unverified>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let token = token_of(&scheme.place, &scheme.prefix, delivery)?;
    let mut closest = Refusal::Malformed;
    for secret in secrets {
        match check_with(&token, secret, scheme.query_hash.then_some(delivery), now) {
            Ok(()) => return Ok(()),
            Err(refusal) if refusal.closeness() > closest.closeness() => closest = refusal,
            Err(_) => {}
        }
    }
    Err(closest)
}

fn check_with(
    token: &str,
    secret: &WebhookSecret,
    request: Option<&Delivery<Unverified>>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let claims: Claims = claims(token, &key, Algorithm::HS256)?;
    claims.times.check(now)?;
    let Some(request) = request else {
        return Ok(());
    };
    let given = claims.qsh.ok_or(Refusal::Malformed)?;
    let wanted = query_hash(request);
    if bool::from(given.as_bytes().ct_eq(wanted.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::Mismatch)
    }
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
