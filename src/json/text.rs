//! What JSON strings stand for.

use std::borrow::Cow;

/// A scalar as text: strings unescaped, everything else as it stands.
pub fn text_of(scalar: &[u8]) -> Cow<'_, str> {
    match scalar {
        [b'"', inner @ .., b'"'] => match unescape(inner) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
                Ok(text) => text,
                // A lone surrogate: no Rust text can hold it.
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        },
        other => String::from_utf8_lossy(other),
    }
}

/// The bytes a string's inside stands for. A lone surrogate becomes the three bytes that its
/// number would have in UTF-8, so that different ones stay different.
pub(super) fn unescape(inner: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', inner) else {
        return Cow::Borrowed(inner);
    };
    let mut out = Vec::with_capacity(inner.len());
    out.extend_from_slice(&inner[..first]);
    let mut at = first;
    while let Some(&byte) = inner.get(at) {
        if byte != b'\\' {
            let run = memchr::memchr(b'\\', &inner[at..]).map_or(inner.len(), |next| at + next);
            out.extend_from_slice(&inner[at..run]);
            at = run;
            continue;
        }
        let escape = inner.get(at + 1).copied().unwrap_or(b'\\');
        at += 2;
        match escape {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut code = hex4(inner, at);
                at += 4;
                if (0xd800..0xdc00).contains(&code) && inner.get(at..at + 2) == Some(b"\\u") {
                    let low = hex4(inner, at + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        at += 6;
                    }
                }
                push_code(code, &mut out);
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

fn push_code(code: u32, out: &mut Vec<u8>) {
    if let Some(char) = char::from_u32(code) {
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let bits = |shift: u32| 0x80 | u8::try_from((code >> shift) & 0x3f).unwrap_or(0);
        out.extend_from_slice(&[0xed, bits(6), bits(0)]);
    }
}

fn hex4(inner: &[u8], at: usize) -> u32 {
    let digits = inner
        .get(at..at + 4)
        .and_then(|hex| std::str::from_utf8(hex).ok());
    digits
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .unwrap_or(0xfffd)
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'b> {
    pub(super) inner: &'b [u8],
    pub(super) has_escapes: bool,
}

impl<'b> Quoted<'b> {
    /// The bytes it stands for, see [`unescape`].
    pub(super) fn text(self) -> Cow<'b, [u8]> {
        if self.has_escapes {
            unescape(self.inner)
        } else {
            Cow::Borrowed(self.inner)
        }
    }
}
