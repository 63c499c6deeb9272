//! The last line of defence for secrets: no registered value leaves through a log line.
//!
//! Code keeps secrets out of messages by its types; this catches what slips through, such as a
//! provider that echoes a token in its error text. It is no licence to log a secret.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use memchr::memmem;
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;
use url::Url;
use url::form_urlencoded::byte_serialize;

/// What stands where a secret stood.
pub const REPLACEMENT: &str = "[redacted]";

/// Shorter values are not looked for: they would black out ordinary words and numbers.
pub const MIN_LENGTH: usize = 6;

/// How long a token that nobody has any more is still looked for: a provider may quote the one
/// that a request on its way was sent with.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// Tokens that nobody has any more and that are still looked for. More are forgotten early.
const MAX_RETIRED: usize = 1000;

static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

#[derive(Default)]
struct Secrets {
    any: AtomicBool,
    values: RwLock<Values>,
}

/// A secret as it may be spelled somewhere.
type Form = Vec<u8>;

#[derive(Default)]
struct Values {
    /// Every form looked for, longest first, so that a secret inside a longer one never leaves the
    /// rest of the longer one readable.
    sorted: Vec<Form>,
    /// Who has each; [`FOR_EVER`] where it is never forgotten.
    holders: HashMap<Form, usize>,
    /// Forms that nobody has any more, and since when.
    retired: VecDeque<(Instant, BTreeSet<Form>)>,
}

const FOR_EVER: usize = usize::MAX;

/// A secret that passes, such as a token: looked for as long as somebody has this, and a while
/// longer.
pub struct PassingSecret(Mutex<Vec<BTreeSet<Form>>>);

impl PassingSecret {
    /// Keeps `value` out of every log line until this is dropped, as [`register_secret`] does for
    /// ever.
    pub fn new(value: &str) -> Self {
        let secret = Self(Mutex::default());
        secret.also(value);
        secret
    }

    /// The same for something that is made of it.
    pub fn also(&self, value: &str) {
        let Some(forms) = forms_of(value) else { return };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.contains(&forms) {
            SECRETS.hold(&forms);
            held.push(forms);
        }
    }
}

impl Drop for PassingSecret {
    fn drop(&mut self) {
        let held = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for forms in held.drain(..) {
            SECRETS.retire(forms, Instant::now());
        }
    }
}

impl std::fmt::Debug for PassingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PassingSecret")
    }
}

/// The secrets of a configuration: every substituted value and every field that its schema calls
/// secret. Looked for as long as somebody has the configuration, and a while longer.
#[derive(Clone, Default)]
pub struct KeptOut(Vec<Arc<PassingSecret>>);

impl<'s> FromIterator<&'s str> for KeptOut {
    fn from_iter<I: IntoIterator<Item = &'s str>>(secrets: I) -> Self {
        let passing = |secret| Arc::new(PassingSecret::new(secret));
        Self(secrets.into_iter().map(passing).collect())
    }
}

impl PartialEq for KeptOut {
    /// It says nothing that the configuration does not.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for KeptOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptOut({})", self.0.len())
    }
}

/// Keeps `value` out of every log line from here on, also as it looks inside JSON, quoted text
/// and a query string.
///
/// For what the process has as long as it runs. What a configuration holds is [`KeptOut`], what is
/// issued, or made of secrets for a request, a [`PassingSecret`].
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
    fn register(&self, value: &str) {
        if self.knows_for_ever(value.trim().as_bytes()) {
            return;
        }
        let Some(forms) = forms_of(value) else { return };
        let mut values = self.change();
        for form in &forms {
            values.add(form, |_| FOR_EVER);
        }
    }

    fn hold(&self, forms: &BTreeSet<Form>) {
        let mut values = self.change();
        for form in forms {
            values.add(form, |holders| holders.saturating_add(1));
        }
    }

    fn retire(&self, forms: BTreeSet<Form>, now: Instant) {
        let mut values = self.change();
        values.retired.push_back((now, forms));
        values.forget(now);
    }

    fn change(&self) -> RwLockWriteGuard<'_, Values> {
        self.any.store(true, Ordering::Release);
        self.values.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spares the writers' lock for what is registered again and again, once per request.
    fn knows_for_ever(&self, value: &[u8]) -> bool {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.holders.get(value) == Some(&FOR_EVER)
    }

    /// `line` with every secret replaced; `None` when it holds none.
    fn cleaned(&self, line: &[u8]) -> Option<Vec<u8>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean: Option<Vec<u8>> = None;
        for value in &values.sorted {
            if let Some(replaced) = replaced(clean.as_deref().unwrap_or(line), value) {
                clean = Some(replaced);
            }
        }
        clean
    }
}

impl Values {
    fn add(&mut self, form: &Form, holders: impl FnOnce(usize) -> usize) {
        if let Some(held) = self.holders.get_mut(form) {
            *held = holders(*held);
            return;
        }
        self.holders.insert(form.clone(), holders(0));
        let at = self
            .sorted
            .partition_point(|known| known.len() > form.len());
        self.sorted.insert(at, form.clone());
    }

    /// Lets go of what was retired long enough ago.
    fn forget(&mut self, now: Instant) {
        while let Some((since, _)) = self.retired.front() {
            let is_old = now.saturating_duration_since(*since) >= KEPT_FOR;
            if !is_old && self.retired.len() <= MAX_RETIRED {
                return;
            }
            let Some((_, forms)) = self.retired.pop_front() else {
                return;
            };
            for form in forms {
                self.release(&form);
            }
        }
    }

    fn release(&mut self, form: &Form) {
        match self.holders.get_mut(form) {
            Some(&mut FOR_EVER) | None => return,
            Some(held) if *held > 1 => {
                *held -= 1;
                return;
            }
            Some(_) => {}
        }
        self.holders.remove(form);
        self.sorted.retain(|known| known != form);
    }
}

/// How `value` may be spelled; `None` for what is not looked for.
fn forms_of(value: &str) -> Option<BTreeSet<Form>> {
    let value = value.trim();
    (value.len() >= MIN_LENGTH && !is_plain_origin(value)).then(|| spellings(value))
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
        let registered = Secrets::default();
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

    #[test]
    fn a_secret_that_passed_is_looked_for_a_while_and_then_forgotten() {
        let secrets = Secrets::default();
        let shows = |secrets: &Secrets, text: &str| secrets.cleaned(text.as_bytes()).is_none();
        let (one, two) = (
            forms_of("token-one").unwrap(),
            forms_of("token-two").unwrap(),
        );
        let now = Instant::now();
        secrets.register("configured");
        for forms in [&one, &one, &two, &forms_of("configured").unwrap()] {
            secrets.hold(forms);
        }
        secrets.retire(one.clone(), now);
        secrets.retire(two.clone(), now);
        secrets.retire(forms_of("configured").unwrap(), now);
        assert!(!shows(&secrets, "token-one") && !shows(&secrets, "token-two"));
        let later = now + KEPT_FOR;
        secrets.retire(BTreeSet::new(), later);
        assert!(!shows(&secrets, "token-one"), "somebody has it yet");
        assert!(shows(&secrets, "token-two"));
        assert!(!shows(&secrets, "configured"));
        secrets.retire(one, later);
        secrets.retire(BTreeSet::new(), later + KEPT_FOR);
        assert!(shows(&secrets, "token-one"));
    }

    #[test]
    fn the_secrets_of_a_configuration_go_with_it() {
        let kept: KeptOut = ["configured-once-c4n4ry"].into_iter().collect();
        let other = kept.clone();
        drop(kept);
        let retired = || {
            SECRETS
                .values
                .read()
                .unwrap()
                .retired
                .iter()
                .flat_map(|(_, forms)| forms.clone())
                .collect::<Vec<_>>()
        };
        let form = b"configured-once-c4n4ry".to_vec();
        assert!(!retired().contains(&form));
        drop(other);
        assert!(retired().contains(&form));
        assert_eq!(redacted("configured-once-c4n4ry"), REPLACEMENT);
    }

    #[test]
    fn however_many_tokens_pass_few_are_remembered() {
        let secrets = Secrets::default();
        let now = Instant::now();
        for number in 0..3 * MAX_RETIRED {
            let forms = forms_of(&format!("token-{number}")).unwrap();
            secrets.hold(&forms);
            secrets.retire(forms, now);
        }
        let values = secrets.values.read().unwrap();
        assert!(
            values.sorted.len() <= MAX_RETIRED + 1,
            "{}",
            values.sorted.len()
        );
        assert_eq!(values.sorted.len(), values.holders.len());
    }
}
