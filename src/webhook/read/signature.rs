//! The schemes of `signature`.

use std::str::FromStr as _;

use http::HeaderName;
use url::Url;

use super::Reader;
use crate::document::{Kind, Node};
use crate::webhook::scheme::{
    Algorithm, Content, Encoding, Jwt, KeyForm, Oidc, PRESETS, Scheme, Signature, Stamp,
    StampPlace, Token, Unit,
};

const SCHEME_TYPES: [&str; 5] = ["hmac", "ed25519", "token", "jwt", "oidc"];
const SIGNATURE_KEYS: [&str; 10] = [
    "type",
    "algorithm",
    "header",
    "separator",
    "prefix",
    "encoding",
    "content",
    "key",
    "key_prefix",
    "timestamp",
];
const TOKEN_KEYS: [&str; 3] = ["type", "from", "each"];
const JWT_KEYS: [&str; 4] = ["type", "from", "prefix", "query_hash"];
const OIDC_KEYS: [&str; 5] = ["type", "from", "prefix", "issuers", "keys"];
const STAMP_KEYS: [&str; 4] = ["from", "item", "unit", "tolerance_seconds"];

impl Reader<'_> {
    pub(super) fn schemes(&mut self, node: &Node) -> Vec<Scheme> {
        let schemes = self.each(node, Self::scheme);
        schemes.into_iter().flatten().collect()
    }

    fn scheme(&mut self, node: &Node) -> Option<Vec<Scheme>> {
        if let Some(name) = node.as_str() {
            let preset = Scheme::preset(name);
            if preset.is_none() {
                self.unknown("signature", name, node.at, &PRESETS);
            }
            return preset;
        }
        let Some(kind) = node.get("type") else {
            self.complain(
                node.at,
                "signature has no type",
                format!("add type: {}", SCHEME_TYPES.join(", ")),
            );
            return None;
        };
        let scheme = match kind.as_str() {
            Some("hmac") => Scheme::Signature(self.signature(node, Algorithm::Sha256)?),
            Some("ed25519") => Scheme::Signature(self.signature(node, Algorithm::Ed25519)?),
            Some("token") => Scheme::Token(self.token(node)?),
            Some("jwt") => Scheme::Jwt(self.jwt(node)?),
            Some("oidc") => Scheme::Oidc(self.oidc(node)?),
            other => {
                self.unknown(
                    "type of signature",
                    other.unwrap_or_default(),
                    kind.at,
                    &SCHEME_TYPES,
                );
                return None;
            }
        };
        Some(vec![scheme])
    }

    fn signature(&mut self, node: &Node, algorithm: Algorithm) -> Option<Signature> {
        let (mut header, mut key_form, mut key_prefix) = (None, "text", None);
        let mut scheme = Signature {
            algorithm,
            header: HeaderName::from_static("x-signature"),
            separator: None,
            prefix: String::new(),
            encoding: Encoding::Hex,
            content: vec![Content::Body],
            key: KeyForm::Text,
            stamp: None,
        };
        for (key, value) in self.members("signature", node, &SIGNATURE_KEYS) {
            match key {
                "algorithm" if algorithm == Algorithm::Ed25519 => self.complain(
                    value.at,
                    "algorithm is one of an hmac",
                    "leave it out of an ed25519 signature",
                ),
                "algorithm" => {
                    let hashes = [("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)];
                    scheme.algorithm = self.word(key, value, &hashes)?;
                }
                "header" => header = self.header(key, value),
                "separator" => scheme.separator = self.separator(value),
                "prefix" => self.text(key, value)?.clone_into(&mut scheme.prefix),
                "encoding" => {
                    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
                    scheme.encoding = self.word(key, value, &encodings)?;
                }
                "content" => scheme.content = self.content(value)?,
                "key" => {
                    let forms = ["text", "base64", "hex"].map(|form| (form, form));
                    key_form = self.word(key, value, &forms)?;
                }
                "key_prefix" => {
                    key_prefix = self
                        .text(key, value)
                        .map(|text| (text.to_owned(), value.at));
                }
                "timestamp" => scheme.stamp = self.stamp(value),
                _ => {}
            }
        }
        match (key_form, key_prefix) {
            ("base64", prefix) => {
                let prefix = prefix.map(|(prefix, _)| prefix).unwrap_or_default();
                scheme.key = KeyForm::Base64 { prefix };
            }
            (_, Some((_, at))) => self.complain(
                at,
                "key_prefix is only cut off a base64 key",
                "add key: base64",
            ),
            ("hex", None) => scheme.key = KeyForm::Hex,
            (_, None) if algorithm == Algorithm::Ed25519 => self.complain(
                node.at,
                "the public key of an ed25519 signature is written as text",
                "add key: base64 or key: hex",
            ),
            (_, None) => {}
        }
        if scheme.content.contains(&Content::Timestamp) && scheme.stamp.is_none() {
            self.complain(
                node.at,
                "content holds {timestamp}, and there is no timestamp",
                "add timestamp",
            );
        }
        if !scheme.content.contains(&Content::Body) {
            self.complain(
                node.at,
                "content leaves the body out: anybody could change it",
                "add {body}",
            );
        }
        match header {
            Some(name) => scheme.header = name,
            None if node.get("header").is_none() => {
                self.complain(
                    node.at,
                    "signature has no header",
                    "add the header that carries it",
                );
                return None;
            }
            None => return None,
        }
        Some(scheme)
    }

    fn separator(&mut self, node: &Node) -> Option<char> {
        let text = self.text("separator", node)?;
        let mut chars = text.chars();
        let (first, more) = (chars.next(), chars.next());
        if more.is_some() || first.is_none() {
            self.complain(
                node.at,
                "separator is not one character",
                "write one such as \",\"",
            );
            return None;
        }
        first
    }

    /// `v0:{timestamp}:{body}` → its parts.
    fn content(&mut self, node: &Node) -> Option<Vec<Content>> {
        let mut rest = self.text("content", node)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let open = rest.find('{').unwrap_or(rest.len());
            if open > 0 {
                parts.push(Content::Text(rest[..open].to_owned()));
                rest = &rest[open..];
                continue;
            }
            let Some(close) = rest.find('}') else {
                self.complain(node.at, "content has a { without }", "close it");
                return None;
            };
            let name = &rest[1..close];
            rest = &rest[close + 1..];
            parts.push(match name {
                "body" => Content::Body,
                "timestamp" => Content::Timestamp,
                _ => match name.strip_prefix("header:").map(HeaderName::from_str) {
                    Some(Ok(name)) => Content::Header(name),
                    _ => {
                        let known = ["body", "timestamp", "header:NAME"];
                        self.unknown("part of content", name, node.at, &known);
                        return None;
                    }
                },
            });
        }
        Some(parts)
    }

    fn stamp(&mut self, node: &Node) -> Option<Stamp> {
        let (mut place, mut unit, mut tolerance_seconds) = (None, Unit::Seconds, 300);
        for (key, value) in self.members("timestamp", node, &STAMP_KEYS) {
            match key {
                "from" => place = self.place(key, value).map(StampPlace::At),
                "item" => {
                    place = self
                        .text(key, value)
                        .map(|item| StampPlace::Item(item.to_owned()));
                }
                "unit" => {
                    let units = [
                        ("seconds", Unit::Seconds),
                        ("milliseconds", Unit::Milliseconds),
                    ];
                    unit = self.word(key, value, &units)?;
                }
                _ => match value.kind {
                    Kind::Int(seconds @ 1..=86_400) => tolerance_seconds = seconds,
                    _ => self.complain(
                        value.at,
                        "tolerance_seconds is no number from 1 to 86400",
                        "mend it",
                    ),
                },
            }
        }
        if place.is_none() && node.get("from").is_none() && node.get("item").is_none() {
            self.complain(
                node.at,
                "timestamp says not where it stands",
                "add from or item",
            );
        }
        Some(Stamp {
            place: place?,
            unit,
            tolerance_seconds,
        })
    }

    fn token(&mut self, node: &Node) -> Option<Token> {
        let (mut place, mut each) = (None, None);
        for (key, value) in self.members("signature", node, &TOKEN_KEYS) {
            match key {
                "from" => place = self.place(key, value),
                "each" => each = self.pointer(key, value),
                _ => {}
            }
        }
        self.check_from(node);
        Some(Token {
            place: place?,
            each,
        })
    }

    fn check_from(&mut self, node: &Node) {
        if node.get("from").is_none() {
            let message = "signature says not where the token stands";
            self.complain(node.at, message, "add from");
        }
    }

    fn jwt(&mut self, node: &Node) -> Option<Jwt> {
        let (mut place, mut prefix, mut query_hash) = (None, String::new(), false);
        for (key, value) in self.members("signature", node, &JWT_KEYS) {
            match key {
                "from" => place = self.place(key, value),
                "prefix" => self.text(key, value)?.clone_into(&mut prefix),
                "query_hash" => query_hash = self.flag(key, value)?,
                _ => {}
            }
        }
        self.check_from(node);
        Some(Jwt {
            place: place?,
            prefix,
            query_hash,
        })
    }

    fn oidc(&mut self, node: &Node) -> Option<Oidc> {
        let (mut place, mut prefix, mut issuers, mut keys) = (None, String::new(), vec![], None);
        for (key, value) in self.members("signature", node, &OIDC_KEYS) {
            match key {
                "from" => place = self.place(key, value),
                "prefix" => self.text(key, value)?.clone_into(&mut prefix),
                "issuers" => {
                    issuers = self.each(value, |reader, item| {
                        reader.text("issuers", item).map(str::to_owned)
                    });
                }
                "keys" => {
                    let url = self.text(key, value)?.parse::<Url>().ok();
                    keys = url.filter(Url::has_host);
                    if keys.is_none() {
                        self.complain(value.at, "keys is no address", "write https://…");
                        return None;
                    }
                }
                _ => {}
            }
        }
        for (key, what) in [
            ("from", "where the token stands"),
            ("issuers", "who may issue the token"),
            ("keys", "where the issuer's keys are"),
        ] {
            if node.get(key).is_none() {
                let message = format!("signature says not {what}");
                self.complain(node.at, message, format!("add {key}"));
            }
        }
        Some(Oidc {
            place: place?,
            prefix,
            issuers,
            keys: keys?,
        })
    }
}
