//! The last line of defence for secrets: no registered value leaves through a log line.
//!
//! Code keeps secrets out of messages by its types; this catches what slips through, such as a
//! provider that echoes a token in its error text. It is no licence to log a secret.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use memchr::memmem;
use tracing_subscriber::fmt::MakeWriter;
use url::Url;
use url::form_urlencoded::byte_serialize;

/// What stands where a secret stood.
pub const REPLACEMENT: &str = "[redacted]";

/// Shorter values are not looked for: they would black out ordinary words and numbers.
pub const MIN_LENGTH: usize = 6;

static SECRETS: Secrets = Secrets::new();

/// Every value looked for, longest first, so that a secret inside a longer one never leaves the
/// rest of the longer one readable.
struct Secrets {
    any: AtomicBool,
    values: RwLock<Vec<Vec<u8>>>,
}

/// Keeps `value` out of every log line from here on, also as it looks inside JSON, quoted text
/// and a query string.
///
/// Called by the configuration loader for every substituted value and every field that its schema
/// calls secret, and by whoever derives a credential from one (a Basic header, a fetched token).
/// Ignores values shorter than [`MIN_LENGTH`] and addresses without credentials or path: a host
/// that cannot be reached must be named.
pub fn register_secret(value: &str) {
    SECRETS.register(value);
}

/// `text` without any registered secret.
pub fn redacted(text: &str) -> Cow<'_, str> {
    match SECRETS.cleaned(text.as_bytes()) {
        Some(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        None => Cow::Borrowed(text),
    }
}

impl Secrets {
    const fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            values: RwLock::new(Vec::new()),
        }
    }

    fn register(&self, value: &str) {
        let value = value.trim();
        if value.len() < MIN_LENGTH || is_plain_origin(value) {
            return;
        }
        if self.knows(value.as_bytes()) {
            return;
        }
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        for form in spellings(value) {
            if !values.contains(&form) {
                values.push(form);
            }
        }
        values.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.any.store(true, Ordering::Release);
    }

    /// Spares the writers' lock for what is registered again and again, once per request.
    fn knows(&self, value: &[u8]) -> bool {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.iter().any(|known| known == value)
    }

    /// `line` with every secret replaced; `None` when it holds none.
    fn cleaned(&self, line: &[u8]) -> Option<Vec<u8>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean: Option<Vec<u8>> = None;
        for value in values.iter() {
            if let Some(replaced) = replaced(clean.as_deref().unwrap_or(line), value) {
                clean = Some(replaced);
            }
        }
        clean
    }
}

/// `scheme://host[:port]` and nothing else.
fn is_plain_origin(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| {
        url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// How a value may look in a log line: as it is, in a JSON string, in Rust's quoted form, and
/// percent-encoded with either spelling of a space.
fn spellings(value: &str) -> BTreeSet<Vec<u8>> {
    let json = serde_json::Value::from(value).to_string();
    let form: String = byte_serialize(value.as_bytes()).collect();
    let mut spellings = BTreeSet::from([
        value.as_bytes().to_vec(),
        json.as_bytes()[1..json.len() - 1].to_vec(),
        value.escape_debug().to_string().into_bytes(),
        form.replace('+', "%20").into_bytes(),
        form.into_bytes(),
    ]);
    // A secret of several lines (a private key) may be cut into lines by what prints it.
    spellings.extend(
        value
            .lines()
            .map(str::trim)
            .filter(|line| line.len() >= MIN_LENGTH && !line.starts_with("-----"))
            .map(|line| line.as_bytes().to_vec()),
    );
    spellings
}

fn replaced(line: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let mut found = memmem::find_iter(line, value).peekable();
    found.peek()?;
    let mut clean = Vec::with_capacity(line.len());
    let mut rest = 0;
    for at in found {
        clean.extend_from_slice(&line[rest..at]);
        clean.extend_from_slice(REPLACEMENT.as_bytes());
        rest = at + value.len();
    }
    clean.extend_from_slice(&line[rest..]);
    Some(clean)
}

/// Makes writers to stderr that redact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line
    }
}

/// Writes one event. The formatter hands over a whole event in one call, so that no secret is
/// ever split between two.
#[derive(Debug)]
pub(super) struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        match SECRETS.cleaned(line) {
            Some(clean) => stderr.write_all(&clean)?,
            None => stderr.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secrets: &[&str], line: &str) -> String {
        let registered = Secrets::new();
        for secret in secrets {
            registered.register(secret);
        }
        let cleaned = registered.cleaned(line.as_bytes());
        cleaned.map_or_else(
            || line.to_owned(),
            |bytes| String::from_utf8(bytes).unwrap(),
        )
    }

    #[test]
    fn a_secret_is_replaced_however_it_is_spelled() {
        let secret = "p\"w d/é+\\";
        let quoted = format!("{secret:?}");
        for line in [
            secret.to_owned(),
            format!("{{\"error\":{}}}", serde_json::json!(secret)),
            format!("token={quoted}"),
            "GET /x?token=p%22w+d%2F%C3%A9%2B%5C".to_owned(),
            "GET /x?token=p%22w%20d%2F%C3%A9%2B%5C".to_owned(),
        ] {
            let cleaned = clean(&[secret], &line);
            assert!(cleaned.contains(REPLACEMENT), "{line} -> {cleaned}");
            assert!(!cleaned.contains("w d") && !cleaned.contains("p%22w"));
        }
    }

    #[test]
    fn a_secret_within_a_longer_one_leaves_nothing_of_it() {
        assert_eq!(
            clean(&["canary", "xx-canary-yy"], "a xx-canary-yy b canary c"),
            "a [redacted] b [redacted] c"
        );
    }

    #[test]
    fn the_lines_of_a_private_key_are_secrets_of_their_own() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n";
        assert_eq!(clean(&[key], "at MIIEvQIBADAN"), "at [redacted]");
        assert_eq!(clean(&[key], "-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    #[test]
    fn short_values_and_bare_addresses_stay_readable() {
        let line = "cannot reach https://acme.atlassian.net on 8080";
        assert_eq!(clean(&["8080", "https://acme.atlassian.net/"], line), line);
        let hook = "https://hooks.example/T0/B0/canary";
        assert_eq!(clean(&[hook], hook), REPLACEMENT);
        let with_password = "redis://:canary@host";
        assert_eq!(clean(&[with_password], with_password), REPLACEMENT);
    }
}
