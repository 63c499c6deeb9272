//! Form encoding as Python's `urlencode` does it.

use std::fmt::Write as _;

/// `a=1&b=2`: spaces become `+`, and only letters, digits and `_.-~` stay as they are.
pub fn encode<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        quote(key, &mut out);
        out.push('=');
        quote(value, &mut out);
    }
    out
}

fn quote(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(byte.into());
            }
            b' ' => out.push('+'),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn reserved_characters_are_escaped() {
        let pairs = [("a b", "c+d/é"), ("x*", "~_.-")];
        assert_eq!(encode(pairs), "a+b=c%2Bd%2F%C3%A9&x%2A=~_.-");
    }
}
