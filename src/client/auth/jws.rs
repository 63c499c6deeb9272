//! JSON Web Tokens: the compact form, signed with every algorithm that the format names.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use thiserror::Error;

use super::pem::{self, KeyError};
use crate::json::Value;

/// How a token is signed (`alg`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hmac(Hash),
    Rsa(Hash),
    RsaPss(Hash),
    Ecdsa(Curve),
    Ed25519,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P256K1,
    P384,
    P521,
}

const ALGORITHMS: [(&str, Kind); 14] = [
    ("HS256", Kind::Hmac(Hash::Sha256)),
    ("HS384", Kind::Hmac(Hash::Sha384)),
    ("HS512", Kind::Hmac(Hash::Sha512)),
    ("ES256", Kind::Ecdsa(Curve::P256)),
    ("ES256K", Kind::Ecdsa(Curve::P256K1)),
    ("ES384", Kind::Ecdsa(Curve::P384)),
    ("ES512", Kind::Ecdsa(Curve::P521)),
    ("RS256", Kind::Rsa(Hash::Sha256)),
    ("RS384", Kind::Rsa(Hash::Sha384)),
    ("RS512", Kind::Rsa(Hash::Sha512)),
    ("PS256", Kind::RsaPss(Hash::Sha256)),
    ("PS384", Kind::RsaPss(Hash::Sha384)),
    ("PS512", Kind::RsaPss(Hash::Sha512)),
    ("EdDSA", Kind::Ed25519),
];

/// A name that is none of an algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no such algorithm; use one of HS256, RS256, PS256, ES256, their longer kin, EdDSA")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// RSA with SHA-256, as Google and GitHub want it.
    pub const RS256: Self = Self {
        name: "RS256",
        kind: Kind::Rsa(Hash::Sha256),
    };

    /// `RS256`
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let found = ALGORITHMS.iter().find(|(name, _)| *name == text);
        found
            .map(|(name, kind)| Self { name, kind: *kind })
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The token with this header and these claims. `key` is the shared secret of the HMAC algorithms,
/// a private key in PEM form for all others.
pub fn sign(
    algorithm: Algorithm,
    key: &str,
    passphrase: Option<&str>,
    header: &Value,
    claims: &Value,
) -> Result<String, KeyError> {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_json());
    let mut token = format!("{}.{}", encode(header), encode(claims));
    let signature = signature(algorithm, key, passphrase, token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn signature(
    algorithm: Algorithm,
    key: &str,
    passphrase: Option<&str>,
    message: &[u8],
) -> Result<Vec<u8>, KeyError> {
    if let Kind::Hmac(hash) = algorithm.kind {
        let key = hmac::Key::new(hash.hmac(), key.as_bytes());
        return Ok(hmac::sign(&key, message).as_ref().to_vec());
    }
    let key = pem::read(key, passphrase)?;
    let unfit = |why: &dyn fmt::Display| KeyError::Unfit {
        algorithm: algorithm.name,
        why: why.to_string(),
    };
    let random = SystemRandom::new();
    match algorithm.kind {
        Kind::Rsa(hash) => rsa(&key, hash.pkcs1(), &random, message).map_err(|e| unfit(&e)),
        Kind::RsaPss(hash) => rsa(&key, hash.pss(), &random, message).map_err(|e| unfit(&e)),
        Kind::Ecdsa(curve) => {
            let pair = ecdsa_pair(curve.signing(), &key).map_err(|error| unfit(&error))?;
            let signature = pair.sign(&random, message);
            Ok(signature.map_err(|error| unfit(&error))?.as_ref().to_vec())
        }
        Kind::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der())
                .map_err(|error| unfit(&error))?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        Kind::Hmac(_) => Err(unfit(&"it is a shared secret")),
    }
}

fn rsa(
    key: &PrivateKeyDer<'_>,
    encoding: &'static dyn RsaEncoding,
    random: &SystemRandom,
    message: &[u8],
) -> Result<Vec<u8>, String> {
    let pair = match key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        other => RsaKeyPair::from_pkcs8(other.secret_der()),
    };
    let pair = pair.map_err(|error| error.to_string())?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, random, message, &mut signature)
        .map_err(|error| error.to_string())?;
    Ok(signature)
}

fn ecdsa_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    key: &PrivateKeyDer<'_>,
) -> Result<EcdsaKeyPair, String> {
    let pair = match key {
        PrivateKeyDer::Sec1(der) => {
            EcdsaKeyPair::from_private_key_der(algorithm, der.secret_sec1_der())
        }
        other => EcdsaKeyPair::from_pkcs8(algorithm, other.secret_der()),
    };
    pair.map_err(|error| error.to_string())
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pkcs1(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Sha256 => &RSA_PKCS1_SHA256,
            Self::Sha384 => &RSA_PKCS1_SHA384,
            Self::Sha512 => &RSA_PKCS1_SHA512,
        }
    }

    fn pss(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Sha256 => &RSA_PSS_SHA256,
            Self::Sha384 => &RSA_PSS_SHA384,
            Self::Sha512 => &RSA_PSS_SHA512,
        }
    }
}

impl Curve {
    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P256K1 => &ECDSA_P256K1_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature as algorithms;
    use aws_lc_rs::signature::{KeyPair as _, UnparsedPublicKey, VerificationAlgorithm};

    use super::*;
    use crate::json::Map;

    macro_rules! key {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/keys/", $name, ".pem"))
        };
    }

    fn signed(name: &str, key: &str, passphrase: Option<&str>) -> Result<String, KeyError> {
        let nothing = Value::from(Map::new());
        sign(name.parse().unwrap(), key, passphrase, &nothing, &nothing)
    }

    fn verify(algorithm: &'static dyn VerificationAlgorithm, public: &[u8], token: &str) {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, public)
            .verify(message.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn rsa_keys_of_every_form_sign() {
        let PrivateKeyDer::Pkcs8(der) = pem::read(key!("rsa-pkcs8"), None).unwrap() else {
            panic!("another form");
        };
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let public = pair.public_key().as_ref();
        let one_line = key!("rsa-pkcs8").replace('\n', "\\n");
        for (key, passphrase) in [
            (key!("rsa-pkcs8"), None),
            (key!("rsa-pkcs1"), None),
            (one_line.as_str(), None),
            (key!("rsa-encrypted"), Some("opensesame")),
        ] {
            let token = signed("RS256", key, passphrase).unwrap();
            verify(&algorithms::RSA_PKCS1_2048_8192_SHA256, public, &token);
        }
        for (name, algorithm) in [
            (
                "RS384",
                &algorithms::RSA_PKCS1_2048_8192_SHA384 as &dyn VerificationAlgorithm,
            ),
            ("RS512", &algorithms::RSA_PKCS1_2048_8192_SHA512),
            ("PS256", &algorithms::RSA_PSS_2048_8192_SHA256),
            ("PS384", &algorithms::RSA_PSS_2048_8192_SHA384),
            ("PS512", &algorithms::RSA_PSS_2048_8192_SHA512),
        ] {
            verify(
                algorithm,
                public,
                &signed(name, key!("rsa-pkcs8"), None).unwrap(),
            );
        }
    }

    #[test]
    fn keys_on_every_curve_sign() {
        for (name, key, curve, algorithm) in [
            (
                "ES256",
                key!("ec-p256"),
                Curve::P256,
                &algorithms::ECDSA_P256_SHA256_FIXED as &dyn VerificationAlgorithm,
            ),
            (
                "ES256",
                key!("ec-p256-sec1"),
                Curve::P256,
                &algorithms::ECDSA_P256_SHA256_FIXED,
            ),
            (
                "ES256K",
                key!("ec-p256k1"),
                Curve::P256K1,
                &algorithms::ECDSA_P256K1_SHA256_FIXED,
            ),
            (
                "ES384",
                key!("ec-p384"),
                Curve::P384,
                &algorithms::ECDSA_P384_SHA384_FIXED,
            ),
            (
                "ES512",
                key!("ec-p521"),
                Curve::P521,
                &algorithms::ECDSA_P521_SHA512_FIXED,
            ),
        ] {
            let pair = ecdsa_pair(curve.signing(), &pem::read(key, None).unwrap()).unwrap();
            let token = signed(name, key, None).unwrap();
            verify(algorithm, pair.public_key().as_ref(), &token);
        }
        let key = pem::read(key!("ed25519"), None).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der()).unwrap();
        let token = signed("EdDSA", key!("ed25519"), None).unwrap();
        verify(&algorithms::ED25519, pair.public_key().as_ref(), &token);
    }

    #[test]
    fn a_key_that_does_not_fit_is_told_and_never_quoted() {
        for (key, passphrase, words) in [
            ("canary-key", None, "not in PEM form"),
            (key!("ec-p256"), None, "none for RS256"),
            (key!("rsa-encrypted"), None, "needs a passphrase"),
            (
                key!("rsa-encrypted"),
                Some("canary-wrong"),
                "passphrase does not fit",
            ),
        ] {
            let error = signed("RS256", key, passphrase).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
        assert!("none".parse::<Algorithm>().is_err());
    }
}
