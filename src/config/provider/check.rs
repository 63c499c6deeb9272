//! The values of an arranged provider configuration against its schema.

use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::super::keys;
use super::super::report::{Place, Report};
use super::Subject;
use super::arrange::Arranged;
use super::describe::{describe, one_line};
use crate::client::is_never_requested;
use crate::document::{Kind, Node, Position};

/// Formats that are not checked.
const IGNORED_FORMATS: &[&str] = &[
    "date",
    "time",
    "date-time",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "uri-reference",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// Whether a text is an address that requests can go to.
fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty())
    })
}

/// Reports every value that the schema refuses.
pub(super) fn check(subject: &Subject<'_>, arranged: &Arranged, report: &mut Report) {
    if !subject.spec.is_object() {
        return;
    }
    let mut options = jsonschema::draft7::options()
        .should_validate_formats(true)
        .with_format("uri", is_address);
    // Other formats are advice to forms in these specifications; public manifests get them wrong.
    for format in IGNORED_FORMATS {
        options = options.with_format(*format, |_: &str| true);
    }
    let validator = match options.build(subject.spec) {
        Ok(validator) => validator,
        Err(error) => {
            let place = Place {
                at: arranged.node.at,
                connector: subject.connector,
                field: "providerConfig",
            };
            let message = format!(
                "not checked: the specification of type {} is no valid JSON Schema at {}",
                subject.kind,
                error.schema_path().as_str()
            );
            report.warning(&place, &message, None);
            return;
        }
    };
    let value = to_json(&arranged.node);
    let mut checker = Checker {
        subject,
        arranged,
        report,
    };
    let errors: Vec<_> = validator.iter_errors(&value).collect();
    let has_wrong_type = |pointer: &str| {
        errors.iter().any(|error| {
            matches!(error.kind(), ValidationErrorKind::Type { .. })
                && error.instance_path().as_str() == pointer
        })
    };
    for error in &errors {
        // Of a value of the wrong type nothing else is worth saying.
        let is_type = matches!(error.kind(), ValidationErrorKind::Type { .. });
        if is_type || !has_wrong_type(error.instance_path().as_str()) {
            checker.error(error);
        }
    }
    checker.empty();
    checker.forbidden();
}

struct Checker<'a> {
    subject: &'a Subject<'a>,
    arranged: &'a Arranged,
    report: &'a mut Report,
}

impl<'a> Checker<'a> {
    fn error(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        let (node, shown) = self.find(pointer);
        // A default that its own specification refuses is not the user's to mend.
        if !pointer.is_empty() && node.at == Position::default() {
            return;
        }
        if self.subject.leaves.is_opaque(node.at)
            && !matches!(node.kind, Kind::Map(_) | Kind::List(_))
        {
            return;
        }
        match error.kind() {
            ValidationErrorKind::OneOfNotValid { context }
            | ValidationErrorKind::AnyOf { context } => {
                self.alternatives(pointer, node, &shown, context);
            }
            ValidationErrorKind::OneOfMultipleValid { .. }
                if self.arranged.choices.contains_key(pointer) => {}
            // Unknown keys are reported where they are spelled.
            ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::UnevaluatedProperties { .. } => {}
            ValidationErrorKind::Required { property } => {
                // A typo of the key is reported already.
                let is_typo = |(at, key): &(String, String)| at == pointer && property == key;
                if !self.arranged.misspelled.iter().any(is_typo) {
                    self.required(node, &shown, property, error.schema_path().as_str());
                }
            }
            kind => {
                if is_composite(kind) && self.subject.leaves.has_opaque(node) {
                    return;
                }
                let property = parent(self.subject.spec, error.schema_path().as_str());
                let (message, fix) = describe(kind, node, property);
                self.problem(node.at, &shown, &message, fix);
            }
        }
    }

    /// A key of the schema as the file spells its keys.
    fn spelled(&self, key: &str) -> String {
        if self.arranged.is_snake {
            key.to_owned()
        } else {
            keys::to_camel(key)
        }
    }

    /// Warns of required texts that are empty, as an unset secret often arrives.
    fn empty(&mut self) {
        let required = self.subject.spec.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if let Some(node) = self.arranged.node.get(key)
                && node.as_str() == Some("")
            {
                let field = format!("providerConfig.{}", self.spelled(key));
                let place = Place {
                    at: node.at,
                    connector: self.subject.connector,
                    field: &field,
                };
                self.report.warning(&place, "is required, and empty", None);
            }
        }
    }

    /// Reports addresses that the client will refuse.
    fn forbidden(&mut self) {
        for entry in self.arranged.node.entries() {
            let url = entry.value.as_str().and_then(|text| text.parse().ok());
            if url.is_some_and(|url: url::Url| url.has_host() && is_never_requested(&url)) {
                let field = format!("providerConfig.{}", self.spelled(&entry.key));
                let message = "is a link-local or cloud metadata address, which is never requested";
                let fix = "write the address of the provider".to_owned();
                self.problem(entry.value.at, &field, message, Some(fix));
            }
        }
    }

    fn problem(&mut self, at: Position, field: &str, message: &str, fix: Option<String>) {
        let place = Place {
            at,
            connector: self.subject.connector,
            field,
        };
        self.report.problem(&place, message, fix);
    }

    /// The node at a JSON pointer, and its path as messages show it.
    fn find(&self, pointer: &str) -> (&'a Node, String) {
        let arranged = self.arranged;
        let mut node = &arranged.node;
        let mut shown = "providerConfig".to_owned();
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => node.get(&part),
            };
            let Some(next) = next else { break };
            // Writing to a String cannot fail.
            let _ = match node.kind {
                Kind::List(_) => write!(shown, "[{part}]"),
                _ => write!(shown, ".{}", self.spelled(&part)),
            };
            node = next;
        }
        (node, shown)
    }

    fn alternatives(
        &mut self,
        pointer: &str,
        node: &Node,
        shown: &str,
        context: &[Vec<ValidationError<'static>>],
    ) {
        match self.arranged.choices.get(pointer) {
            Some(Some(chosen)) if context.get(*chosen).is_some_and(|c| !c.is_empty()) => {
                for error in &context[*chosen] {
                    self.error(error);
                }
            }
            Some(None) => {}
            _ if self.subject.leaves.has_opaque(node) => {}
            _ if let Some(needs) = missing_keys(context) => {
                // Keys that are misspelled are reported already.
                let is_typo = |(at, key): &(String, String)| {
                    at == pointer && needs.iter().flatten().any(|need| need == key)
                };
                if !self.arranged.misspelled.iter().any(is_typo) {
                    let ways: Vec<String> = needs
                        .iter()
                        .map(|keys| {
                            let keys: Vec<String> = keys
                                .iter()
                                .map(|key| format!("\"{}\"", self.spelled(key)))
                                .collect();
                            keys.join(" and ")
                        })
                        .collect();
                    let message = format!("needs {}", ways.join(", or "));
                    self.problem(node.at, shown, &message, None);
                }
            }
            _ => {
                let message = "fits none of the forms that this field may have";
                let fix = format!(
                    "connector-worker connectors show {} lists them",
                    self.subject.kind
                );
                self.problem(node.at, shown, message, Some(fix));
            }
        }
    }

    fn required(&mut self, node: &Node, shown: &str, property: &Value, schema_path: &str) {
        let Some(key) = property.as_str() else { return };
        let schema = parent(self.subject.spec, schema_path);
        let member = schema.and_then(|schema| schema.get("properties")?.get(key));
        let word = |name: &str| member.and_then(|member| member.get(name)?.as_str());
        let spelled = self.spelled(key);
        let what = word("title").or(word("description")).map(one_line);
        let message = match what {
            Some(what) if !what.eq_ignore_ascii_case(&spelled) => {
                format!("\"{spelled}\" is missing: {what}")
            }
            _ => format!("\"{spelled}\" is missing"),
        };
        let is_secret = member.is_some_and(|m| m.get("airbyte_secret") == Some(&Value::Bool(true)));
        let fix = if let Some(prefix) = self.subject.variables {
            // Names of nested keys follow those of the objects around them.
            let path = shown.strip_prefix("providerConfig").unwrap_or_default();
            let name = format!("{path}_{key}")
                .trim_start_matches(['.', '_'])
                .to_owned();
            Some(format!(
                "set {prefix}{}",
                keys::to_snake(&name).to_uppercase()
            ))
        } else if is_secret {
            let prefix = match self.subject.kind {
                "MANIFEST" => String::new(),
                kind => format!("{}_", keys::to_snake(&kind.to_lowercase()).to_uppercase()),
            };
            let variable = keys::to_snake(key).to_uppercase();
            Some(format!("add \"{spelled}\": \"${{{prefix}{variable}}}\""))
        } else {
            Some(format!("add \"{spelled}\""))
        };
        self.problem(node.at, shown, &message, fix);
    }
}

/// The keys that each alternative misses, when that is all they complain of.
fn missing_keys(context: &[Vec<ValidationError<'static>>]) -> Option<Vec<Vec<String>>> {
    context
        .iter()
        .map(|errors| {
            errors
                .iter()
                .map(|error| match error.kind() {
                    ValidationErrorKind::Required { property } => {
                        property.as_str().map(str::to_owned)
                    }
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// Whether a rule looks at a value as a whole, so that one unknown leaf leaves it undecided.
fn is_composite(kind: &ValidationErrorKind) -> bool {
    !matches!(kind, ValidationErrorKind::Type { .. })
}

/// The schema that holds the keyword a schema path ends with.
fn parent<'a>(spec: &'a Value, schema_path: &str) -> Option<&'a Value> {
    spec.pointer(schema_path.rsplit_once('/')?.0)
}

fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(flag) => (*flag).into(),
        Kind::Int(number) => (*number).into(),
        Kind::Float(number) => (*number).into(),
        // Only bounds look at it, and a float keeps its size.
        Kind::BigNumber(text) => text.parse::<f64>().map_or(Value::Null, |number| {
            serde_json::Number::from_f64(number.clamp(f64::MIN, f64::MAX))
                .map_or(Value::Null, Value::Number)
        }),
        Kind::String(text) => Value::String(text.clone()),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), to_json(&entry.value)))
                .collect(),
        ),
    }
}
