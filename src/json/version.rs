//! The version of a record: a hash that spelling does not change.
//!
//! Key order, white space, escapes and the spelling of numbers (`1`, `1.0`, `10e-1`) make no
//! difference; everything else does. The hash is not meant to withstand somebody who chooses
//! content to collide: the worst such a provider achieves is that its own change goes unseen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::scan::{MAX_DEPTH, Scanner};
use super::{Pointer, SyntaxError, get, text_of};
use crate::signal::Version;

/// Fields that do not make a version, ready for use.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    here: bool,
    below: BTreeMap<Vec<u8>, Ignored>,
}

impl Ignored {
    /// Leaves out what these point at.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut root = Self::default();
        for pointer in pointers {
            let mut at = &mut root;
            for part in pointer.parts() {
                at = at.below.entry(part.clone().into_bytes()).or_default();
            }
            at.here = true;
        }
        root
    }
}

/// Hash of a whole value without the `ignored` fields.
pub fn canonical_hash(value: &[u8], ignored: &Ignored) -> Result<Version, SyntaxError> {
    version_of(
        &mut Scanner {
            bytes: value,
            at: 0,
        },
        ignored,
    )
}

/// The same of the value that comes next.
pub(super) fn version_of(
    scanner: &mut Scanner<'_>,
    ignored: &Ignored,
) -> Result<Version, SyntaxError> {
    let hash = hash_value(scanner, 0, Some(ignored), 0)?;
    Ok(Version(hash.to_be_bytes()))
}

/// Hash of only the fields at `pointers`. A field that is an instant counts as the instant,
/// however it is spelled; a missing one counts as `null`.
pub fn fields_hash(record: &[u8], pointers: &[Pointer]) -> Result<Version, SyntaxError> {
    let mut hashes = Vec::with_capacity(pointers.len() * 16);
    for pointer in pointers {
        let field = get(record, pointer).unwrap_or(b"null");
        let hash = match instant_of(field) {
            Some(at) => mix(Tag::Instant, 0, &at.as_nanosecond().to_be_bytes()),
            None => hash_value(
                &mut Scanner {
                    bytes: field,
                    at: 0,
                },
                0,
                None,
                0,
            )?,
        };
        hashes.extend_from_slice(&hash.to_be_bytes());
    }
    Ok(Version(mix(Tag::Array, 0, &hashes).to_be_bytes()))
}

/// The instant that a JSON string spells: RFC 3339, also with an offset without colon, as Jira
/// writes it.
pub fn instant_of(scalar: &[u8]) -> Option<Timestamp> {
    if scalar.first() != Some(&b'"') || !(12..=48).contains(&scalar.len()) {
        return None;
    }
    let text = text_of(scalar);
    // A bare date is no instant, and a bare time is neither.
    if !text.contains(['T', 't', ' ']) {
        return None;
    }
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", &*text).ok())
}

/// The instant at which something happened, as a provider spells it: as [`instant_of`], or as a
/// number, in text or not, of seconds or milliseconds since 1970.
pub fn time_of(scalar: &[u8]) -> Option<Timestamp> {
    /// 1973, in seconds: smaller numbers are no time.
    const EARLIEST: f64 = 1e8;
    /// Numbers from here on are milliseconds.
    const MILLIS: f64 = 1e11;
    if let Some(at) = instant_of(scalar) {
        return Some(at);
    }
    let text = text_of(scalar);
    let number: f64 = text.parse().ok().filter(|n: &f64| *n >= EARLIEST)?;
    let scale = if number >= MILLIS { 1e3 } else { 1e6 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bounds are checked after it"
    )]
    Timestamp::from_microsecond((number * scale).round() as i64).ok()
}

#[derive(Clone, Copy)]
enum Tag {
    Null,
    False,
    True,
    Number,
    String,
    Array,
    Object,
    Instant,
}

/// `seed` is the hash of the key under which the value stands, so that one call hashes both.
fn mix(tag: Tag, seed: u64, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(
        bytes,
        (seed ^ tag as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

fn hash_value(
    scanner: &mut Scanner<'_>,
    seed: u64,
    ignored: Option<&Ignored>,
    depth: u32,
) -> Result<u128, SyntaxError> {
    if depth > MAX_DEPTH {
        return scanner.error("nested too deeply");
    }
    match scanner.peek() {
        Some(b'"') => Ok(mix(Tag::String, seed, &scanner.string()?.text())),
        Some(b'{') => {
            // A sum does not depend on the order of its terms, and every term is a hash that is
            // seeded by its key.
            let (mut sum, mut count) = (0_u128, 0_u64);
            scanner.members(|scanner, key| {
                let key = key.text();
                let below = ignored.and_then(|tree| tree.below.get(key.as_ref()));
                if below.is_some_and(|tree| tree.here) {
                    return scanner.skip_value();
                }
                let seed = xxhash_rust::xxh3::xxh3_64(&key);
                sum = sum.wrapping_add(hash_value(scanner, seed, below, depth + 1)?);
                count += 1;
                Ok(())
            })?;
            let mut bytes = [0; 24];
            bytes[..16].copy_from_slice(&sum.to_be_bytes());
            bytes[16..].copy_from_slice(&count.to_be_bytes());
            Ok(mix(Tag::Object, seed, &bytes))
        }
        Some(b'[') => {
            let mut running = [0; 32];
            scanner.items(|scanner, index| {
                let below = ignored.and_then(|tree| tree.below.get(index.to_string().as_bytes()));
                if below.is_some_and(|tree| tree.here) {
                    return scanner.skip_value();
                }
                let item = hash_value(scanner, 0, below, depth + 1)?;
                running[16..].copy_from_slice(&item.to_be_bytes());
                let chained = mix(Tag::Array, 1, &running);
                running[..16].copy_from_slice(&chained.to_be_bytes());
                Ok(())
            })?;
            Ok(mix(Tag::Array, seed, &running[..16]))
        }
        Some(b'-' | b'0'..=b'9') => Ok(hash_number(scanner.number()?, seed)),
        Some(b't') => scanner.literal(b"true").map(|()| mix(Tag::True, seed, &[])),
        Some(b'f') => scanner
            .literal(b"false")
            .map(|()| mix(Tag::False, seed, &[])),
        Some(b'n') => scanner.literal(b"null").map(|()| mix(Tag::Null, seed, &[])),
        _ => scanner.no_value(),
    }
}

/// Hashes sign, significant digits and power of ten: what the number is, not how it is written.
fn hash_number(text: &[u8], seed: u64) -> u128 {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    // An integer that does not end in zero is spelled in one way only.
    if text.len() <= 31 && unsigned.iter().all(u8::is_ascii_digit) && unsigned.last() != Some(&b'0')
    {
        let mut bytes = [0; 40];
        bytes[0] = u8::from(negative);
        bytes[1..=unsigned.len()].copy_from_slice(unsigned);
        return mix(Tag::Number, seed, &bytes[..unsigned.len() + 9]);
    }
    let mark = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = unsigned.split_at(mark.unwrap_or(unsigned.len()));
    let exponent = match exponent {
        [] => Some(0),
        [_, digits @ ..] => std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<i64>().ok()),
    };
    let Some(mut exponent) = exponent.filter(|power| power.unsigned_abs() < 1 << 60) else {
        return mix(Tag::Number, seed, text);
    };
    // Sign, digits without zeros at either end, exponent; long numbers go to the heap.
    let mut bytes = Vec::with_capacity(mantissa.len() + 9);
    bytes.push(u8::from(negative));
    let point = mantissa.iter().position(|byte| *byte == b'.');
    for digit in mantissa.iter().filter(|byte| **byte != b'.') {
        if bytes.len() > 1 || *digit != b'0' {
            bytes.push(*digit);
        }
    }
    exponent -= i64::try_from(point.map_or(0, |at| mantissa.len() - at - 1)).unwrap_or(0);
    while bytes.len() > 1 && bytes.last() == Some(&b'0') {
        bytes.pop();
        exponent += 1;
    }
    if bytes.len() == 1 {
        bytes[0] = 0; // zero has neither sign nor power
        exponent = 0;
    }
    bytes.extend_from_slice(&exponent.to_be_bytes());
    mix(Tag::Number, seed, &bytes)
}
