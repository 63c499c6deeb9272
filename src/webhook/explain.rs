//! Why a signature does not fit: what `webhook verify` says. It tries the usual mistakes and
//! prints neither secrets nor the signature that would have been right.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;

use super::delivery::{Delivery, Unverified};
use super::scheme::{KeyForm, Scheme, StampPlace};
use super::verify::{Refusal, Verifier};
use super::{Place, Webhooks};
use crate::connector::WebhookSecret;
use crate::json;

/// What was found out about one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it would be accepted.
    pub accepted: bool,
    /// A word for scripts: `accepted`, or why not.
    pub reason: &'static str,
    /// The same for people.
    pub message: String,
    /// What to look at, in the order of what is likely.
    pub hints: Vec<String>,
}

/// Verifies `delivery` as the receiver would at `now`, and looks for the cause of a failure.
pub fn explain(
    webhooks: &Webhooks,
    secrets: &[WebhookSecret],
    delivery: &Delivery<Unverified>,
    now: Timestamp,
) -> Finding {
    let verify = |secrets: &[WebhookSecret], delivery: &Delivery<Unverified>| {
        Verifier::new(webhooks, secrets).look(delivery, now)
    };
    let refusal = match verify(secrets, delivery) {
        Ok(()) => {
            return Finding {
                accepted: true,
                reason: "accepted",
                message: "the signature fits".to_owned(),
                hints: Vec::new(),
            };
        }
        Err(refusal) => refusal,
    };
    let mut hints = Vec::new();
    let message = match refusal {
        Refusal::NoSecret => {
            hints.push("give the secret that the provider signs with; where it is base64, check that it is whole".to_owned());
            "there is no usable secret".to_owned()
        }
        Refusal::Missing => {
            hints.push(format!(
                "the provider sends {}; does it have a secret configured, and does a proxy drop the header?",
                places(webhooks).join(" or ")
            ));
            "the delivery has no signature".to_owned()
        }
        Refusal::Malformed => {
            hints.push(format!(
                "compare the headers with what the provider documents: {}",
                places(webhooks).join(", ")
            ));
            "the signature, or a header that is signed, is missing or not as the provider writes it"
                .to_owned()
        }
        Refusal::UnknownKey => {
            hints
                .push("the receiver fetches the issuer's keys; here they are not known".to_owned());
            "the token is signed with a key of its issuer that is not known here".to_owned()
        }
        Refusal::Stale { age_seconds } => {
            hints.push(
                "check the clocks of both machines; a recorded delivery needs --at TIME".to_owned(),
            );
            let direction = if age_seconds < 0 {
                "in the future"
            } else {
                "ago"
            };
            format!(
                "the signature fits, but it was made {} s {direction}: outside the tolerance",
                age_seconds.unsigned_abs()
            )
        }
        Refusal::Mismatch => {
            // Another time cannot be the cause: the signature is looked at first.
            let fits =
                |answer: Result<(), Refusal>| matches!(answer, Ok(()) | Err(Refusal::Stale { .. }));
            for (body, what) in respelled(&delivery.body) {
                let mut changed = delivery.clone();
                changed.body = body;
                if fits(verify(secrets, &changed)) {
                    hints.push(format!("the body was changed after it was signed: it fits {what}; sign and verify the bytes as they were received"));
                }
            }
            for (secret, what) in respelled_secrets(secrets, webhooks) {
                if fits(verify(&[secret], delivery)) {
                    hints.push(format!("the secret is right but for {what}"));
                }
            }
            if hints.is_empty() {
                hints.push("the secret is another one than the provider's, or the body is not the one that was signed".to_owned());
            }
            "the signature does not fit secret and body".to_owned()
        }
    };
    Finding {
        accepted: false,
        reason: refusal.as_str(),
        message,
        hints,
    }
}

/// Where the schemes look.
fn places(webhooks: &Webhooks) -> Vec<String> {
    let mut places = Vec::new();
    for scheme in &webhooks.schemes {
        match scheme {
            Scheme::Signature(hmac) => {
                places.push(format!("header:{}", hmac.header));
                if let Some(stamp) = &hmac.stamp
                    && let StampPlace::At(place) = &stamp.place
                {
                    places.push(place.to_string());
                }
            }
            Scheme::Token(token) => places.push(token.place.to_string()),
            Scheme::Jwt(jwt) => places.push(jwt.place.to_string()),
            Scheme::Oidc(oidc) => places.push(oidc.place.to_string()),
        }
    }
    places.dedup();
    places
}

/// The body as somebody on the way may have found it.
fn respelled(body: &Bytes) -> Vec<(Bytes, &'static str)> {
    let mut found: Vec<(Bytes, &'static str)> = Vec::new();
    let trimmed = Bytes::copy_from_slice(body.trim_ascii());
    let mut with_newline = body.to_vec();
    with_newline.push(b'\n');
    found.push((trimmed, "without the white space around it"));
    found.push((with_newline.into(), "with a line end behind it"));
    let Ok(tree) = json::parse(body) else {
        return found;
    };
    found.push((tree.to_json().into(), "as compact JSON"));
    let spaced = spaced(&tree);
    found.push((
        ascii(&spaced).into(),
        "as JSON with spaces and \\u escapes (Python's json.dumps)",
    ));
    found.push((spaced.into(), "as JSON with spaces after , and :"));
    found.push((
        ascii(&String::from_utf8_lossy(&tree.to_json())).into(),
        "as compact JSON with \\u escapes",
    ));
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body)
        && let Ok(pretty) = serde_json::to_vec_pretty(&value)
    {
        found.push((pretty.into(), "as indented JSON"));
    }
    found.retain(|(other, _)| other != body);
    found
}

/// JSON with a space after every comma and colon.
fn spaced(value: &json::Value) -> String {
    use json::Value;
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(spaced).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Every character beyond ASCII as an escape.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// The secrets as somebody may have pasted them.
fn respelled_secrets(
    secrets: &[WebhookSecret],
    webhooks: &Webhooks,
) -> Vec<(WebhookSecret, &'static str)> {
    let mut found = Vec::new();
    for secret in secrets {
        let text = secret.expose();
        let mut add = |other: &str, what| {
            if other != text && !other.is_empty() {
                found.push((WebhookSecret::from(other), what));
            }
        };
        add(text.trim(), "white space around it");
        add(&format!("{text}\n"), "a line end that is part of it");
        add(text.trim_matches(['"', '\'']), "the quotes around it");
        add(text.trim_start_matches("whsec_"), "the whsec_ before it");
        let wants_prefix = webhooks.schemes.iter().any(
            |scheme| matches!(scheme, Scheme::Signature(scheme) if scheme.key == KeyForm::Text),
        );
        if wants_prefix {
            add(&format!("whsec_{text}"), "the missing whsec_ before it");
        }
    }
    found
}

/// Whether a delivery names its time where it can be read, so that a recording can be checked as
/// of then.
impl Webhooks {
    /// The time a delivery says it was signed at.
    pub fn signed_at(&self, delivery: &Delivery<Unverified>) -> Option<Timestamp> {
        self.schemes.iter().find_map(|scheme| {
            let Scheme::Signature(hmac) = scheme else {
                return None;
            };
            let stamp = hmac.stamp.as_ref()?;
            let text = match &stamp.place {
                StampPlace::At(place @ (Place::Header(_) | Place::Query(_) | Place::Body(_))) => {
                    place
                        .find(&delivery.headers, delivery.query.as_deref(), &delivery.body)?
                        .into_owned()
                }
                StampPlace::Item(prefix) => {
                    let value = delivery.headers.get(&hmac.header)?.to_str().ok()?;
                    let mut items = value.split(hmac.separator?);
                    items
                        .find_map(|item| item.trim().strip_prefix(&**prefix))?
                        .to_owned()
                }
            };
            let number: i64 = text.parse().ok()?;
            match stamp.unit {
                super::Unit::Seconds => Timestamp::from_second(number).ok(),
                super::Unit::Milliseconds => Timestamp::from_millisecond(number).ok(),
            }
        })
    }
}
