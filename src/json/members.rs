//! Leaving members of an object out without building a tree.

use std::borrow::Cow;

use memchr::memmem;

use super::scan::Scanner;

/// A valid object without its own members that are null; those of nested objects stay.
pub fn without_nulls(object: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(object, b"null").is_none() {
        return Cow::Borrowed(object);
    }
    let mut scanner = Scanner {
        bytes: object,
        at: 0,
    };
    if scanner.peek() != Some(b'{') {
        return Cow::Borrowed(object);
    }
    let mut out = Vec::with_capacity(object.len());
    out.push(b'{');
    let result = scanner.members(|scanner, key| {
        scanner.skip_space();
        let start = scanner.at;
        scanner.skip_value()?;
        let value = &object[start..scanner.at];
        if value != b"null" {
            if out.len() > 1 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(key.inner);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
        Ok(())
    });
    out.push(b'}');
    match result {
        Ok(()) => Cow::Owned(out),
        Err(_) => Cow::Borrowed(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_members_at_the_top_are_left_out() {
        for (object, expected) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":null}"#, "{}"),
            (
                r#"{ "a" : null, "b\"" : {"c":null} , "d":[null],"e":null }"#,
                r#"{"b\"":{"c":null},"d":[null]}"#,
            ),
            (r#"{"a":"null"}"#, r#"{"a":"null"}"#),
            ("[null]", "[null]"),
        ] {
            assert_eq!(without_nulls(object.as_bytes()), expected.as_bytes());
        }
    }
}
