//! How a delivery proves where it comes from: a handful of primitives that manifests combine, and
//! the combinations that many providers share.

use http::HeaderName;
use url::Url;

use super::Place;
use crate::json::Pointer;

/// One way to prove it.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheme {
    /// A signature over headers and body.
    Signature(Signature),
    /// The secret itself.
    Token(Token),
    /// A signed token that says who asks, but nothing of the body.
    Jwt(Jwt),
    /// The same, signed by an identity provider for whoever sends.
    Oidc(Oidc),
}

/// A signature over parts of the delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Header with the signature.
    pub header: HeaderName,
    /// Between several signatures in the header; `None`: there is one.
    pub separator: Option<char>,
    /// What a signature begins with; of a list, those that do not are no signatures.
    pub prefix: String,
    /// How it is written.
    pub encoding: Encoding,
    /// What is signed.
    pub content: Vec<Content>,
    /// How the secret becomes the key.
    pub key: KeyForm,
    /// When it was signed, and how far that may be from now.
    pub stamp: Option<Stamp>,
}

/// Algorithms that are not broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Sha256,
    /// HMAC with SHA-512.
    Sha512,
    /// Ed25519: the secret is the sender's public key.
    Ed25519,
}

/// Ways to write a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Itself.
    Text(String),
    /// A header's value.
    Header(HeaderName),
    /// The time as it was sent.
    Timestamp,
    /// The body, byte for byte.
    Body,
}

/// How the secret becomes the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyForm {
    /// Its bytes.
    Text,
    /// What its Base64 stands for, after this prefix.
    Base64 {
        /// `whsec_`.
        prefix: String,
    },
    /// What its hexadecimal digits stand for.
    Hex,
}

/// When a delivery was signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamp {
    /// Where it says so.
    pub place: StampPlace,
    /// Unit of the number.
    pub unit: Unit,
    /// Seconds that it may lie before or after now.
    pub tolerance_seconds: i64,
}

/// Where the time stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StampPlace {
    /// In the delivery.
    At(Place),
    /// In the signature header, as the item that begins so.
    Item(String),
}

/// Units of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
}

/// The secret itself, sent along.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Where it stands.
    pub place: Place,
    /// Where a list stands of which every element holds it, at a place of its own.
    pub each: Option<Pointer>,
}

/// A JSON Web Token signed with the secret (HS256).
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// Where it stands.
    pub place: Place,
    /// What stands before it: `JWT `, `Bearer `.
    pub prefix: String,
    /// Whether it carries `qsh`, the hash of method, path and query.
    pub query_hash: bool,
}

/// An identity token (`OpenID` Connect) that its provider signed with RS256 for whoever sends.
///
/// Any customer of that provider has tokens, so the connector says for whom (`webhook.audience`)
/// and by whom (`webhook.sender`) they have to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Oidc {
    /// Where it stands.
    pub place: Place,
    /// What stands before it: `Bearer `.
    pub prefix: String,
    /// What it may name as its issuer.
    pub issuers: Vec<String>,
    /// Where the issuer publishes its keys, as a JSON Web Key Set.
    pub keys: Url,
}

/// Names of the schemes that need no description.
pub(super) const PRESETS: [&str; 3] = ["standard_webhooks", "svix", "stripe"];

impl Scheme {
    /// The schemes that `PRESETS` calls so.
    pub fn preset(name: &str) -> Option<Vec<Self>> {
        match name {
            "standard_webhooks" => Some(standard(
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
            )),
            "svix" => Some(standard("svix-id", "svix-timestamp", "svix-signature")),
            "stripe" => Some(vec![Self::Signature(Signature {
                algorithm: Algorithm::Sha256,
                header: HeaderName::from_static("stripe-signature"),
                separator: Some(','),
                prefix: "v1=".to_owned(),
                encoding: Encoding::Hex,
                content: vec![
                    Content::Timestamp,
                    Content::Text(".".to_owned()),
                    Content::Body,
                ],
                key: KeyForm::Text,
                stamp: Some(Stamp {
                    place: StampPlace::Item("t=".to_owned()),
                    unit: Unit::Seconds,
                    tolerance_seconds: 300,
                }),
            })]),
            _ => None,
        }
    }
}

/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>:
/// with a shared secret, or with the public key of the sender.
fn standard(id: &'static str, timestamp: &'static str, signature: &'static str) -> Vec<Scheme> {
    let versions = [
        (Algorithm::Sha256, "v1,", "whsec_"),
        (Algorithm::Ed25519, "v1a,", "whpk_"),
    ];
    let scheme = |(algorithm, version, prefix): (_, &str, &str)| {
        Scheme::Signature(Signature {
            algorithm,
            header: HeaderName::from_static(signature),
            separator: Some(' '),
            prefix: version.to_owned(),
            encoding: Encoding::Base64,
            content: vec![
                Content::Header(HeaderName::from_static(id)),
                Content::Text(".".to_owned()),
                Content::Timestamp,
                Content::Text(".".to_owned()),
                Content::Body,
            ],
            key: KeyForm::Base64 {
                prefix: prefix.to_owned(),
            },
            stamp: Some(Stamp {
                place: StampPlace::At(Place::Header(HeaderName::from_static(timestamp))),
                unit: Unit::Seconds,
                tolerance_seconds: 300,
            }),
        })
    };
    versions.map(scheme).into()
}
