//! `metadata.connector`: what a manifest says to this worker beyond Airbyte's format.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::errors::Refusals;
use super::feed::StreamRules;
use super::fields::{self, kind_name, problem};
use super::methods::{AuthMethods, Method};
use super::template::Template;
use crate::client::{Place, RateLimits};
use crate::document::{Kind, Node, Position, Problem, did_you_mean};
use crate::json::Pointer;
use crate::webhook::{self, Webhooks};

/// The version of the framework that manifests are written for: a manifest's own version has the
/// same major number.
pub const FRAMEWORK_VERSION: u64 = 1;

/// What `metadata.connector` holds; everything is optional.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// First part of a signal's `type`.
    pub id: Option<Arc<str>>,
    /// Semver of the manifest.
    pub version: Option<String>,
    /// Name for people.
    pub display_name: Option<String>,
    /// Time between polls that suits the provider.
    pub poll_interval: Option<Duration>,
    /// How records become signals, by stream.
    pub signals: BTreeMap<Arc<str>, SignalMetadata>,
    /// How `check` proves address and identity.
    pub health_check: Option<HealthCheck>,
    /// Which ways to authenticate there are.
    pub auth: AuthMethods,
    /// What refusals are about, where their status does not tell.
    pub(super) refusals: Refusals,
    /// How much the provider may be asked.
    pub rate_limits: Arc<RateLimits>,
    /// How deliveries of the provider are trusted and mapped.
    pub webhooks: Option<Arc<Webhooks>>,
    /// Streams that are only delivered and never read, and how their records become signals.
    pub pushed: Vec<(Arc<str>, SignalMetadata)>,
    /// How streams are read beyond what Airbyte's format can say.
    pub(super) streams: BTreeMap<Arc<str>, Arc<StreamRules>>,
    /// Streams that a connector reads where its entry names none; empty: all.
    pub default_streams: Vec<Arc<str>>,
}

/// `metadata.connector.signals.<stream>`
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalMetadata {
    /// The key; replaces `primary_key`.
    pub subject: Option<Vec<Pointer>>,
    /// The record's own update time.
    pub time: Option<Pointer>,
    /// Fields that make the version.
    pub version: Vec<Pointer>,
    /// Fields that do not.
    pub ignore: Vec<Pointer>,
    /// Whether a record older than the published one is dropped.
    pub ordered: bool,
    /// Whether a record missing from a complete read is deleted. Default: where the stream is not
    /// incremental.
    pub deletions: Option<bool>,
    /// An instant in the answer that only grows; an answer with an older one is stale.
    pub freshness: Option<Pointer>,
    /// The cursor's value, where it is no top-level field.
    pub cursor: Option<Pointer>,
    /// What an answer without the list of records means.
    pub absent_list: AbsentList,
    /// Statuses that mean, where the error handler ignores them, that a partition has no such
    /// records: it is left out.
    pub skip: Vec<u16>,
    /// Keys of the configuration without which there is nothing to read.
    pub requires: Vec<String>,
}

/// What an answer without the list of records means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AbsentList {
    /// Nothing that could be relied on.
    #[default]
    Unknown,
    /// That there are none.
    Empty,
}

/// `metadata.connector.health_check`
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// Path below the requester's base address; a template that sees the configuration.
    pub path: String,
    /// Default GET.
    pub method: http::Method,
    /// JSON to send.
    pub body: Option<String>,
    /// Status that means healthy. Default 200.
    pub expected_status: u16,
    /// Bound on the request.
    pub timeout: Option<Duration>,
    /// Where the answer names who we are; the first that is there is shown.
    pub identity: Vec<Pointer>,
    /// Where the answer names what the credentials may do; the first that is there is shown.
    pub permissions: Vec<Place>,
    /// Where the answer says when the credentials end; `check` warns in time.
    pub expires: Vec<Place>,
    /// A second request, about the credentials alone.
    pub credentials: Option<AboutCredentials>,
}

/// `metadata.connector.health_check.credentials`: what may be asked about the credentials. Not
/// every kind of them can be asked about, so a refusal says nothing.
#[derive(Debug, Clone, Default)]
pub struct AboutCredentials {
    /// As [`HealthCheck::path`]; an empty one is not asked.
    pub path: String,
    /// As [`HealthCheck::identity`].
    pub identity: Vec<Pointer>,
    /// As [`HealthCheck::permissions`].
    pub permissions: Vec<Place>,
    /// As [`HealthCheck::expires`].
    pub expires: Vec<Place>,
}

/// Keys of `metadata.connector`.
pub(crate) const CONNECTOR_KEYS: [&str; 15] = [
    "auth",
    "id",
    "version",
    "display_name",
    "poll_interval_seconds",
    "default_streams",
    "signals",
    "streams",
    "health_check",
    "refusals",
    "rate_limits",
    "webhooks",
    "oauth",
    "endpoints",
    "documentation_url",
];
/// Keys of `metadata.connector.signals.<stream>`.
pub(crate) const SIGNAL_KEYS: [&str; 11] = [
    "subject",
    "time",
    "version",
    "ignore",
    "ordered",
    "deletions",
    "freshness",
    "cursor",
    "absent_list",
    "skip",
    "requires",
];
const AUTH_KEYS: [&str; 2] = ["select", "methods"];
const METHOD_KEYS: [&str; 3] = ["fields", "optional", "authenticator"];
/// Keys of `metadata.connector.streams.<stream>`.
pub(crate) const STREAM_KEYS: [&str; 7] = super::feed::STREAM_KEYS;
/// Keys of `metadata.connector.health_check`.
pub(crate) const HEALTH_KEYS: [&str; 9] = [
    "path",
    "http_method",
    "body_json",
    "expected_status",
    "timeout_seconds",
    "identity",
    "permissions",
    "expires",
    "credentials",
];
const CREDENTIALS_KEYS: [&str; 4] = ["path", "identity", "permissions", "expires"];
const REFUSAL_KEYS: [&str; 2] = ["credentials", "permission"];

/// Reads `metadata.connector` of a manifest. `streams` are the names that `signals` may use.
pub(super) fn read(document: &Node, streams: &[Arc<str>]) -> Result<Metadata, Vec<Problem>> {
    let mut reader = Reader::default();
    let mut metadata = Metadata::default();
    let Some(connector) = document
        .get("metadata")
        .and_then(|metadata| metadata.get("connector"))
    else {
        return Ok(metadata);
    };
    for (key, at, value) in reader.members("metadata.connector", connector, &CONNECTOR_KEYS) {
        match key {
            "id" => metadata.id = reader.identifier(value).map(Arc::from),
            "version" => metadata.version = reader.version(value),
            "display_name" => metadata.display_name = reader.text(key, value),
            "poll_interval_seconds" => metadata.poll_interval = reader.seconds(key, value),
            "signals" => {
                for entry in value.entries() {
                    let Some(name) = streams.iter().find(|name| ***name == *entry.key) else {
                        reader.unknown("stream", &entry.key, entry.key_at, streams);
                        continue;
                    };
                    let signal = reader.signal(&entry.key, &entry.value);
                    metadata.signals.insert(name.clone(), signal);
                }
            }
            "streams" => {
                for entry in value.entries() {
                    let Some(name) = streams.iter().find(|name| ***name == *entry.key) else {
                        reader.unknown("stream", &entry.key, entry.key_at, streams);
                        continue;
                    };
                    if let Some(rules) = reader.stream_rules(&entry.key, &entry.value) {
                        metadata.streams.insert(name.clone(), Arc::new(rules));
                    }
                }
            }
            "default_streams" => {
                for item in value.items() {
                    let name = item.as_str().unwrap_or_default();
                    match streams.iter().find(|known| ***known == *name) {
                        Some(known) => metadata.default_streams.push(known.clone()),
                        None => reader.unknown("stream", name, item.at, streams),
                    }
                }
                if value.items().is_empty() {
                    reader.wrong(key, value, "a list of the manifest's streams");
                }
            }
            "health_check" => metadata.health_check = reader.health_check(value, at),
            "auth" => metadata.auth = reader.auth(value, at),
            "refusals" => metadata.refusals = reader.refusals(value),
            "rate_limits" => metadata.rate_limits = Arc::new(reader.rate_limits(value)),
            "webhooks" => reader.webhooks(value, streams, &mut metadata),
            // Read by the parts of the worker that they are about.
            _ => {}
        }
    }
    if reader.problems.is_empty() {
        Ok(metadata)
    } else {
        reader.problems.sort_by_key(|problem| problem.at);
        Err(reader.problems)
    }
}

/// Collects the problems of what it reads.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn complain(
        &mut self,
        at: Position,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(problem(at, message, fix));
    }

    pub(super) fn unknown<S: AsRef<str>>(
        &mut self,
        what: &str,
        name: &str,
        at: Position,
        known: &[S],
    ) {
        let fix = match did_you_mean(name, known.iter().map(AsRef::as_ref)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
                format!("known: {}", known.join(", "))
            }
        };
        self.complain(at, format!("unknown {what} \"{name}\""), fix);
    }

    /// The members of a map that have a known name.
    pub(super) fn members<'n>(
        &mut self,
        place: &str,
        node: &'n Node,
        known: &[&str],
    ) -> Vec<(&'n str, Position, &'n Node)> {
        if !matches!(node.kind, Kind::Map(_)) {
            let found = kind_name(node);
            self.complain(node.at, format!("{place} is {found}"), "make it a map");
        }
        let mut members = Vec::new();
        for entry in node.entries() {
            if known.contains(&&*entry.key) {
                members.push((&*entry.key, entry.key_at, &entry.value));
            } else {
                self.unknown(&format!("key in {place}"), &entry.key, entry.key_at, known);
            }
        }
        members
    }

    pub(super) fn wrong(&mut self, key: &str, node: &Node, wanted: &str) {
        let found = kind_name(node);
        self.complain(
            node.at,
            format!("{key} is {found}"),
            format!("make it {wanted}"),
        );
    }

    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        let text = node.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, node, "text");
        }
        text
    }

    fn identifier(&mut self, node: &Node) -> Option<String> {
        let id = self.text("id", node)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            self.complain(
                node.at,
                format!("\"{id}\" cannot begin the type of a signal"),
                "use lower-case letters, digits, _ and -",
            );
        }
        Some(id)
    }

    fn version(&mut self, node: &Node) -> Option<String> {
        let Some(version) = node.as_str() else {
            self.wrong("version", node, "text such as \"1.0.0\"");
            return None;
        };
        let core = version.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<Option<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
        match numbers[..] {
            [Some(FRAMEWORK_VERSION), Some(_), Some(_)] => {}
            [Some(major), Some(_), Some(_)] => self.complain(
                node.at,
                format!("the manifest is written for version {major} of the framework"),
                format!("this worker reads version {FRAMEWORK_VERSION}"),
            ),
            _ => self.complain(
                node.at,
                format!("\"{version}\" is no semantic version"),
                "write it as 1.0.0",
            ),
        }
        Some(version.to_owned())
    }

    pub(super) fn number(&mut self, key: &str, node: &Node) -> Option<f64> {
        let number = match node.kind {
            Kind::Int(number) => i32::try_from(number).ok().map(f64::from),
            Kind::Float(number) => Some(number),
            _ => None,
        };
        let number = number.filter(|number| *number > 0.0 && number.is_finite());
        if number.is_none() {
            self.complain(node.at, format!("{key} is no number above zero"), "mend it");
        }
        number
    }

    pub(super) fn seconds(&mut self, key: &str, node: &Node) -> Option<Duration> {
        self.number(key, node)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    fn flag(&mut self, key: &str, node: &Node) -> Option<bool> {
        if let Kind::Bool(flag) = node.kind {
            return Some(flag);
        }
        self.wrong(key, node, "true or false");
        None
    }

    fn pointer(&mut self, key: &str, node: &Node) -> Option<Pointer> {
        match self.text(key, node)?.parse() {
            Ok(pointer) => Some(pointer),
            Err(error) => {
                self.complain(
                    node.at,
                    format!("{key} is no JSON pointer"),
                    error.to_string(),
                );
                None
            }
        }
    }

    pub(super) fn pointers(&mut self, key: &str, node: &Node) -> Vec<Pointer> {
        match &node.kind {
            Kind::List(items) => items
                .iter()
                .filter_map(|item| self.pointer(key, item))
                .collect(),
            _ => self.pointer(key, node).into_iter().collect(),
        }
    }

    /// Pointers, which begin with a slash, and names of headers.
    fn places(&mut self, key: &str, node: &Node) -> Vec<Place> {
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        items
            .iter()
            .filter_map(|item| self.place(key, item))
            .collect()
    }

    /// A pointer, which begins with a slash, or the name of a header.
    pub(super) fn place(&mut self, key: &str, node: &Node) -> Option<Place> {
        match node.as_str() {
            Some(name) if !name.is_empty() && !name.starts_with('/') => {
                Some(Place::Header(name.to_ascii_lowercase()))
            }
            _ => self.pointer(key, node).map(Place::Body),
        }
    }

    /// Statuses of refusals.
    fn statuses(&mut self, key: &str, node: &Node) -> Vec<u16> {
        let mut statuses = Vec::new();
        for item in node.items() {
            match item.kind {
                Kind::Int(status @ 400..=499) => {
                    statuses.extend(u16::try_from(status).ok());
                }
                _ => self.wrong(key, item, "a status of HTTP from 400 to 499"),
            }
        }
        if node.items().is_empty() {
            self.wrong(key, node, "a list such as [404, 410]");
        }
        statuses
    }

    fn signal(&mut self, stream: &str, node: &Node) -> SignalMetadata {
        let mut signal = SignalMetadata::default();
        let place = format!("signals.{stream}");
        for (key, _, value) in self.members(&place, node, &SIGNAL_KEYS) {
            match key {
                "subject" => signal.subject = Some(self.pointers(key, value)),
                "time" => signal.time = self.pointer(key, value),
                "version" => signal.version = self.pointers(key, value),
                "ignore" => signal.ignore = self.pointers(key, value),
                "ordered" => signal.ordered = self.flag(key, value).unwrap_or_default(),
                "deletions" => signal.deletions = self.flag(key, value),
                "freshness" => signal.freshness = self.pointer(key, value),
                "absent_list" => match value.as_str() {
                    Some("empty") => signal.absent_list = AbsentList::Empty,
                    Some("unknown") => {}
                    _ => self.wrong(key, value, "empty or unknown"),
                },
                "skip" => signal.skip = self.statuses(key, value),
                "requires" => {
                    let texts = value.items().iter().map(|item| self.text(key, item));
                    signal.requires = texts.collect::<Option<_>>().unwrap_or_default();
                }
                _ => signal.cursor = self.pointer(key, value),
            }
        }
        if signal.ordered && signal.time.is_none() {
            self.complain(
                node.at,
                format!("{place} is ordered without a time to order by"),
                "add time",
            );
        }
        signal
    }

    fn webhooks(&mut self, node: &Node, streams: &[Arc<str>], metadata: &mut Metadata) {
        let mut names = streams.to_vec();
        for entry in node.get("streams").map_or(&[][..], Node::entries) {
            let name: Arc<str> = entry.key.as_str().into();
            if names.contains(&name) {
                self.complain(
                    entry.key_at,
                    format!("stream {name} is read already"),
                    "leave it out here: routes may use it",
                );
                continue;
            }
            let signal = self.signal(&entry.key, &entry.value);
            metadata.pushed.push((name.clone(), signal));
            names.push(name);
        }
        let (webhooks, problems) = webhook::read(node, &names);
        self.problems.extend(problems);
        let details = node.get("details").map_or(&[][..], Node::entries);
        let paths = details
            .iter()
            .map(|entry| entry.value.get("path").unwrap_or(&entry.value));
        for node in paths.chain(node.get("select")) {
            let template = node.as_str().map(Template::compile);
            if let Some(Err(error)) = template {
                self.complain(node.at, error.to_string(), "mend the template");
            }
        }
        metadata.webhooks = Some(Arc::new(webhooks));
    }

    fn health_check(&mut self, node: &Node, at: Position) -> Option<HealthCheck> {
        let mut check = HealthCheck {
            path: String::new(),
            expected_status: 200,
            timeout: None,
            identity: Vec::new(),
            method: http::Method::GET,
            body: None,
            permissions: Vec::new(),
            expires: Vec::new(),
            credentials: None,
        };
        for (key, _, value) in self.members("health_check", node, &HEALTH_KEYS) {
            match key {
                "path" => check.path = self.text(key, value)?,
                "expected_status" => match value.kind {
                    Kind::Int(status @ 100..=599) => {
                        check.expected_status = u16::try_from(status).unwrap_or(200);
                    }
                    _ => self.wrong(key, value, "a status of HTTP"),
                },
                "http_method" => match value.as_str() {
                    Some("GET") => {}
                    Some("POST") => check.method = http::Method::POST,
                    _ => self.wrong(key, value, "GET or POST"),
                },
                "body_json" => check.body = Some(value.to_value().to_string()),
                "timeout_seconds" => check.timeout = self.seconds(key, value),
                "permissions" => check.permissions = self.places(key, value),
                "expires" => check.expires = self.places(key, value),
                "credentials" => check.credentials = Some(self.about_credentials(value)),
                _ => check.identity = self.pointers(key, value),
            }
        }
        if check.path.is_empty() {
            self.complain(at, "health_check has no path", "add the path to request");
            return None;
        }
        Some(check)
    }

    fn about_credentials(&mut self, node: &Node) -> AboutCredentials {
        let mut about = AboutCredentials::default();
        for (key, _, value) in self.members("health_check.credentials", node, &CREDENTIALS_KEYS) {
            match key {
                "path" => about.path = self.text(key, value).unwrap_or_default(),
                "permissions" => about.permissions = self.places(key, value),
                "expires" => about.expires = self.places(key, value),
                _ => about.identity = self.pointers(key, value),
            }
        }
        if about.path.is_empty() {
            let fix = "add the path to request";
            self.complain(node.at, "health_check.credentials has no path", fix);
        }
        about
    }

    fn auth(&mut self, node: &Node, at: Position) -> AuthMethods {
        let mut auth = AuthMethods::default();
        for (key, _, value) in self.members("auth", node, &AUTH_KEYS) {
            if key == "select" {
                auth.select = self.text(key, value).unwrap_or_default();
                continue;
            }
            for entry in value.entries() {
                let mut method = Method {
                    name: entry.key.clone(),
                    fields: Vec::new(),
                    optional: Vec::new(),
                    authenticator: None,
                };
                for (key, _, value) in self.members(&entry.key, &entry.value, &METHOD_KEYS) {
                    match key {
                        "authenticator" => method.authenticator = Some(value.clone()),
                        "fields" => method.fields = self.texts(key, value),
                        _ => method.optional = self.texts(key, value),
                    }
                }
                auth.methods.push(method);
            }
        }
        if auth.select.is_empty() || auth.methods.is_empty() {
            self.complain(
                at,
                "auth needs select and methods",
                "select names the field that SelectiveAuthenticator reads",
            );
        }
        auth
    }

    fn texts(&mut self, key: &str, node: &Node) -> Vec<String> {
        let texts = node
            .items()
            .iter()
            .map(|item| item.as_str().map(str::to_owned));
        match (&node.kind, texts.collect::<Option<Vec<_>>>()) {
            (Kind::List(_), Some(texts)) => texts,
            _ => {
                self.wrong(key, node, "a list of fields");
                Vec::new()
            }
        }
    }

    fn refusals(&mut self, node: &Node) -> Refusals {
        let mut refusals = Refusals::default();
        for (key, _, value) in self.members("refusals", node, &REFUSAL_KEYS) {
            let predicate = self.template(key, value);
            if key == "credentials" {
                refusals.credentials = predicate;
            } else {
                refusals.permission = predicate;
            }
        }
        refusals
    }

    fn template(&mut self, key: &str, node: &Node) -> Option<Template> {
        match fields::template_of(key, node) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse_yaml;

    fn read_text(text: &str) -> Result<Metadata, Vec<String>> {
        let document = parse_yaml("m.yaml", text).unwrap();
        read(&document, &["issues".into()])
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_manifest_may_say_nothing() {
        assert!(read_text("version: 1.0.0").unwrap().id.is_none());
    }

    #[test]
    fn everything_that_is_said_is_read() {
        let metadata = read_text(
            "
metadata:
  connector:
    id: jira
    version: 1.2.3
    display_name: Jira
    poll_interval_seconds: 300
    signals:
      issues: { subject: /id, time: /fields/updated, version: [/a, /b], ordered: true, deletions: false, skip: [404, 410], requires: [sites] }
    default_streams: [issues]
    health_check: { path: /myself, timeout_seconds: 5, http_method: POST, body_json: { query: '{me}' }, permissions: [X-Scopes, /scopes], expires: /end }
    refusals: { permission: '{{ response.error == 1 }}' }
    rate_limits: { requests_per_second: 50, burst: 5, concurrent_requests: 2, strategy: token_bucket }
    webhooks:
      signature: stripe
      event: /type
      streams: { pings: { subject: /id } }
      routes: { 'issue.*': { stream: issues, record: /issue }, ping: { stream: pings } }
",
        )
        .unwrap();
        assert_eq!(metadata.id.as_deref(), Some("jira"));
        assert_eq!(metadata.poll_interval, Some(Duration::from_mins(5)));
        let issues = &metadata.signals["issues"];
        assert_eq!(issues.version.len(), 2);
        assert_eq!(issues.deletions, Some(false));
        assert_eq!(issues.skip, [404, 410]);
        assert_eq!(issues.requires, ["sites"]);
        assert_eq!(metadata.default_streams, [Arc::<str>::from("issues")]);
        let limits = &metadata.rate_limits;
        assert_eq!(limits.requests_per_second, Some(50.0));
        assert_eq!(
            (limits.burst, limits.concurrent_requests),
            (Some(5.0), Some(2))
        );
        let check = metadata.health_check.unwrap();
        assert_eq!(
            (check.expected_status, check.method),
            (200, http::Method::POST)
        );
        assert_eq!(check.body.as_deref(), Some(r#"{"query":"{me}"}"#));
        assert!(metadata.refusals.permission.is_some() && metadata.refusals.credentials.is_none());
        assert_eq!(metadata.webhooks.as_ref().unwrap().routes.len(), 2);
        assert_eq!(&*metadata.pushed[0].0, "pings");
        assert_eq!(
            check.permissions,
            [
                Place::Header("x-scopes".to_owned()),
                Place::Body("/scopes".parse().unwrap())
            ]
        );
        assert_eq!(check.expires, [Place::Body("/end".parse().unwrap())]);
    }

    #[test]
    fn streams_and_statuses_that_are_none_are_refused() {
        let problems = read_text(
            "
metadata:
  connector:
    default_streams: [issue]
    signals: { issues: { skip: [200] } }
",
        )
        .unwrap_err();
        assert_eq!(
            problems,
            [
                ":4:23: unknown stream \"issue\" (did you mean \"issues\"?)",
                ":5:33: skip is a number (make it a status of HTTP from 400 to 499)",
            ]
        );
    }

    #[test]
    fn every_problem_names_its_place_and_fix() {
        let problems = read_text(
            "
metadata:
  connector:
    version: 2.0.0
    dislay_name: x
    signals:
      issue: {}
      issues: { subject: id, ordered: true }
",
        )
        .unwrap_err();
        assert_eq!(
            problems,
            [
                ":4:14: the manifest is written for version 2 of the framework (this worker reads version 1)",
                ":5:5: unknown key in metadata.connector \"dislay_name\" (did you mean \"display_name\"?)",
                ":7:7: unknown stream \"issue\" (did you mean \"issues\"?)",
                ":8:15: signals.issues is ordered without a time to order by (add time)",
                ":8:26: subject is no JSON pointer (a JSON pointer starts with a slash, as in /fields/updated)",
            ]
            .map(str::to_owned)
        );
    }
}
