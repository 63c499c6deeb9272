//! Identity tokens that a provider's own issuer signs for whoever sends: whether one was made for
//! this connector, by who it expects.
//!
//! The issuer's keys are published and change; who receives deliveries keeps them current.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, decode_header};
use serde::Deserialize;
use thiserror::Error;

use super::delivery::{Delivery, Unverified};
use super::jwt::{Times, claims, token_of};
use super::scheme::Oidc;
use super::verify::Refusal;

/// Whom a connector trusts to send, and the keys that its issuer signs with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// For whom tokens have to be made.
    pub audience: Arc<str>,
    /// The e-mail address of the account that they have to name.
    pub sender: Arc<str>,
    /// The issuer's keys.
    pub keys: KeySet,
}

/// Public keys by their id. Cheap to clone; clones see replacements.
#[derive(Clone, Default)]
pub struct KeySet(Arc<RwLock<HashMap<String, DecodingKey>>>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.get_all().len())
    }
}

/// What was published holds no keys.
#[derive(Debug, Error)]
#[error("the issuer's answer is no JSON Web Key Set with RSA keys")]
pub struct NoKeys;

impl KeySet {
    /// Trusts exactly the RSA keys of a published set from now on.
    pub fn replace(&self, published: &[u8]) -> Result<(), NoKeys> {
        let set: JwkSet = serde_json::from_slice(published).map_err(|_| NoKeys)?;
        let keys: HashMap<String, DecodingKey> = set
            .keys
            .iter()
            .filter_map(|jwk| {
                let id = jwk.common.key_id.clone()?;
                Some((id, DecodingKey::from_jwk(jwk).ok()?))
            })
            .collect();
        if keys.is_empty() {
            return Err(NoKeys);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn get_all(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, DecodingKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(flatten)]
    times: Times,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn holds(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }
}

/// Checks signature, issuer, audience, account and times of a delivery's token.
pub(super) fn check(
    scheme: &Oidc,
    identity: &Identity,
    delivery: &Delivery<Unverified>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let token = token_of(&scheme.place, &scheme.prefix, delivery)?;
    let header = decode_header(&token).map_err(|_| Refusal::Malformed)?;
    let id = header.kid.ok_or(Refusal::Malformed)?;
    let claims: Claims = {
        let keys = identity.keys.get_all();
        let key = keys.get(&id).ok_or(Refusal::UnknownKey)?;
        claims(&token, key, Algorithm::RS256)?
    };
    // Nothing of this is secret.
    let is_meant = scheme.issuers.contains(&claims.iss)
        && claims.aud.holds(&identity.audience)
        && claims.email_verified
        && claims.email.as_deref() == Some(&*identity.sender);
    if !is_meant {
        return Err(Refusal::Mismatch);
    }
    claims.times.check(now)
}
