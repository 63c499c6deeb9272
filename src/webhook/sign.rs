//! Signs a recorded delivery as its provider would: what `webhook send` sends.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use thiserror::Error;

use super::delivery::Delivery;
use super::scheme::{Jwt, Scheme, Signature, Stamp, StampPlace, Token, Unit};
use super::signature::{content, made};
use super::{Place, jwt, token};
use crate::connector::WebhookSecret;

/// How long a token that is made here is valid.
const TOKEN_SECONDS: i64 = 180;

/// A delivery with everything that proves where it comes from.
#[derive(Debug)]
pub struct Signed {
    /// Headers, the signature included.
    pub headers: HeaderMap,
    /// Query, the token included where it stands there.
    pub query: Option<String>,
    /// Body: as recorded, but for a time that is part of the signature.
    pub body: Bytes,
}

/// Why a delivery cannot be signed.
#[derive(Debug, Error)]
pub enum Unsignable {
    /// The secret has not the form that the scheme wants.
    #[error(
        "the secret is empty or not of the form that the scheme wants (base64; of ed25519 the private key)"
    )]
    Secret,
    /// The body has no time where the provider puts it.
    #[error("the body has no time at {0}")]
    Timestamp(String),
    /// The body has no place for the token.
    #[error("the body has no token at {0}")]
    Token(String),
    /// A header is signed that the delivery does not have.
    #[error("the delivery lacks a header that is part of the signature")]
    Header,
    /// Only an identity provider can.
    #[error("only its issuer can sign an identity token; use another of the manifest's signatures")]
    Issuer,
    /// The value cannot stand in a header.
    #[error("the secret cannot stand in a header")]
    Value,
}

/// Signs `delivery` with `scheme` at `now`.
pub fn sign<S>(
    scheme: &Scheme,
    secret: &WebhookSecret,
    delivery: &Delivery<S>,
    now: Timestamp,
) -> Result<Signed, Unsignable> {
    let mut signed = Signed {
        headers: delivery.headers.clone(),
        query: delivery.query.clone(),
        body: delivery.body.clone(),
    };
    match scheme {
        Scheme::Signature(scheme) => with_signature(scheme, secret, &mut signed, now)?,
        Scheme::Token(token) => with_token(token, secret, &mut signed)?,
        Scheme::Jwt(jwt) => with_jwt(jwt, secret, delivery, &mut signed, now)?,
        Scheme::Oidc(_) => return Err(Unsignable::Issuer),
    }
    Ok(signed)
}

fn with_signature(
    scheme: &Signature,
    secret: &WebhookSecret,
    signed: &mut Signed,
    now: Timestamp,
) -> Result<(), Unsignable> {
    if secret.expose().is_empty() {
        return Err(Unsignable::Secret);
    }
    let mut timestamp = None;
    let mut before = String::new();
    if let Some(stamp) = &scheme.stamp {
        let text = now_in(stamp, now);
        match &stamp.place {
            StampPlace::Item(prefix) => {
                before = format!("{prefix}{text}{}", scheme.separator.unwrap_or(','));
            }
            StampPlace::At(Place::Header(name)) => {
                signed.headers.insert(name, value_of(&text)?);
            }
            StampPlace::At(Place::Query(name)) => add_parameter(&mut signed.query, name, &text),
            StampPlace::At(Place::Body(pointer)) => {
                signed.body = token::with_scalar(&signed.body, pointer, &text)
                    .ok_or_else(|| Unsignable::Timestamp(pointer.to_string()))?;
            }
        }
        timestamp = Some(text);
    }
    let parts = content(scheme, &signed.headers, timestamp.as_deref(), &signed.body)
        .ok_or(Unsignable::Header)?;
    let value = made(scheme, secret, &parts).ok_or(Unsignable::Secret)?;
    let value = format!("{before}{value}");
    signed.headers.insert(&scheme.header, value_of(&value)?);
    Ok(())
}

fn with_token(
    token: &Token,
    secret: &WebhookSecret,
    signed: &mut Signed,
) -> Result<(), Unsignable> {
    match &token.place {
        Place::Header(name) => {
            let mut value = value_of(secret.expose())?;
            value.set_sensitive(true);
            signed.headers.insert(name, value);
        }
        Place::Query(name) => add_parameter(&mut signed.query, name, secret.expose()),
        Place::Body(pointer) => {
            signed.body = token::replaced(token, &signed.body, secret.expose())
                .ok_or_else(|| Unsignable::Token(pointer.to_string()))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    qsh: Option<String>,
}

fn with_jwt<S>(
    scheme: &Jwt,
    secret: &WebhookSecret,
    delivery: &Delivery<S>,
    signed: &mut Signed,
    now: Timestamp,
) -> Result<(), Unsignable> {
    let claims = Claims {
        iat: now.as_second(),
        exp: now.as_second() + TOKEN_SECONDS,
        qsh: scheme.query_hash.then(|| jwt::query_hash(delivery)),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    let token = encode(&Header::default(), &claims, &key).map_err(|_| Unsignable::Secret)?;
    let text = format!("{}{token}", scheme.prefix);
    match &scheme.place {
        Place::Header(name) => drop(signed.headers.insert(name, value_of(&text)?)),
        Place::Query(name) => add_parameter(&mut signed.query, name, &text),
        Place::Body(pointer) => return Err(Unsignable::Token(pointer.to_string())),
    }
    Ok(())
}

fn now_in(stamp: &Stamp, now: Timestamp) -> String {
    match stamp.unit {
        Unit::Seconds => now.as_second().to_string(),
        Unit::Milliseconds => now.as_millisecond().to_string(),
    }
}

fn value_of(text: &str) -> Result<HeaderValue, Unsignable> {
    HeaderValue::from_str(text).map_err(|_| Unsignable::Value)
}

fn add_parameter(query: &mut Option<String>, name: &str, value: &str) {
    let before = query.take().unwrap_or_default();
    let kept = url::form_urlencoded::parse(before.as_bytes()).filter(|(key, _)| key != name);
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(kept).append_pair(name, value);
    *query = Some(out.finish());
}

/// Headers that a recorded delivery needs beside its signature.
impl Signed {
    /// Sets a header unless the recording has it.
    pub fn default_header(&mut self, name: &HeaderName, value: &str) -> Result<(), Unsignable> {
        if !self.headers.contains_key(name) {
            self.headers.insert(name, value_of(value)?);
        }
        Ok(())
    }
}
