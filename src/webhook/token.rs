//! The secret itself, sent along: compared in constant time, put in, taken out.

use std::borrow::Cow;

use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use super::Place;
use super::delivery::{Delivery, Unverified};
use super::place::scalar;
use super::scheme::Token;
use super::verify::Refusal;
use crate::connector::WebhookSecret;
use crate::json::{self, Pointer};

/// Checks that the delivery holds one of the secrets wherever it has to.
pub(super) fn check(
    token: &Token,
    secrets: &[WebhookSecret],
    delivery: &Delivery<Unverified>,
    body: &[u8],
) -> Result<(), Refusal> {
    let find = |body: &[u8]| {
        let found = token
            .place
            .find(&delivery.headers, delivery.query.as_deref(), body);
        found.map(Cow::into_owned)
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
        let fits = secrets.iter().fold(0_u8, |fits, secret| {
            fits | given.ct_eq(secret.expose().as_bytes()).unwrap_u8()
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

/// `body` with `text` wherever it holds the token; `None` when it lacks it, or the token stands
/// elsewhere.
pub(super) fn replaced(token: &Token, body: &Bytes, text: &str) -> Option<Bytes> {
    let Place::Body(pointer) = &token.place else {
        return None;
    };
    let mut json = Vec::new();
    json::write_string(text, &mut json);
    let json = String::from_utf8_lossy(&json);
    let Some(list) = &token.each else {
        return with_scalar(body, pointer, &json);
    };
    let path: Vec<&str> = list.parts().iter().map(String::as_str).collect();
    let count = json::elements(body, &path).ok().flatten()?.len();
    let mut body = body.clone();
    for n in 0..count {
        let parts = list.parts().iter().cloned().chain([n.to_string()]);
        let pointer = Pointer::of(parts.chain(pointer.parts().iter().cloned()));
        body = with_scalar(&body, &pointer, &json)?;
    }
    Some(body)
}

/// `body` with another scalar at `pointer`, every other byte as it was.
pub(super) fn with_scalar(body: &Bytes, pointer: &Pointer, json: &str) -> Option<Bytes> {
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
