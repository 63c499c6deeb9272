//! The only way from a stranger's request to a [`Delivery<Verified>`].
//!
//! A connector without a secret trusts nobody.

use std::fmt;
use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use jiff::Timestamp;

use super::delivery::{Delivery, Unverified, Verified};
use super::scheme::{Jwt, Oidc, Scheme, Signature, Token};
use super::{Identity, Webhooks, jwt, oidc, payload, signature, token};
use crate::connector::WebhookSecret;

/// A connector's secrets, ready to check the schemes of its manifest.
#[derive(Clone)]
pub struct Verifier {
    checks: Arc<[Check]>,
    max_body_bytes: usize,
}

/// A scheme, and what the connector has for it.
enum Check {
    Signature(Signature, Vec<signature::Key>),
    Token(Token, Vec<WebhookSecret>),
    Jwt(Jwt, Vec<WebhookSecret>),
    Oidc(Oidc, Option<Identity>),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} schemes)", self.checks.len())
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
    /// Signed with a key of its issuer that is not known here.
    UnknownKey,
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
            Self::UnknownKey => "key_unknown",
            Self::Stale { .. } => "timestamp_stale",
        }
    }

    /// Of several refusals the one that came closest tells most.
    pub(super) fn closeness(self) -> u8 {
        match self {
            Self::NoSecret => 0,
            Self::Missing => 1,
            Self::Malformed => 2,
            Self::Mismatch => 3,
            Self::UnknownKey => 4,
            Self::Stale { .. } => 5,
        }
    }
}

impl Verifier {
    /// Joins the schemes of a manifest with a connector's secrets. Empty secrets do not count.
    pub fn new(webhooks: &Webhooks, secrets: &[WebhookSecret]) -> Self {
        Self::with_identity(webhooks, secrets, None)
    }

    /// As [`new`](Self::new), with who identity tokens have to be made by and for.
    pub fn with_identity(
        webhooks: &Webhooks,
        secrets: &[WebhookSecret],
        identity: Option<&Identity>,
    ) -> Self {
        let secrets: Vec<WebhookSecret> = secrets
            .iter()
            .filter(|secret| !secret.expose().is_empty())
            .cloned()
            .collect();
        let shared: Vec<WebhookSecret> = secrets
            .iter()
            .filter(|secret| !signature::is_public(secret))
            .cloned()
            .collect();
        let check = |scheme: &Scheme| match scheme {
            Scheme::Signature(scheme) => {
                let keys = secrets.iter();
                let keys = keys.filter_map(|secret| signature::Key::of(scheme, secret));
                Check::Signature(scheme.clone(), keys.collect())
            }
            Scheme::Token(token) => Check::Token(token.clone(), shared.clone()),
            Scheme::Jwt(jwt) => Check::Jwt(jwt.clone(), shared.clone()),
            Scheme::Oidc(oidc) => Check::Oidc(oidc.clone(), identity.cloned()),
        };
        Self {
            checks: webhooks.schemes.iter().map(check).collect(),
            max_body_bytes: webhooks.max_body_bytes,
        }
    }

    /// Whether any delivery can be trusted at all.
    pub fn has_secret(&self) -> bool {
        self.checks.iter().any(Check::has_secret)
    }

    /// Checks one delivery against every scheme and secret.
    pub fn verify(
        &self,
        delivery: Delivery<Unverified>,
        now: Timestamp,
    ) -> Result<Delivery<Verified>, Refusal> {
        self.look(&delivery, now)?;
        Ok(delivery.with_trust())
    }

    /// As [`verify`](Self::verify), without what becomes of it.
    pub fn look(&self, delivery: &Delivery<Unverified>, now: Timestamp) -> Result<(), Refusal> {
        let refusal = match self.check(delivery, &delivery.body, now) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        if !delivery.headers.contains_key(CONTENT_ENCODING) {
            return Err(refusal);
        }
        // What stands between the provider and here may have compressed what was signed.
        match payload::decompressed(&delivery.headers, &delivery.body, self.max_body_bytes) {
            Ok(plain) if plain != delivery.body => self.check(delivery, &plain, now),
            _ => Err(refusal),
        }
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
        // A signature that is there has to fit: what says nothing of the body cannot stand in.
        let is_signed = self.checks.iter().any(|check| {
            matches!(check, Check::Signature(scheme, keys)
                if !keys.is_empty() && delivery.headers.contains_key(&scheme.header))
        });
        for check in self.checks.iter().filter(|check| check.has_secret()) {
            let answer = match check {
                Check::Signature(scheme, keys) => {
                    signature::check(scheme, keys, delivery, body, now)
                }
                _ if is_signed => continue,
                Check::Token(token, secrets) => token::check(token, secrets, delivery, body),
                Check::Jwt(scheme, secrets) => jwt::check(scheme, secrets, delivery, now),
                Check::Oidc(scheme, identity) => match identity {
                    Some(identity) => oidc::check(scheme, identity, delivery, now),
                    None => continue,
                },
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

impl Check {
    fn has_secret(&self) -> bool {
        match self {
            Self::Signature(_, keys) => !keys.is_empty(),
            Self::Token(_, secrets) | Self::Jwt(_, secrets) => !secrets.is_empty(),
            Self::Oidc(_, identity) => identity.is_some(),
        }
    }
}
