//! The body of a delivery as JSON, whatever it was wrapped in.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use thiserror::Error;
use url::form_urlencoded;

use crate::json::{self, Map, Value};

/// The body as a valid JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Bytes);

/// Why a body is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Neither JSON nor a form.
    #[error("the content type is not application/json or application/x-www-form-urlencoded")]
    ContentType,
    /// Compressed in a way that is not known.
    #[error("the content encoding is not gzip")]
    ContentEncoding,
    /// Larger than allowed, once decompressed.
    #[error("the body is larger than {limit} bytes when decompressed")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// Broken compression.
    #[error("the body is no gzip data")]
    Gzip,
    /// Broken JSON.
    #[error("the body is no JSON: {0}")]
    Json(String),
}

impl Payload {
    /// Decodes `body` as its headers say; nothing larger than `limit` bytes comes out.
    ///
    /// A form with a field `payload` holds the document there; any other form becomes an object
    /// of its fields, of which a repeated one is a list.
    pub fn decode(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Self, Unreadable> {
        let body = decompressed(headers, body, limit)?;
        let json = match kind_of(headers)? {
            Form::Json => body,
            Form::Fields => form(&body),
        };
        match json::validate(&json) {
            Ok(()) => Ok(Self(json)),
            Err(error) => Err(Unreadable::Json(error.to_string())),
        }
    }

    /// Whether a body of this content type and encoding can be read at all.
    pub fn check_head(headers: &HeaderMap) -> Result<(), Unreadable> {
        kind_of(headers)?;
        is_gzip(headers).map(drop)
    }

    /// The document.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

enum Form {
    Json,
    Fields,
}

fn kind_of(headers: &HeaderMap) -> Result<Form, Unreadable> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Form::Json);
    };
    let text = value.to_str().map_err(|_| Unreadable::ContentType)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match &*essence {
        "application/x-www-form-urlencoded" => Ok(Form::Fields),
        "application/json" | "text/json" | "text/plain" | "" => Ok(Form::Json),
        other if other.ends_with("+json") => Ok(Form::Json),
        _ => Err(Unreadable::ContentType),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Unreadable> {
    let Some(value) = headers.get(CONTENT_ENCODING) else {
        return Ok(false);
    };
    match value.to_str().unwrap_or("?").trim() {
        "" => Ok(false),
        text if text.eq_ignore_ascii_case("identity") => Ok(false),
        text if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") => {
            Ok(true)
        }
        _ => Err(Unreadable::ContentEncoding),
    }
}

/// The body without its compression.
pub(super) fn decompressed(
    headers: &HeaderMap,
    body: &Bytes,
    limit: usize,
) -> Result<Bytes, Unreadable> {
    if !is_gzip(headers)? {
        return Ok(body.clone());
    }
    let mut out = Vec::new();
    // One byte more than allowed tells "just fits" from "too large".
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(&body[..])
        .take(most)
        .read_to_end(&mut out)
        .map_err(|_| Unreadable::Gzip)?;
    if out.len() > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    Ok(out.into())
}

fn form(body: &[u8]) -> Bytes {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        if name == "payload" {
            return value.into_owned().into_bytes().into();
        }
        let value = Value::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => {
                let before = std::mem::take(first);
                *first = Value::Array(vec![before, value]);
            }
        }
    }
    Value::Object(fields).to_json().into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn headers(kind: &str, encoding: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        headers
    }

    fn decode(kind: &str, body: &[u8]) -> Result<String, Unreadable> {
        let payload = Payload::decode(&headers(kind, ""), &Bytes::copy_from_slice(body), 1000)?;
        Ok(String::from_utf8(payload.bytes().to_vec()).unwrap())
    }

    #[test]
    fn forms_become_objects() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            decode(form, b"payload=%7B%22a%22%3A1%7D").as_deref(),
            Ok(r#"{"a":1}"#)
        );
        assert_eq!(
            decode(form, b"command=%2Fdo+it&x=1&x=2&x=3").as_deref(),
            Ok(r#"{"command":"/do it","x":["1","2","3"]}"#)
        );
        assert!(matches!(
            decode(form, b"payload=%7B"),
            Err(Unreadable::Json(_))
        ));
    }

    #[test]
    fn only_json_and_forms_are_read() {
        for kind in [
            "application/json; charset=utf-8",
            "application/cloudevents+json",
            "",
        ] {
            assert_eq!(decode(kind, b"{}").as_deref(), Ok("{}"), "{kind}");
        }
        for kind in ["text/html", "multipart/form-data; boundary=x", "image/png"] {
            assert_eq!(decode(kind, b"{}"), Err(Unreadable::ContentType), "{kind}");
        }
        assert!(matches!(
            decode("application/json", b"{} x"),
            Err(Unreadable::Json(_))
        ));
    }

    #[test]
    fn compression_cannot_exceed_the_bound() {
        let zip = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let gzip = headers("application/json", "gzip");
        let small = Payload::decode(&gzip, &zip(b"[1]"), 10).unwrap();
        assert_eq!(&small.bytes()[..], b"[1]");
        let bomb = zip(&vec![b' '; 100_000]);
        assert_eq!(
            Payload::decode(&gzip, &bomb, 1000),
            Err(Unreadable::TooLarge { limit: 1000 })
        );
        assert_eq!(
            Payload::decode(&gzip, &Bytes::from_static(b"{}"), 10),
            Err(Unreadable::Gzip)
        );
        assert_eq!(
            Payload::decode(&headers("application/json", "br"), &small.0, 10),
            Err(Unreadable::ContentEncoding)
        );
    }
}
