//! Bodies as the reference reads them.

use bytes::Bytes;

use super::{DecodeError, Decoder, decompress};
use crate::json::respell;

impl Decoder {
    /// As [`decode`](Self::decode), except that numbers are what the reference reads, and that a
    /// body which is no JSON, or null, is an empty object, as if the provider had nothing to say.
    pub fn decode_as_the_reference(
        &self,
        body: Bytes,
        limit_bytes: usize,
    ) -> Result<Vec<Bytes>, DecodeError> {
        match self {
            Self::Json => {
                let document = match respell(&body) {
                    Ok(_) if body.trim_ascii() == b"null" => Bytes::from_static(b"{}"),
                    Ok(std::borrow::Cow::Borrowed(_)) => body,
                    Ok(std::borrow::Cow::Owned(document)) => document.into(),
                    Err(error) => {
                        tracing::warn!(%error, "an answer is no JSON and counts as empty");
                        Bytes::from_static(b"{}")
                    }
                };
                Ok(vec![document])
            }
            Self::Gzip(inner) => {
                inner.decode_as_the_reference(decompress(body, limit_bytes)?, limit_bytes)
            }
            Self::Xml => match self.decode(body, limit_bytes) {
                Err(DecodeError::Xml(error)) => {
                    tracing::warn!(%error, "an answer is no XML and counts as empty");
                    Ok(vec![Bytes::from_static(b"{}")])
                }
                result => result,
            },
            Self::Jsonl | Self::Iterable | Self::Csv(_) | Self::JsonItems(_) | Self::Zip(_) => {
                self.decode(body, limit_bytes)
            }
        }
    }
}
