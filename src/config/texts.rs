//! What texts look like: names, words, truth values, elements of lists.

use std::net::IpAddr;

use super::fields::{self, Item};
use crate::json::Pointer;

/// Whether a text looks like a number or a truth value that should have no quotes.
pub(super) fn is_bare_word(text: &str) -> bool {
    let text = text.trim();
    text.parse::<i64>().is_ok() || matches!(text, "true" | "false")
}

/// A truth value in the spellings that environments use.
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Why a text is no connector name.
pub(super) fn flaw_of_name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > fields::MAX_NAME {
        return Some(format!("is longer than {} characters", fields::MAX_NAME));
    }
    let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    (!is_good).then(|| "is no valid connector name".to_owned())
}

pub(super) fn flaw_of_word(text: &str, max: usize) -> Option<String> {
    if text.is_empty() {
        Some("is empty".to_owned())
    } else if text.chars().count() > max {
        Some(format!("is longer than {max} characters"))
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("holds a space or a control character".to_owned())
    } else {
        None
    }
}

pub(super) fn flaw_of_item(item: Item, text: &str) -> Option<(String, Option<String>)> {
    match item {
        Item::Stream | Item::Secret => text.is_empty().then(|| ("is empty".to_owned(), None)),
        Item::Pointer if text.is_empty() => Some((
            "points at the whole record".to_owned(),
            Some("name a field, as in /fields/lastViewed".to_owned()),
        )),
        Item::Pointer => text
            .parse::<Pointer>()
            .err()
            .map(|error| ("is no JSON pointer".to_owned(), Some(error.to_string()))),
        Item::Network => (!is_network(text)).then(|| {
            (
                "is neither an IP address nor a network".to_owned(),
                Some("write 192.0.2.7 or 192.0.2.0/24".to_owned()),
            )
        }),
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_ok();
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}
