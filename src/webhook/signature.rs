//! Signatures over parts of a delivery: computed from the bytes as they were received, compared in
//! constant time.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::delivery::{Delivery, Unverified};
use super::scheme::{Algorithm, Content, Encoding, KeyForm, Signature, Stamp, StampPlace, Unit};
use super::verify::Refusal;
use crate::connector::WebhookSecret;

/// Signatures looked at in one header: more are no rotation but an attempt to keep us busy.
const MAX_SIGNATURES: usize = 16;

/// Bytes of what an Ed25519 key pair is made from, and of a public key.
const KEY_BYTES: usize = 32;

/// What Standard Webhooks call the private half of `whpk_`.
const PRIVATE_PREFIX: &str = "whsk_";

/// What Standard Webhooks call the public half.
const PUBLIC_PREFIX: &str = "whpk_";

/// Whether it is half of a key pair that anybody may know: it proves nothing as a shared secret.
pub(super) fn is_public(secret: &WebhookSecret) -> bool {
    secret.expose().starts_with(PUBLIC_PREFIX)
}

/// What a secret is to a scheme.
pub(super) enum Key {
    /// Shared.
    Hmac(Box<hmac::Key>),
    /// The sender's, of which only the public half is known.
    Public(UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    /// `None` for a secret that cannot be a key of this scheme.
    pub(super) fn of(scheme: &Signature, secret: &WebhookSecret) -> Option<Self> {
        let text = secret.expose();
        if scheme.algorithm != Algorithm::Ed25519 && is_public(secret) {
            return None;
        }
        let bytes = match &scheme.key {
            KeyForm::Text => text.as_bytes().to_vec(),
            KeyForm::Hex => decode_hex(text)?,
            KeyForm::Base64 { prefix } => {
                let encoded = match text.strip_prefix(&**prefix) {
                    Some(encoded) => encoded,
                    // Which half of a key pair it is must be said.
                    None if scheme.algorithm == Algorithm::Ed25519 && !prefix.is_empty() => {
                        return None;
                    }
                    None => text,
                };
                let decoded = STANDARD.decode(encoded);
                decoded.or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?
            }
        };
        if bytes.is_empty() {
            return None;
        }
        let shared = |algorithm| Key::Hmac(Box::new(hmac::Key::new(algorithm, &bytes)));
        match scheme.algorithm {
            Algorithm::Sha256 => Some(shared(hmac::HMAC_SHA256)),
            Algorithm::Sha512 => Some(shared(hmac::HMAC_SHA512)),
            Algorithm::Ed25519 => (bytes.len() == KEY_BYTES)
                .then(|| Key::Public(UnparsedPublicKey::new(&ED25519, bytes.clone()))),
        }
    }

    /// Whether one of `given` is this key's signature of `content`.
    fn fits(&self, content: &[&[u8]], given: &[Vec<u8>]) -> bool {
        match self {
            Self::Hmac(key) => {
                let tag = tag(key, content);
                // Every signature is looked at, so that the time says nothing of which one fits.
                let fits = given.iter().fold(0_u8, |fits, signature| {
                    fits | signature.as_slice().ct_eq(tag.as_ref()).unwrap_u8()
                });
                fits == 1
            }
            // Nothing here is secret.
            Self::Public(key) => {
                let content = content.concat();
                given
                    .iter()
                    .any(|signature| key.verify(&content, signature).is_ok())
            }
        }
    }
}

fn tag(key: &hmac::Key, content: &[&[u8]]) -> hmac::Tag {
    let mut signing = hmac::Context::with_key(key);
    for part in content {
        signing.update(part);
    }
    signing.sign()
}

/// Checks one delivery, of which `body` may be another spelling.
pub(super) fn check(
    scheme: &Signature,
    keys: &[Key],
    delivery: &Delivery<Unverified>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut values = delivery.headers.get_all(&scheme.header).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let value = value.to_str().map_err(|_| Refusal::Malformed)?.trim();
    let given = signatures(scheme, value);
    if given.is_empty() {
        return Err(Refusal::Malformed);
    }
    let timestamp = match &scheme.stamp {
        None => None,
        Some(stamp) => {
            let text = stamp_text(stamp, scheme, value, delivery, body);
            Some(text.ok_or(Refusal::Malformed)?)
        }
    };
    let content =
        content(scheme, &delivery.headers, timestamp.as_deref(), body).ok_or(Refusal::Malformed)?;
    let mut is_any = false;
    for key in keys {
        is_any |= key.fits(&content, &given);
    }
    if !is_any {
        return Err(Refusal::Mismatch);
    }
    match (&scheme.stamp, timestamp) {
        (Some(stamp), Some(text)) => check_age(stamp, &text, now),
        _ => Ok(()),
    }
}

/// The signature of a delivery with the sender's `secret`, as it stands in the header; `None`
/// when the secret is no key to sign with.
pub(super) fn made(
    scheme: &Signature,
    secret: &WebhookSecret,
    content: &[&[u8]],
) -> Option<String> {
    let bytes = if scheme.algorithm == Algorithm::Ed25519 {
        let text = secret.expose();
        let encoded = text.strip_prefix(PRIVATE_PREFIX).unwrap_or(text);
        let private = STANDARD.decode(encoded).ok()?;
        // The public half may stand behind the private one.
        let seed = private.get(..KEY_BYTES)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = private.get(KEY_BYTES..).unwrap_or_default();
        if !public.is_empty() && public != pair.public_key().as_ref() {
            return None;
        }
        pair.sign(&content.concat()).as_ref().to_vec()
    } else {
        let Some(Key::Hmac(key)) = Key::of(scheme, secret) else {
            return None;
        };
        tag(&key, content).as_ref().to_vec()
    };
    let encoded = match scheme.encoding {
        Encoding::Hex => encode_hex(&bytes),
        Encoding::Base64 => STANDARD.encode(&bytes),
    };
    Some(format!("{}{encoded}", scheme.prefix))
}

/// What is signed; `None` when a part of it is not there.
pub(super) fn content<'d>(
    scheme: &'d Signature,
    headers: &'d HeaderMap,
    timestamp: Option<&'d str>,
    body: &'d [u8],
) -> Option<Vec<&'d [u8]>> {
    let part = |part: &'d Content| {
        Some(match part {
            Content::Text(text) => text.as_bytes(),
            Content::Header(name) => headers.get(name)?.as_bytes(),
            Content::Timestamp => timestamp?.as_bytes(),
            Content::Body => body,
        })
    };
    scheme.content.iter().map(part).collect()
}

/// The decoded signatures of a header.
fn signatures(scheme: &Signature, value: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| match scheme.encoding {
        Encoding::Hex => decode_hex(text),
        Encoding::Base64 => STANDARD.decode(text).ok(),
    };
    items(scheme, value)
        .filter_map(|item| decode(item.strip_prefix(&*scheme.prefix)?))
        .take(MAX_SIGNATURES)
        .collect()
}

fn items<'v>(scheme: &Signature, value: &'v str) -> impl Iterator<Item = &'v str> {
    let several = scheme.separator.map(|separator| value.split(separator));
    let one = several.is_none().then_some(value);
    several.into_iter().flatten().map(str::trim).chain(one)
}

/// The time as it was sent.
fn stamp_text(
    stamp: &Stamp,
    scheme: &Signature,
    value: &str,
    delivery: &Delivery<Unverified>,
    body: &[u8],
) -> Option<String> {
    match &stamp.place {
        StampPlace::At(place) => place
            .find(&delivery.headers, delivery.query.as_deref(), body)
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
