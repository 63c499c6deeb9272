//! `ZipfileDecoder`: every file of an archive, decoded by another decoder.

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::ZipArchive;

use super::{DecodeError, Decoder, Documents};

/// Files of one archive.
const MAX_FILES: usize = 10_000;

/// Decodes the files in the order in which the archive lists them. What they decompress to counts
/// together.
pub(super) fn decode(
    inner: &Decoder,
    body: &Bytes,
    limit_bytes: usize,
    documents: &mut Documents,
) -> Result<(), DecodeError> {
    let broken = |error: zip::result::ZipError| DecodeError::Zip(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(&body[..])).map_err(broken)?;
    if archive.len() > MAX_FILES {
        return Err(DecodeError::Zip(format!(
            "it holds more than {MAX_FILES} files"
        )));
    }
    let mut left_bytes = limit_bytes;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        if file.is_dir() {
            continue;
        }
        let mut plain = Vec::new();
        // One byte more than allowed tells "exactly the limit" from "more".
        let most = u64::try_from(left_bytes)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.by_ref()
            .take(most)
            .read_to_end(&mut plain)
            .map_err(DecodeError::Gzip)?;
        left_bytes = left_bytes
            .checked_sub(plain.len())
            .ok_or(DecodeError::TooLarge { limit_bytes })?;
        for document in inner.decode(plain.into(), limit_bytes)? {
            documents.add(document)?;
        }
    }
    Ok(())
}
