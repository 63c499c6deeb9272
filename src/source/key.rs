//! Which record a record is.

use xxhash_rust::xxh3::xxh3_128;

use crate::json::{self, Pointer};
use crate::signal::Version;

/// A key longer than this is no key but a document.
const MAX_KEY_BYTES: usize = 1024;

/// The key of `record` as signals and the store know it, by the pointers of the stream's subject.
/// The error is for people.
pub fn key_of(record: &[u8], subject: &[Pointer]) -> Result<String, String> {
    let key = match subject {
        [] => Version(xxh3_128(&json::compact(record)).to_be_bytes()).to_string(),
        [pointer] => key_part(record, pointer)?,
        several => {
            let mut text = String::from("[");
            let mut missing = 0;
            for pointer in several {
                let part = json::get(record, pointer).unwrap_or(b"null");
                missing += usize::from(part == b"null");
                if text.len() > 1 {
                    text.push(',');
                }
                text.push_str(&String::from_utf8_lossy(&json::compact(part)));
            }
            if missing == several.len() {
                return Err(format!("the record has no key at {}", subject[0]));
            }
            text + "]"
        }
    };
    if key.is_empty() {
        return Err(format!("the record's key at {} is empty", subject[0]));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(format!(
            "the record's key is longer than {MAX_KEY_BYTES} bytes"
        ));
    }
    Ok(key)
}

fn key_part(record: &[u8], pointer: &Pointer) -> Result<String, String> {
    match json::get(record, pointer) {
        None | Some(b"null") => Err(format!("the record has no key at {pointer}")),
        Some(part @ [b'{' | b'[', ..]) => {
            Ok(String::from_utf8_lossy(&json::compact(part)).into_owned())
        }
        Some(scalar) => Ok(json::text_of(scalar).into_owned()),
    }
}
