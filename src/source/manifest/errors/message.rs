//! What a provider says about a failure, in words fit for a log.

use std::sync::Arc;

use crate::json::{Value, parse};

/// Longest provider message that is repeated, in characters.
const MAX_CHARS: usize = 300;

/// Where JSON errors keep their text, the most telling first. The order is the reference's.
const FIELDS: [&str; 12] = [
    "message",
    "messages",
    "error",
    "errors",
    "failures",
    "failure",
    "detail",
    "err",
    "error_message",
    "msg",
    "reason",
    "status_message",
];

/// The message that `error_message_contains` is matched against, as the reference finds it.
pub(super) fn matched_text(body: &[u8]) -> Option<String> {
    match parse(body) {
        Ok(value) => find(&value),
        Err(_) => std::str::from_utf8(body).ok().map(str::to_owned),
    }
}

fn find(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(find).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => FIELDS
            .iter()
            .filter_map(|name| map.get(*name))
            .find(|value| is_truthy(value))
            .and_then(find),
        _ => None,
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// What the body of an error answer says, for people: one line, shortened, secrets removed.
/// Empty when it says nothing readable.
pub(in crate::source::manifest) fn provider_message(body: &[u8], secrets: &Secrets) -> String {
    let Ok(value) = parse(body) else {
        // An HTML page of a proxy or CDN is no message.
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        if text.starts_with('<') || text.starts_with('{') || text.starts_with('[') {
            return String::new();
        }
        return shortened(&secrets.hide(text));
    };
    let mut parts: Vec<String> = Vec::new();
    let mut add = |part: String| {
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    };
    if let Value::Object(map) = &value {
        for name in ["title", "detail", "errorMessages", "error_description"] {
            add(map.get(name).and_then(find).unwrap_or_default());
        }
        // Jira's `errors` maps fields to messages; problem documents list parameters.
        if let Some(Value::Object(fields)) = map.get("errors") {
            for (field, text) in fields {
                add(find(text)
                    .map(|text| format!("{field}: {text}"))
                    .unwrap_or_default());
            }
        }
        if let Some(Value::Array(parameters)) = map.get("parameterErrors") {
            for parameter in parameters {
                let name = parameter.get("parameter").and_then(Value::as_str);
                let text = find(parameter).unwrap_or_default();
                add(format!("{}: {text}", name.unwrap_or("parameter")));
            }
        }
    }
    add(find(&value).unwrap_or_default());
    if let Some(id) = value.get("correlationId").and_then(Value::as_str) {
        add(format!("correlationId {id}"));
    }
    shortened(&secrets.hide(&parts.join("; ")))
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Values of the configuration that must not be repeated, even when a provider does.
#[derive(Clone, Default)]
pub(in crate::source::manifest) struct Secrets(Arc<[String]>);

impl Secrets {
    /// Longest first, so that one that contains another is replaced whole. Texts too short to be
    /// secrets would only garble messages.
    pub(in crate::source::manifest) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values.into_iter().filter(|text| text.len() >= 4).collect();
        values.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(values.into())
    }

    /// The secrets themselves.
    pub(in crate::source::manifest) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// `text` with every secret replaced.
    pub(in crate::source::manifest) fn hide(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_quoted_briefly_and_without_secrets() {
        let secrets = Secrets::new(["s3cr3t-token".to_owned()]);
        for (body, expected) in [
            (
                r#"{"correlationId":"3f2a","title":"Invalid Parameter","status":400,"detail":"Bad Request","parameterErrors":[{"parameter":"query.area[0]","message":"no such area"}]}"#,
                "Invalid Parameter; Bad Request; query.area[0]: no such area; correlationId 3f2a",
            ),
            (
                r#"{"errorMessages":["no project X"],"errors":{"jql":"bad"}}"#,
                "no project X; jql: bad",
            ),
            (
                r#"{"message":"Bad credentials","status":"401"}"#,
                "Bad credentials",
            ),
            (
                r#"{"error":{"message":"no s3cr3t-token here"}}"#,
                "no *** here",
            ),
            ("<html><body>Access Denied</body></html>", ""),
            ("too  many\nrequests", "too many requests"),
            ("", ""),
        ] {
            assert_eq!(provider_message(body.as_bytes(), &secrets), expected);
        }
        let long = provider_message("x".repeat(1000).as_bytes(), &secrets);
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
    }
}
