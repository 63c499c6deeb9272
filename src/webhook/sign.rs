//! Signs a recorded delivery as its provider would: what `webhook send` sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use thiserror::Error;

use super::delivery::Delivery;
use super::place::scalar;
use super::scheme::{Encoding, Hmac, Jwt, Scheme, Stamp, StampPlace, Token, Unit};
use super::verify::{Key, encode_hex, key_of, tag};
use super::{Place, jwt};
use crate::connector::WebhookSecret;
use crate::json::{self, Pointer};

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
    #[error("the secret is empty or not of the form that the scheme wants (base64)")]
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
        Scheme::Hmac(hmac) => with_hmac(hmac, scheme, secret, &mut signed, now)?,
        Scheme::Token(token) => with_token(token, secret, &mut signed)?,
        Scheme::Jwt(jwt) => with_jwt(jwt, secret, delivery, &mut signed, now)?,
    }
    Ok(signed)
}

fn with_hmac(
    hmac: &Hmac,
    scheme: &Scheme,
    secret: &WebhookSecret,
    signed: &mut Signed,
    now: Timestamp,
) -> Result<(), Unsignable> {
    let Some(Key::Hmac(key)) = key_of(scheme, secret) else {
        return Err(Unsignable::Secret);
    };
    let mut timestamp = None;
    let mut before = String::new();
    if let Some(stamp) = &hmac.stamp {
        let text = now_in(stamp, now);
        match &stamp.place {
            StampPlace::Item(prefix) => {
                before = format!("{prefix}{text}{}", hmac.separator.unwrap_or(','));
            }
            StampPlace::At(Place::Header(name)) => {
                signed.headers.insert(name, value_of(&text)?);
            }
            StampPlace::At(Place::Query(name)) => add_parameter(&mut signed.query, name, &text),
            StampPlace::At(Place::Body(pointer)) => {
                signed.body = with_scalar(&signed.body, pointer, &text)
                    .ok_or_else(|| Unsignable::Timestamp(pointer.to_string()))?;
            }
        }
        timestamp = Some(text);
    }
    let tag = tag(
        hmac,
        &key,
        &signed.headers,
        timestamp.as_deref(),
        &signed.body,
    )
    .ok_or(Unsignable::Header)?;
    let encoded = match hmac.encoding {
        Encoding::Hex => encode_hex(tag.as_ref()),
        Encoding::Base64 => STANDARD.encode(tag.as_ref()),
    };
    let value = format!("{before}{}{encoded}", hmac.prefix);
    signed.headers.insert(&hmac.header, value_of(&value)?);
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
            let mut text = Vec::new();
            json::write_string(secret.expose(), &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            let missing = || Unsignable::Token(pointer.to_string());
            let path = |pointer: &Pointer| pointer.parts().to_vec();
            let pointers = match &token.each {
                None => vec![pointer.clone()],
                Some(list) => {
                    let parts = path(list);
                    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                    let elements = json::elements(&signed.body, &parts).ok().flatten();
                    let count = elements.ok_or_else(missing)?.len();
                    let nth = |n: usize| {
                        let parts = path(list).into_iter().chain([n.to_string()]);
                        Pointer::of(parts.chain(path(pointer)))
                    };
                    (0..count).map(nth).collect()
                }
            };
            for pointer in pointers {
                signed.body = with_scalar(&signed.body, &pointer, &text).ok_or_else(missing)?;
            }
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

/// `body` with another scalar at `pointer`, every other byte as it was.
fn with_scalar(body: &Bytes, pointer: &Pointer, json: &str) -> Option<Bytes> {
    scalar(body, pointer)?;
    let old = json::get(body, pointer)?;
    let start = old.as_ptr() as usize - body.as_ptr() as usize;
    let end = start + old.len();
    Some(
        [&body[..start], json.as_bytes(), &body[end..]]
            .concat()
            .into(),
    )
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
