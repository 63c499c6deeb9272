//! Encodings and digests of the filters: URLs, base64, hashes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::value::{Result, fail};
use crate::hex::hex;

const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new());

/// Percent-encodes all but letters, digits and `_.-~`. In a query, blanks become `+` and slashes
/// are encoded too.
pub(super) fn quote(text: &str, in_query: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if !in_query => out.push('/'),
            b' ' if in_query => out.push('+'),
            byte => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}

/// Base64 of the text's UTF-8.
pub(super) fn base64_encode(text: &str) -> String {
    BASE64.encode(text)
}

/// The text of base64. Like Python's, it skips characters that are not of the alphabet.
pub(super) fn base64_decode(text: &str) -> Result<String> {
    let clean: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
        .collect();
    let decoded = BASE64
        .decode(clean)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map_or_else(|| fail("cannot decode base64"), Ok)
}

/// Hexadecimal digest of the texts, one after the other, by the name of the algorithm.
pub(super) fn digest(algorithm: &str, texts: &[&str]) -> Result<String> {
    match algorithm {
        "md5" => Ok(hash::<Md5>(texts)),
        "sha1" => Ok(hash::<Sha1>(texts)),
        "sha224" => Ok(hash::<Sha224>(texts)),
        "sha256" => Ok(hash::<Sha256>(texts)),
        "sha384" => Ok(hash::<Sha384>(texts)),
        "sha512" => Ok(hash::<Sha512>(texts)),
        _ => fail(format!("no hash function named `{algorithm}`")),
    }
}

fn hash<D: Digest>(texts: &[&str]) -> String {
    let mut digest = D::new();
    for text in texts {
        digest.update(text);
    }
    hex(&digest.finalize())
}

/// HMAC-SHA-256 (RFC 2104), hexadecimal.
pub(super) fn hmac_sha256(key: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hex(hmac::sign(&key, message.as_bytes()).as_ref())
}
