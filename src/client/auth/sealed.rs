//! Tokens at rest: sealed with a key that only the configuration gives.
//!
//! Whoever reads the store, a backup of it, or a log of its traffic, but not the configuration,
//! learns nothing: the key is derived from the configured credential itself. It also means that a
//! new configured refresh token is a new credential, which is how an operator repairs a dead one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use jiff::Timestamp;

use super::{Secret, Token};
use crate::hex::hex;
use crate::json::{Map, Value, parse};

/// Layout of what is sealed; first byte of the sealed text.
const LAYOUT: u8 = 1;

/// Bytes of a nonce, which stands before what it sealed.
const NONCE_BYTES: usize = 12;

/// What is remembered of a credential.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) token: Token,
    /// The newest refresh token, where it differs from the configured one.
    pub(super) refresh: Option<Secret>,
}

/// Seals what is kept of one credential.
pub(super) struct Sealer {
    id: String,
    key: RandomizedNonceKey,
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// Sealing failed, which random numbers that run out would explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CannotSeal;

impl Sealer {
    /// For the credential that `seed` describes: its issuer, its client, its secrets.
    pub(super) fn new(seed: &[&str]) -> Result<Self, CannotSeal> {
        let mut material = Vec::new();
        for part in seed {
            // With their lengths, so that no two lists of parts read the same.
            material.extend_from_slice(&(part.len() as u64).to_be_bytes());
            material.extend_from_slice(part.as_bytes());
        }
        let derived = Salt::new(HKDF_SHA256, b"connector-worker credential").extract(&material);
        let expand = |what: &[u8]| -> Result<[u8; 32], CannotSeal> {
            let mut out = [0; 32];
            let parts = [what];
            let okm = derived.expand(&parts, Bytes32).map_err(|_| CannotSeal)?;
            okm.fill(&mut out).map_err(|_| CannotSeal)?;
            Ok(out)
        };
        let key =
            RandomizedNonceKey::new(&AES_256_GCM, &expand(b"key")?).map_err(|_| CannotSeal)?;
        let digest = digest::digest(&digest::SHA256, &expand(b"name")?);
        let id = hex(&digest.as_ref()[..16]);
        Ok(Self { id, key })
    }

    /// Names the credential in the store; says nothing about its secrets.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn seal(&self, kept: &Kept) -> Result<Vec<u8>, CannotSeal> {
        let mut map = Map::new();
        map.insert("access".to_owned(), kept.token.expose().into());
        if let Some(refresh) = &kept.refresh {
            map.insert("refresh".to_owned(), refresh.expose().into());
        }
        let millis = |at: Timestamp| Value::Int(at.as_millisecond());
        map.insert("obtained".to_owned(), millis(kept.token.obtained));
        if let Some(expires) = kept.token.expires {
            map.insert("expires".to_owned(), millis(expires));
        }
        let mut text = Value::from(map).to_json();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.id.as_bytes()), &mut text)
            .map_err(|_| CannotSeal)?;
        let mut sealed = vec![LAYOUT];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// What [`seal`](Self::seal) sealed; `None` for anything else.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Kept> {
        let (layout, rest) = sealed.split_first()?;
        if *layout != LAYOUT {
            return None;
        }
        let (nonce, text) = rest.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(self.id.as_bytes());
        let json = self.key.open_in_place(nonce, aad, &mut text).ok()?;
        let value = parse(json).ok()?;
        let instant = |name: &str| match value.get(name) {
            Some(Value::Int(millis)) => Timestamp::from_millisecond(*millis).ok(),
            _ => None,
        };
        let secret = |name: &str| Some(Secret::from(value.get(name)?.as_str()?.to_owned()));
        Some(Kept {
            token: Token::new(secret("access")?, instant("obtained")?, instant("expires")),
            refresh: secret("refresh"),
        })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let at = Timestamp::from_second(1_770_000_000).unwrap();
        Kept {
            token: Token::new("access-secret".to_owned().into(), at, Some(at)),
            refresh: Some("refresh-secret".to_owned().into()),
        }
    }

    #[test]
    fn only_the_same_configuration_opens_what_it_sealed() {
        let ours = Sealer::new(&["https://issuer", "client", "refresh"]).unwrap();
        let sealed = ours.seal(&kept()).unwrap();
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("secret"), "{text}");
        let opened = ours.open(&sealed).unwrap();
        assert_eq!(opened.token.expose(), "access-secret");
        assert_eq!(opened.token.expires, kept().token.expires);
        assert_eq!(opened.refresh.unwrap().expose(), "refresh-secret");

        let other = Sealer::new(&["https://issuer", "clientr", "efresh"]).unwrap();
        assert_ne!(other.id(), ours.id());
        assert!(other.open(&sealed).is_none());
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(ours.open(&damaged).is_none());
        assert!(ours.open(&[]).is_none());
        assert_ne!(ours.seal(&kept()).unwrap(), sealed, "nonces are not reused");
    }
}
