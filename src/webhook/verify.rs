//! The only way from a stranger's request to a [`Delivery<Verified>`].
//!
//! Signatures are computed over the bytes as they were received and compared in constant time.
//! A connector without a secret trusts nobody.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::delivery::{Delivery, Unverified, Verified};
use super::scheme::{
    Content, Encoding, Hash, Hmac, Jwt, KeyForm, Scheme, Stamp, StampPlace, Token, Unit,
};
use super::{Webhooks, jwt, payload};
use crate::connector::WebhookSecret;
use crate::json;

/// Signatures looked at in one header: more are no rotation but an attempt to keep us busy.
const MAX_SIGNATURES: usize = 16;

/// A connector's secrets, ready to check the schemes of its manifest.
#[derive(Clone)]
pub struct Verifier {
    schemes: Vec<Checked>,
    max_body_bytes: usize,
}

#[derive(Clone)]
struct Checked {
    scheme: Scheme,
    /// One for each secret.
    keys: Vec<Arc<Key>>,
}

/// What a secret is to a scheme.
pub(super) enum Key {
    Hmac(Box<hmac::Key>),
    Bytes(WebhookSecret),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} schemes)", self.schemes.len())
    }
}

/// Why a delivery is not trusted. Told to the log, never to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The connector has no secret.
    NoSecret,
    /// The delivery has no signature.
    Missing,
    /// The signature, or what is signed with it, is not as the provider writes it.
    Malformed,
    /// Signed with another secret, or changed on the way.
    Mismatch,
    /// Signed too long ago, or in the future.
    Stale {
        /// Seconds from its time to now.
        age_seconds: i64,
    },
}

impl Refusal {
    /// A word for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::Missing => "signature_missing",
            Self::Malformed => "signature_malformed",
            Self::Mismatch => "signature_mismatch",
            Self::Stale { .. } => "timestamp_stale",
        }
    }

    /// Of several refusals the one that came closest tells most.
    fn closeness(self) -> u8 {
        match self {
            Self::NoSecret => 0,
            Self::Missing => 1,
            Self::Malformed => 2,
            Self::Mismatch => 3,
            Self::Stale { .. } => 4,
        }
    }
}

impl Verifier {
    /// Joins the schemes of a manifest with a connector's secrets. Empty secrets do not count.
    pub fn new(webhooks: &Webhooks, secrets: &[WebhookSecret]) -> Self {
        let schemes = webhooks.schemes.iter().map(|scheme| Checked {
            scheme: scheme.clone(),
            keys: secrets
                .iter()
                .filter_map(|secret| key_of(scheme, secret).map(Arc::new))
                .collect(),
        });
        Self {
            schemes: schemes.collect(),
            max_body_bytes: webhooks.max_body_bytes,
        }
    }

    /// Whether any delivery can be trusted at all.
    pub fn has_secret(&self) -> bool {
        self.schemes.iter().any(|checked| !checked.keys.is_empty())
    }

    /// Checks one delivery against every scheme and secret.
    pub fn verify(
        &self,
        delivery: Delivery<Unverified>,
        now: Timestamp,
    ) -> Result<Delivery<Verified>, Refusal> {
        match self.check(&delivery, &delivery.body, now) {
            Ok(()) => return Ok(delivery.with_trust()),
            // What stands between the provider and here may have compressed what was signed.
            Err(Refusal::Mismatch) => {}
            Err(refusal) => return Err(refusal),
        }
        let plain = payload::decompressed(&delivery.headers, &delivery.body, self.max_body_bytes);
        match plain {
            Ok(plain) if plain != delivery.body => self.check(&delivery, &plain, now)?,
            _ => return Err(Refusal::Mismatch),
        }
        Ok(delivery.with_trust())
    }

    fn check(
        &self,
        delivery: &Delivery<Unverified>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut closest = if self.has_secret() {
            Refusal::Missing
        } else {
            Refusal::NoSecret
        };
        for checked in self
            .schemes
            .iter()
            .filter(|checked| !checked.keys.is_empty())
        {
            let answer = match &checked.scheme {
                Scheme::Hmac(hmac) => check_hmac(
                    hmac,
                    &checked.keys,
                    &delivery.headers,
                    delivery.query.as_deref(),
                    body,
                    now,
                ),
                Scheme::Token(token) => check_token(token, &checked.keys, delivery, body),
                Scheme::Jwt(jwt) => check_jwt(jwt, &checked.keys, delivery, now),
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(refusal) if refusal.closeness() > closest.closeness() => closest = refusal,
                Err(_) => {}
            }
        }
        Err(closest)
    }
}

/// `None` for a secret that cannot be a key of this scheme.
pub(super) fn key_of(scheme: &Scheme, secret: &WebhookSecret) -> Option<Key> {
    let text = secret.expose();
    if text.is_empty() {
        return None;
    }
    let Scheme::Hmac(scheme) = scheme else {
        return Some(Key::Bytes(secret.clone()));
    };
    let algorithm = match scheme.hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    let bytes = match &scheme.key {
        KeyForm::Text => text.as_bytes().to_vec(),
        KeyForm::Base64 { prefix } => {
            let encoded = text.strip_prefix(&**prefix).unwrap_or(text);
            let decoded = STANDARD.decode(encoded);
            decoded.or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?
        }
    };
    (!bytes.is_empty()).then(|| Key::Hmac(Box::new(hmac::Key::new(algorithm, &bytes))))
}

fn check_hmac(
    scheme: &Hmac,
    keys: &[Arc<Key>],
    headers: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut values = headers.get_all(&scheme.header).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let value = value.to_str().map_err(|_| Refusal::Malformed)?.trim();
    let signatures = signatures(scheme, value);
    if signatures.is_empty() {
        return Err(Refusal::Malformed);
    }
    let timestamp = match &scheme.stamp {
        None => None,
        Some(stamp) => {
            Some(stamp_text(stamp, scheme, value, headers, query, body).ok_or(Refusal::Malformed)?)
        }
    };
    let is_signed = |key: &Arc<Key>| {
        let Key::Hmac(key) = &**key else {
            return Ok(false);
        };
        let tag =
            tag(scheme, key, headers, timestamp.as_deref(), body).ok_or(Refusal::Malformed)?;
        // Every signature is looked at, so that the time says nothing of which one fits.
        let fits = (signatures.iter()).fold(0_u8, |fits, signature| {
            fits | signature.as_slice().ct_eq(tag.as_ref()).unwrap_u8()
        });
        Ok(fits == 1)
    };
    let mut is_any = false;
    for key in keys {
        is_any |= is_signed(key)?;
    }
    if !is_any {
        return Err(Refusal::Mismatch);
    }
    match (&scheme.stamp, timestamp) {
        (Some(stamp), Some(text)) => check_age(stamp, &text, now),
        _ => Ok(()),
    }
}

/// The hash of a delivery; `None` when a part of what is hashed is not there.
pub(super) fn tag(
    scheme: &Hmac,
    key: &hmac::Key,
    headers: &HeaderMap,
    timestamp: Option<&str>,
    body: &[u8],
) -> Option<hmac::Tag> {
    let mut context = hmac::Context::with_key(key);
    for part in &scheme.content {
        match part {
            Content::Text(text) => context.update(text.as_bytes()),
            Content::Header(name) => context.update(headers.get(name)?.as_bytes()),
            Content::Timestamp => context.update(timestamp?.as_bytes()),
            Content::Body => context.update(body),
        }
    }
    Some(context.sign())
}

/// The decoded signatures of a header.
fn signatures(scheme: &Hmac, value: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| match scheme.encoding {
        Encoding::Hex => decode_hex(text),
        Encoding::Base64 => STANDARD.decode(text).ok(),
    };
    items(scheme, value)
        .filter_map(|item| decode(item.strip_prefix(&*scheme.prefix)?))
        .take(MAX_SIGNATURES)
        .collect()
}

fn items<'v>(scheme: &Hmac, value: &'v str) -> impl Iterator<Item = &'v str> {
    let several = scheme.separator.map(|separator| value.split(separator));
    let one = several.is_none().then_some(value);
    several.into_iter().flatten().map(str::trim).chain(one)
}

/// The time as it was sent.
fn stamp_text(
    stamp: &Stamp,
    scheme: &Hmac,
    value: &str,
    headers: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
) -> Option<String> {
    match &stamp.place {
        StampPlace::At(place) => place
            .find(headers, query, body)
            .map(std::borrow::Cow::into_owned),
        StampPlace::Item(prefix) => items(scheme, value)
            .find_map(|item| item.strip_prefix(&**prefix))
            .map(str::to_owned),
    }
}

fn check_age(stamp: &Stamp, text: &str, now: Timestamp) -> Result<(), Refusal> {
    let number: i64 = text.parse().map_err(|_| Refusal::Malformed)?;
    let sent = match stamp.unit {
        Unit::Seconds => number,
        Unit::Milliseconds => number.div_euclid(1000),
    };
    let age_seconds = now.as_second().saturating_sub(sent);
    if age_seconds.unsigned_abs() > stamp.tolerance_seconds.unsigned_abs() {
        return Err(Refusal::Stale { age_seconds });
    }
    Ok(())
}

fn check_token(
    token: &Token,
    keys: &[Arc<Key>],
    delivery: &Delivery<Unverified>,
    body: &[u8],
) -> Result<(), Refusal> {
    let find = |body: &[u8]| {
        let found = token
            .place
            .find(&delivery.headers, delivery.query.as_deref(), body);
        found.map(std::borrow::Cow::into_owned)
    };
    let given: Vec<Option<String>> = match &token.each {
        None => vec![find(body)],
        Some(pointer) => {
            let path: Vec<&str> = pointer.parts().iter().map(String::as_str).collect();
            let elements = json::elements(body, &path).map_err(|_| Refusal::Malformed)?;
            let elements = elements.ok_or(Refusal::Missing)?;
            elements
                .into_iter()
                .map(|range| find(&body[range]))
                .collect()
        }
    };
    if given.is_empty() || given.iter().any(Option::is_none) {
        return Err(Refusal::Missing);
    }
    // Every element is looked at, and must hold one of the secrets.
    let is_known = |given: &Option<String>| {
        let given = given.as_deref().unwrap_or_default().as_bytes();
        let fits = keys.iter().fold(0_u8, |fits, key| match &**key {
            Key::Bytes(secret) => fits | given.ct_eq(secret.expose().as_bytes()).unwrap_u8(),
            Key::Hmac(_) => fits,
        });
        fits == 1
    };
    let known = given.iter().filter(|given| is_known(given)).count();
    if known == given.len() {
        Ok(())
    } else {
        Err(Refusal::Mismatch)
    }
}

fn check_jwt(
    scheme: &Jwt,
    keys: &[Arc<Key>],
    delivery: &Delivery<Unverified>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let found = scheme
        .place
        .find(&delivery.headers, delivery.query.as_deref(), &[])
        .ok_or(Refusal::Missing)?;
    let token = found
        .strip_prefix(&*scheme.prefix)
        .ok_or(Refusal::Malformed)?;
    let mut closest = Refusal::Mismatch;
    for key in keys {
        let Key::Bytes(secret) = &**key else { continue };
        match jwt::check(token, secret, scheme.query_hash.then_some(delivery), now) {
            Ok(()) => return Ok(()),
            Err(refusal) if refusal.closeness() > closest.closeness() => closest = refusal,
            Err(Refusal::Malformed) => closest = Refusal::Malformed,
            Err(_) => {}
        }
    }
    Err(closest)
}

/// Lower-case hexadecimal digits in pairs, as every provider writes them: each signature has one
/// spelling.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// Lower-case hexadecimal digits.
pub(super) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
