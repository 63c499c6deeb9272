//! Reads `metadata.connector`, key by key.

use std::sync::Arc;

use super::reader::Reader;
use super::{
    AboutCredentials, AbsentList, CONNECTOR_KEYS, FRAMEWORK_VERSION, HEALTH_KEYS, HealthCheck,
    Metadata, SIGNAL_KEYS, SignalMetadata,
};
use crate::document::{Kind, Node, Position, Problem};
use crate::source::manifest::errors::{OptionalParameters, Refusals};
use crate::source::manifest::methods::{AuthMethods, Method};
use crate::source::manifest::template::Template;
use crate::webhook;

const AUTH_KEYS: [&str; 2] = ["select", "methods"];
const METHOD_KEYS: [&str; 3] = ["fields", "optional", "authenticator"];
const CREDENTIALS_KEYS: [&str; 4] = ["path", "identity", "permissions", "expires"];
const REFUSAL_KEYS: [&str; 3] = ["credentials", "permission", "parameters"];
const PARAMETER_KEYS: [&str; 2] = ["names", "when"];

/// Reads `metadata.connector` of a manifest. `streams` are the names that `signals` may use.
pub(in crate::source::manifest) fn read(
    document: &Node,
    streams: &[Arc<str>],
) -> Result<Metadata, Vec<Problem>> {
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

impl Reader {
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

    fn signal(&mut self, stream: &str, node: &Node) -> SignalMetadata {
        let mut signal = SignalMetadata::default();
        let place = format!("signals.{stream}");
        for (key, _, value) in self.members(&place, node, &SIGNAL_KEYS) {
            match key {
                "subject" => signal.subject = Some(self.pointers(key, value)),
                "within" => signal.within = self.pointers(key, value),
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

    fn refusals(&mut self, node: &Node) -> Refusals {
        let mut refusals = Refusals::default();
        for (key, _, value) in self.members("refusals", node, &REFUSAL_KEYS) {
            match key {
                "credentials" => refusals.credentials = self.template(key, value),
                "permission" => refusals.permission = self.template(key, value),
                _ => refusals.parameters = self.optional_parameters(value),
            }
        }
        refusals
    }

    fn optional_parameters(&mut self, node: &Node) -> Option<OptionalParameters> {
        let place = "refusals.parameters";
        let (mut names, mut when) = (Vec::new(), None);
        for (key, _, value) in self.members(place, node, &PARAMETER_KEYS) {
            match key {
                "names" => {
                    let texts = value.items().iter().map(|item| self.text(key, item));
                    names = texts.collect::<Option<_>>().unwrap_or_default();
                }
                _ => when = self.condition(place, key, value),
            }
        }
        if names.is_empty() || node.get("when").is_none() {
            self.complain(
                node.at,
                format!("{place} lacks names or when"),
                "say which parameters they are, and when they are refused: \
                 { names: [pagination], when: { http_codes: [405] } }",
            );
        }
        Some(OptionalParameters { names, when: when? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::Place;
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
    signals: { issues: { skip: [302] } }
    refusals: { parameters: { names: [] } }
",
        )
        .unwrap_err();
        assert_eq!(
            problems,
            [
                ":4:23: unknown stream \"issue\" (did you mean \"issues\"?)",
                ":5:33: skip is a number (make it 200, or a status of HTTP from 400 to 499)",
                ":6:29: refusals.parameters lacks names or when (say which parameters they are, and when they are refused: { names: [pagination], when: { http_codes: [405] } })",
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
