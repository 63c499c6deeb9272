//! Decoders: from the bytes of an answer to JSON documents.

mod csv;

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use self::csv::Csv;
use super::fields;
use crate::document::{Node, Problem};
use crate::json::{self, Map, SyntaxError, Value};

/// How a body is read.
#[derive(Debug, Clone, Default)]
pub enum Decoder {
    /// The whole body is one JSON document.
    #[default]
    Json,
    /// Every line is a JSON document.
    Jsonl,
    /// Every line becomes `{"record": line}`.
    Iterable,
    /// Every row after the header becomes an object of texts.
    Csv(Csv),
    /// Another format, compressed.
    Gzip(Box<Decoder>),
}

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The compressed data is broken.
    #[error("the answer cannot be decompressed")]
    Gzip(#[source] std::io::Error),
    /// It decompresses to more than the limit.
    #[error("the answer is larger than {limit_bytes} bytes when decompressed")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A byte is none of the declared encoding.
    #[error("the answer is not {encoding} text")]
    Encoding {
        /// The declared encoding.
        encoding: &'static str,
    },
}

/// Compressed data starts so.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

const KNOWN: [&str; 5] = [
    "JsonDecoder",
    "JsonlDecoder",
    "IterableDecoder",
    "CsvDecoder",
    "GzipDecoder",
];

impl Decoder {
    /// From a retriever's `decoder`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        Ok(match fields::required_type(node, "decoder")? {
            "JsonDecoder" => Self::Json,
            "JsonlDecoder" => Self::Jsonl,
            "IterableDecoder" => Self::Iterable,
            "CsvDecoder" => Self::Csv(Csv::build(node)?),
            "GzipDecoder" => {
                let inner = fields::required(node, "decoder")?;
                Self::Gzip(Box::new(Self::build(inner)?))
            }
            _ => return Err(fields::unknown_type(node, "decoder", &KNOWN)),
        })
    }

    /// The JSON documents of a body. JSON itself is passed on unread: the selector checks it.
    ///
    /// What `limit_bytes` bounds is the decompressed size.
    pub fn decode(&self, body: Bytes, limit_bytes: usize) -> Result<Vec<Bytes>, DecodeError> {
        match self {
            Self::Json => Ok(vec![body]),
            Self::Jsonl => Ok(lines(&body)
                .filter(|line| !line.trim_ascii().is_empty())
                .map(|line| body.slice_ref(line))
                .collect()),
            Self::Iterable => lines(&body)
                .map(|line| {
                    let line = std::str::from_utf8(line)
                        .map_err(|_| DecodeError::Encoding { encoding: "UTF-8" })?;
                    let record = Map::from_iter([("record".to_owned(), Value::from(line))]);
                    Ok(Value::from(record).to_json().into())
                })
                .collect(),
            Self::Csv(csv) => csv.decode(&body),
            Self::Gzip(inner) => inner.decode(decompress(body, limit_bytes)?, limit_bytes),
        }
    }

    /// What templates see as `response`: the first document, or its first element if it is a
    /// list; an empty object if there is none.
    pub fn response(documents: &[Bytes]) -> Result<Value, SyntaxError> {
        let nothing = || Value::Object(Map::new());
        let Some(first) = documents.first() else {
            return Ok(nothing());
        };
        Ok(match json::parse(first)? {
            Value::Array(items) => items.into_iter().next().unwrap_or_else(nothing),
            document => document,
        })
    }
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

/// A body that is not compressed is passed on: the client has already decompressed it when the
/// server declared the compression in a header.
fn decompress(body: Bytes, limit_bytes: usize) -> Result<Bytes, DecodeError> {
    if !body.starts_with(&GZIP_MAGIC) {
        return Ok(body);
    }
    let mut plain = Vec::new();
    // One byte more than allowed tells "exactly the limit" from "more".
    let most = u64::try_from(limit_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    MultiGzDecoder::new(&body[..])
        .take(most)
        .read_to_end(&mut plain)
        .map_err(DecodeError::Gzip)?;
    if plain.len() > limit_bytes {
        return Err(DecodeError::TooLarge { limit_bytes });
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests;
