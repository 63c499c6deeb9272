//! Which record a record is.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use super::SignalRule;
use crate::json::{self, Pointer, Value};
use crate::signal::Version;

/// A key longer than this is no key but a document.
const MAX_KEY_BYTES: usize = 1024;

/// Where the records of a stream say which they are.
#[derive(Debug, Clone, Default)]
pub struct KeyRule {
    subject: Vec<Pointer>,
    within: Vec<Pointer>,
}

impl From<&SignalRule> for KeyRule {
    fn from(rule: &SignalRule) -> Self {
        Self {
            subject: rule.subject.clone(),
            within: rule.within.clone(),
        }
    }
}

impl KeyRule {
    /// The key under which what is known of `record` is kept: its subject, behind the part that it
    /// belongs to where the stream has such. `subject` takes the place of the record's own.
    pub fn key(&self, record: &[u8], subject: Option<&str>) -> Result<String, String> {
        let subject = match subject {
            Some(subject) => subject.to_owned(),
            None => key_of(record, &self.subject)?,
        };
        if self.within.is_empty() {
            return Ok(subject);
        }
        let mut parts = Vec::with_capacity(self.within.len() + 1);
        for pointer in &self.within {
            // Of a record that does not say it, absence is never told.
            parts.push(Value::from(key_part(record, pointer).unwrap_or_default()));
        }
        parts.push(Value::from(subject));
        Ok(Value::Array(parts).to_string())
    }

    /// The subject in a key.
    pub fn subject<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if self.within.is_empty() {
            return key.into();
        }
        let parts = json::parse(key.as_bytes()).ok();
        let last = parts.as_ref().and_then(|parts| parts.as_array()?.last());
        match last.and_then(Value::as_str) {
            Some(subject) => subject.to_owned().into(),
            // Kept before the stream had parts.
            None => key.into(),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_the_part_and_the_subject_does_not() {
        let pointers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let record = br#"{"kind":"Issue","of":55,"id":7}"#;
        let plain = KeyRule {
            subject: pointers(&["/id"]),
            within: Vec::new(),
        };
        assert_eq!(plain.key(record, None).unwrap(), "7");
        assert_eq!(plain.subject("7"), "7");
        let part = KeyRule {
            within: pointers(&["/kind", "/of"]),
            ..plain
        };
        let key = part.key(record, None).unwrap();
        assert_eq!(key, r#"["Issue","55","7"]"#);
        assert_eq!(part.subject(&key), "7");
        assert_eq!(part.subject("7"), "7");
        assert_eq!(part.key(br#"{"id":7}"#, None).unwrap(), r#"["","","7"]"#);
        assert!(part.key(br#"{"kind":"Issue","of":55}"#, None).is_err());
    }
}
