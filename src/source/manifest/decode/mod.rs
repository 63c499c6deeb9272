//! Decoders: from the bytes of an answer to JSON documents.

mod csv;
mod items;
mod reference;
mod xml;
mod zip;

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use self::csv::Csv;
use self::items::JsonItems;
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
    /// The elements of a list within one JSON document.
    JsonItems(JsonItems),
    /// The body is one XML document.
    Xml,
    /// Another format, compressed.
    Gzip(Box<Decoder>),
    /// Another format, in every file of an archive.
    Zip(Box<Decoder>),
}

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The compressed data is broken.
    #[error("the answer cannot be decompressed")]
    Gzip(#[source] std::io::Error),
    /// It is no JSON, where only JSON can be looked into.
    #[error("the answer is not valid JSON: {0}")]
    Json(SyntaxError),
    /// It is no XML.
    #[error("the answer is not valid XML: {0}")]
    Xml(String),
    /// It is no archive.
    #[error("the answer is no readable ZIP archive: {0}")]
    Zip(String),
    /// It decompresses or decodes to more than the limit.
    #[error("the answer is larger than {limit_bytes} bytes when decoded")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// It holds more lines or rows than one page may.
    #[error("the answer holds more than {MAX_DOCUMENTS} lines")]
    TooMany,
    /// A byte is none of the declared encoding.
    #[error("the answer is not {encoding} text")]
    Encoding {
        /// The declared encoding.
        encoding: &'static str,
    },
}

/// Lines or rows of one answer.
const MAX_DOCUMENTS: usize = 1_000_000;

/// Compressed data starts so.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

const KNOWN: [&str; 8] = [
    "JsonDecoder",
    "JsonlDecoder",
    "IterableDecoder",
    "CsvDecoder",
    "JsonItemsDecoder",
    "XmlDecoder",
    "GzipDecoder",
    "ZipfileDecoder",
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
            "ZipfileDecoder" => {
                let inner = fields::required(node, "decoder")?;
                Self::Zip(Box::new(Self::build(inner)?))
            }
            "JsonItemsDecoder" => Self::JsonItems(JsonItems::build(node)?),
            "XmlDecoder" => Self::Xml,
            _ => return Err(fields::unknown_type(node, "decoder", &KNOWN)),
        })
    }

    /// The JSON documents of a body. JSON itself is passed on unread: the selector checks it.
    ///
    /// `limit_bytes` bounds what the body decompresses and decodes to.
    pub fn decode(&self, body: Bytes, limit_bytes: usize) -> Result<Vec<Bytes>, DecodeError> {
        let mut documents = Documents::new(limit_bytes);
        match self {
            Self::Json => documents.add(body)?,
            Self::Jsonl => {
                for line in lines(&body).filter(|line| !line.trim_ascii().is_empty()) {
                    documents.add(body.slice_ref(line))?;
                }
            }
            Self::Iterable => {
                for line in lines(&body) {
                    let line = std::str::from_utf8(line)
                        .map_err(|_| DecodeError::Encoding { encoding: "UTF-8" })?;
                    documents.add_object([("record".to_owned(), Value::from(line))])?;
                }
            }
            Self::Csv(csv) => csv.decode(&body, &mut documents)?,
            Self::JsonItems(items) => items.decode(&body, &mut documents)?,
            Self::Xml => documents.add(xml::decode(&body)?.to_json().into())?,
            Self::Gzip(inner) => return inner.decode(decompress(body, limit_bytes)?, limit_bytes),
            Self::Zip(inner) => zip::decode(inner, &body, limit_bytes, &mut documents)?,
        }
        Ok(documents.all)
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

/// Documents while they are decoded, within bounds: a few bytes can stand for a wide row.
struct Documents {
    all: Vec<Bytes>,
    left_bytes: usize,
    limit_bytes: usize,
}

impl Documents {
    fn new(limit_bytes: usize) -> Self {
        Self {
            all: Vec::new(),
            left_bytes: limit_bytes,
            limit_bytes,
        }
    }

    fn add(&mut self, document: Bytes) -> Result<(), DecodeError> {
        let limit_bytes = self.limit_bytes;
        self.left_bytes = self
            .left_bytes
            .checked_sub(document.len())
            .ok_or(DecodeError::TooLarge { limit_bytes })?;
        if self.all.len() >= MAX_DOCUMENTS {
            return Err(DecodeError::TooMany);
        }
        self.all.push(document);
        Ok(())
    }

    fn add_object(
        &mut self,
        members: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), DecodeError> {
        let object: Map = members.into_iter().collect();
        self.add(Value::from(object).to_json().into())
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
