//! The `Link` header (RFC 8288) as templates see it: relation → `{url, rel, …}`.

use crate::json::{Map, Value};

/// Links by their relation, or by their address where they have none. Of two links with the same
/// relation the last counts. Anything that is no link is skipped.
pub(in crate::source::manifest) fn links(header: &str) -> Map {
    let mut links = Map::new();
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let Some(close) = rest.find('>') else { break };
        let url = rest[..close].trim().to_owned();
        rest = &rest[close + 1..];
        let (parameters, after) = parameters(rest);
        rest = after;
        let key = match parameters.get("rel").and_then(Value::as_str) {
            Some(rel) if !rel.is_empty() => rel.to_owned(),
            _ => url.clone(),
        };
        let mut link = Map::new();
        link.insert("url".to_owned(), url.into());
        link.extend(parameters);
        links.insert(key, link.into());
    }
    links
}

/// The parameters up to the comma before the next link, and what follows it.
fn parameters(text: &str) -> (Map, &str) {
    let mut map = Map::new();
    let mut rest = text.trim_start();
    while let Some(after) = rest.strip_prefix(';') {
        let after = after.trim_start();
        let end = after.find(['=', ';', ',']).unwrap_or(after.len());
        let name = after[..end].trim().to_ascii_lowercase();
        let (value, remaining) = match after[end..].strip_prefix('=') {
            Some(value) => value_of(value.trim_start()),
            None => (String::new(), &after[end..]),
        };
        if !name.is_empty() && !map.contains_key(&name) {
            map.insert(name, value.into());
        }
        rest = remaining.trim_start();
    }
    (map, rest)
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, char) in quoted.char_indices() {
        match char {
            _ if escaped => {
                value.push(char);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn relations_name_addresses() {
        for (header, expected) in [
            ("", "{}"),
            (
                r#"<https://a/x?a=1,2&b=3>; rel="next", <https://a/y>; rel=last"#,
                r#"{"next":{"url":"https://a/x?a=1,2&b=3","rel":"next"},"last":{"url":"https://a/y","rel":"last"}}"#,
            ),
            (
                r#"</p;q>;rel="prev";title="a, b; \"c\"";x , </z>"#,
                r#"{"prev":{"url":"/p;q","rel":"prev","title":"a, b; \"c\"","x":""},"/z":{"url":"/z"}}"#,
            ),
            ("no link at all", "{}"),
            ("<unclosed", "{}"),
        ] {
            assert_eq!(Value::from(links(header)).to_string(), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(header in ".{0,200}") {
            links(&header);
        }

        #[test]
        fn any_address_survives(url in "[!-;=?-~]{1,60}", rel in "[a-z]{1,9}") {
            let header = format!("<https://first/>; rel=\"first\", <{url}>; rel=\"x{rel}\"");
            let links = links(&header);
            let found = links[&format!("x{rel}")].get("url").and_then(Value::as_str);
            prop_assert_eq!(found, Some(url.trim()));
        }
    }
}
