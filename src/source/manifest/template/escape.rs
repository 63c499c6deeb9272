//! Backslash escapes of Python texts.

/// Text with its escapes resolved. What is no escape keeps its backslash. `None` where Python
/// refuses: a truncated `\x`, a code point out of range, a character by name.
pub(super) fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let kind = rest.chars().next()?;
        rest = &rest[kind.len_utf8()..];
        match kind {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(kind),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0'..='7' => {
                let octal = |c: char| !('0'..='7').contains(&c);
                let more = rest.find(octal).unwrap_or(rest.len()).min(2);
                let code = u32::from_str_radix(&format!("{kind}{}", &rest[..more]), 8).ok()?;
                rest = &rest[more..];
                out.push(char::from_u32(code)?);
            }
            'x' => push_code(&mut out, code(&mut rest, 2)?)?,
            'u' => {
                let mut unit = code(&mut rest, 4)?;
                // Two halves of a surrogate pair are one character.
                if (0xD800..0xDC00).contains(&unit)
                    && let Some(mut after) = rest.strip_prefix("\\u")
                    && let Some(low @ 0xDC00..0xE000) = code(&mut after, 4)
                {
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                    rest = after;
                }
                push_code(&mut out, unit)?;
            }
            'U' => push_code(&mut out, code(&mut rest, 8)?)?,
            'N' => return None,
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

fn code(rest: &mut &str, digits: usize) -> Option<u32> {
    let hex = rest
        .get(..digits)
        .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    *rest = &rest[digits..];
    u32::from_str_radix(hex, 16).ok()
}

/// A lone surrogate is no character: it becomes U+FFFD, as in records.
fn push_code(out: &mut String, code: u32) -> Option<()> {
    let is_surrogate = (0xD800..0xE000).contains(&code);
    out.push(if is_surrogate {
        char::REPLACEMENT_CHARACTER
    } else {
        char::from_u32(code)?
    });
    Some(())
}
