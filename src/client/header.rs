//! Headers from configuration: any text may be in a secret, not every text may be in a header.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::FetchError;

/// Sets header `name` to `value`, replacing what was there. An error names the header and what is
/// wrong with it, never the value.
pub fn set_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), FetchError> {
    let key = HeaderName::try_from(name).map_err(|_| {
        FetchError::Misconfigured(format!("{name:?} is not a possible name of a header"))
    })?;
    let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        let what = match value.find(['\n', '\r']) {
            Some(at) if value[at..].trim_end().is_empty() => {
                "ends in a line break; remove it where the value comes from"
            }
            Some(_) => "holds a line break",
            None => "holds a control character",
        };
        FetchError::Misconfigured(format!("the value of header {key} {what}"))
    })?;
    value.set_sensitive(true);
    headers.insert(key, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_header_and_not_the_value() {
        for (value, words) in [
            ("Bearer secret\n", "ends in a line break"),
            ("Bearer secret\r\nX-Evil: 1", "holds a line break"),
            ("secret\u{0}", "holds a control character"),
        ] {
            let error = set_header(&mut HeaderMap::new(), "Authorization", value)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("authorization") && error.contains(words),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(set_header(&mut HeaderMap::new(), "Bad Name", "x").is_err());
    }

    #[test]
    fn any_printable_text_arrives_unchanged_and_hidden() {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "X-Token", "pässword ✓").unwrap();
        assert_eq!(headers["x-token"].as_bytes(), "pässword ✓".as_bytes());
        assert!(!format!("{headers:?}").contains("word"));
    }
}
