//! The structure of a manifest, held to the table of the format.

use std::collections::HashSet;

use super::super::datetime::{DateTime, Span};
use super::super::fields::{kind_name, problem};
use super::super::format::{self, Component, Field, Kind, Place};
use super::report::{Report, Severity};
use super::templates::{self, Read};
use crate::document::{Kind as Value, Node, Position, did_you_mean};

/// Walks components, checking each.
pub(super) struct Walk<'r, 't> {
    pub(super) report: &'r mut Report<'t>,
    /// Places of references that lead nowhere: what they stand for is missing for that reason.
    lost: &'r HashSet<Position>,
    /// What templates read.
    pub(super) reads: Vec<Read>,
    /// Fields of the components around, outermost first.
    around: Vec<Vec<(String, String)>>,
    /// Whether the requests around belong to a job of the provider.
    in_job: bool,
}

impl<'r, 't> Walk<'r, 't> {
    pub(super) fn new(report: &'r mut Report<'t>, lost: &'r HashSet<Position>) -> Self {
        Self {
            report,
            lost,
            reads: Vec::new(),
            around: Vec::new(),
            in_job: false,
        }
    }

    /// The manifest itself.
    pub(super) fn root(&mut self, document: &Node) {
        self.component("the manifest", document, &["DeclarativeSource"]);
        self.offered(document);
        if document.get("streams").is_none() && document.get("dynamic_streams").is_none() {
            self.report.error(
                "missing-field",
                document.at,
                "the manifest has no streams",
                "add the field streams with a DeclarativeStream",
            );
        }
        for (key, sample) in [
            ("check", "type: CheckStream"),
            ("version", "version: 6.0.0"),
        ] {
            if document.get(key).is_none() {
                self.report.warn(
                    "missing-field",
                    document.at,
                    format!("the manifest has no {key}, which Airbyte asks for"),
                    format!("add it, as in {sample}"),
                );
            }
        }
    }

    /// The authenticators that `metadata.connector.auth` offers besides the manifest's own.
    fn offered(&mut self, document: &Node) {
        let keys = ["metadata", "connector", "auth", "methods"];
        let methods = keys.iter().try_fold(document, |node, key| node.get(key));
        for method in methods.map_or(&[][..], Node::entries) {
            if let Some(authenticator) = method.value.get("authenticator") {
                let place = format!("methods.{}.authenticator", method.key);
                self.component(&place, authenticator, format::authenticators());
            }
        }
    }

    /// A component that must be of one of the types `allowed`; `place` is where it stands.
    fn component(&mut self, place: &str, node: &Node, allowed: &[&'static str]) {
        if !matches!(node.kind, Value::Map(_)) {
            if !self.is_lost(node) {
                self.wrong(place, node, &format!("a {}", one_of(allowed)));
            }
            return;
        }
        let name = match (node.get("type"), allowed) {
            (None, [only]) => *only,
            (None, _) => {
                return self.report.error(
                    "missing-type",
                    node.at,
                    format!("{place} has no type"),
                    format!("add the field type: {}", one_of(allowed)),
                );
            }
            (Some(kind), _) => {
                let Some(name) = kind.as_str() else {
                    return self.wrong(&format!("{place}.type"), kind, "the name of a component");
                };
                match allowed.iter().find(|known| **known == name) {
                    Some(known) => known,
                    None => return self.wrong_type(place, kind.at, name, allowed),
                }
            }
        };
        if let Some(component) = format::component(name) {
            self.fields(component, node);
        }
    }

    fn wrong_type(&mut self, place: &str, at: Position, name: &str, allowed: &[&str]) {
        if format::component(name).is_some() {
            return self.report.error(
                "wrong-type",
                at,
                format!("{place} cannot be a {name}"),
                format!("use {}", one_of(allowed)),
            );
        }
        let near = did_you_mean(name, allowed.iter().copied())
            .or_else(|| did_you_mean(name, format::components().map(|known| known.name)));
        let fix = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("use {}", one_of(allowed)),
        };
        let message = format!("unknown component type {name}");
        self.report.error("unknown-type", at, message, fix);
    }

    fn fields(&mut self, component: &'static Component, node: &Node) {
        let was_in_job = self.in_job;
        self.in_job |= component.name == "AsyncRetriever";
        for field in component.fields.iter().filter(|field| field.required) {
            let found = node.get(field.name);
            let is_there = found
                .is_some_and(|value| !matches!(value.kind, Value::Null) || self.is_lost(value));
            if !is_there {
                self.report.error(
                    "missing-field",
                    node.at,
                    format!("{} has no {}", component.name, field.name),
                    format!("add the field {}", field.name),
                );
            }
        }
        self.around.push(Vec::new());
        for entry in node.entries() {
            let key = &*entry.key;
            if matches!(key, "type" | "$parameters") {
                continue;
            }
            if let Some(text) = entry.value.as_str()
                && let Some(around) = self.around.last_mut()
            {
                around.push((key.to_owned(), text.to_owned()));
            }
            match component.field(key) {
                Some(_) if matches!(entry.value.kind, Value::Null) => {}
                Some(field) => self.value(component, field, &entry.value),
                // What is left of parameters that somebody wrote out: the same text stands in a
                // component around this one.
                None if self.is_around(key, &entry.value) => {}
                None if is_extension(key) => {}
                None => self.unknown_field(component, key, entry.key_at),
            }
        }
        self.around.pop();
        self.in_job = was_in_job;
    }

    fn is_around(&self, key: &str, value: &Node) -> bool {
        let Some((_, outer)) = self.around.split_last() else {
            return false;
        };
        value.as_str().is_some_and(|text| {
            outer
                .iter()
                .flatten()
                .any(|(name, same)| name == key && same == text)
        })
    }

    fn unknown_field(&mut self, component: &Component, key: &str, at: Position) {
        let known = || component.fields.iter().map(|field| field.name);
        let message = format!("{} has no field {key}", component.name);
        match did_you_mean(key, known()) {
            Some(near) if component.open && !is_slip(key, near) => {}
            Some(near) => {
                let fix = format!("did you mean {near}?");
                let severity = if is_slip(key, near) {
                    Severity::Error
                } else {
                    Severity::Warning
                };
                self.report
                    .add("unknown-field", severity, problem(at, message, fix));
            }
            None if component.open => {}
            None => {
                let known: Vec<_> = known().collect();
                let fix = match known.len() {
                    0 => "remove it: it has no effect".to_owned(),
                    _ => format!("it has no effect; there are {}", known.join(", ")),
                };
                self.report.warn("unknown-field", at, message, fix);
            }
        }
    }

    fn value(&mut self, component: &Component, field: &Field, node: &Node) {
        if self.is_lost(node) {
            return;
        }
        let place = &*format!("{}.{}", component.name, field.name);
        match field.kind {
            Kind::Component(types) => self.component(place, node, types),
            Kind::Components(types) => match &node.kind {
                Value::List(items) => self.each(place, items, types),
                _ => self.wrong(place, node, "a list"),
            },
            Kind::ComponentOrList(types) => match &node.kind {
                Value::List(items) => self.each(place, items, types),
                _ => self.component(place, node, types),
            },
            Kind::ComponentMap(types) => match &node.kind {
                Value::Map(entries) => {
                    for entry in entries {
                        self.component(place, &entry.value, types);
                    }
                }
                _ => self.wrong(place, node, "a map"),
            },
            Kind::ComponentOrTemplate(types, at) => match &node.kind {
                Value::Map(_) => self.component(place, node, types),
                _ => self.template(place, node, at),
            },
            Kind::TextsOrComponent(types) => match &node.kind {
                Value::Map(_) => self.component(place, node, types),
                _ => self.texts(place, node),
            },
            Kind::ChoiceOrComponent(choices, types) => match &node.kind {
                Value::Map(_) => self.component(place, node, types),
                _ => self.choice(place, node, choices),
            },
            Kind::Variant(variants) => self.variant(place, node, variants),
            Kind::Template(at) => self.template(place, node, at),
            Kind::Count(at) => self.number(place, node, Some(at), true),
            Kind::Amount(at) => self.number(place, node, Some(at), false),
            Kind::Integer => self.number(place, node, None, true),
            Kind::Number => self.number(place, node, None, false),
            Kind::Text => self.text(place, node),
            Kind::Flag => match &node.kind {
                Value::Bool(_) => {}
                Value::String(text) if matches!(&*text.to_lowercase(), "true" | "false") => {}
                _ => self.wrong(place, node, "true or false"),
            },
            Kind::Choice(choices) => self.choice(place, node, choices),
            Kind::Texts => self.texts(place, node),
            Kind::Integers => self.list(place, node, |walk, item| {
                let is_number = match &item.kind {
                    Value::Int(_) => true,
                    Value::String(text) => text.trim().parse::<i64>().is_ok(),
                    _ => false,
                };
                if !is_number {
                    walk.wrong(place, item, "a list of whole numbers");
                }
            }),
            Kind::Path(at) => self.path(place, node, at),
            Kind::Paths(at) => self.list(place, node, |walk, item| walk.path(place, item, at)),
            Kind::TemplateOrTexts(at) => match &node.kind {
                Value::List(_) => self.texts(place, node),
                _ => self.template(place, node, at),
            },
            Kind::Templates(at, types) => self.templates(place, node, at, types),
            Kind::Json(at) => self.json(place, node, at),
            Kind::DateFormat => self.date_format(place, node),
            Kind::DateFormats => self.list(place, node, |walk, item| walk.date_format(place, item)),
            Kind::Duration(at) => self.duration(place, node, at),
            Kind::Regex => self.regex(place, node),
            Kind::Schema => self.schema(place, node),
            Kind::Key => self.key(place, node),
            Kind::Any => {}
        }
    }

    fn each(&mut self, place: &str, items: &[Node], types: &[&'static str]) {
        for item in items {
            self.component(place, item, types);
        }
    }

    fn list(&mut self, place: &str, node: &Node, mut item: impl FnMut(&mut Self, &Node)) {
        match &node.kind {
            Value::List(items) => items.iter().for_each(|found| item(self, found)),
            _ => self.wrong(place, node, "a list"),
        }
    }

    fn variant(&mut self, place: &str, node: &Node, variants: &[(&str, &'static str)]) {
        let name = node.get("type").and_then(Node::as_str);
        let known = variants
            .iter()
            .find(|(alias, full)| name.is_some_and(|name| name == *alias || name == *full));
        match known.and_then(|(_, full)| format::component(full)) {
            Some(component) => self.fields(component, node),
            None => {
                let aliases: Vec<&str> = variants.iter().map(|(alias, _)| *alias).collect();
                let at = node.get("type").map_or(node.at, |kind| kind.at);
                self.wrong_type(place, at, name.unwrap_or_default(), &aliases);
            }
        }
    }

    /// A text that is a template; numbers and truth values are ones, too.
    fn template(&mut self, place: &str, node: &Node, at: Place) {
        match &node.kind {
            Value::String(text) => {
                let reads = templates::check(text, node.at, at, self.in_job, place, self.report);
                self.reads.extend(reads);
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::BigNumber(_) => {}
            Value::List(_) | Value::Map(_) => {
                if !self.is_lost(node) {
                    self.wrong(place, node, "text (a template in quotation marks)");
                }
            }
        }
    }

    fn number(&mut self, place: &str, node: &Node, template: Option<Place>, whole: bool) {
        let wanted = match (whole, template) {
            (true, None) => "a whole number",
            (false, None) => "a number",
            (true, Some(_)) => "a whole number, or a template that gives one",
            (false, Some(_)) => "a number, or a template that gives one",
        };
        let is_one = match &node.kind {
            Value::Int(_) => true,
            Value::Float(_) => !whole,
            Value::String(text) => match template {
                Some(at) if templates::is_template(text) => {
                    self.template(place, node, at);
                    true
                }
                _ if whole => text.trim().parse::<i64>().is_ok(),
                _ => text.trim().parse::<f64>().is_ok(),
            },
            _ => false,
        };
        if !is_one {
            self.wrong(place, node, wanted);
        }
    }

    fn text(&mut self, place: &str, node: &Node) {
        if !matches!(
            node.kind,
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_)
        ) {
            self.wrong(place, node, "text");
        }
    }

    fn texts(&mut self, place: &str, node: &Node) {
        match &node.kind {
            Value::List(items) => {
                for item in items {
                    self.text(place, item);
                }
            }
            Value::String(_) => {}
            _ => self.wrong(place, node, "a list of texts"),
        }
    }

    fn choice(&mut self, place: &str, node: &Node, choices: &[&str]) {
        let Some(text) = node.as_str() else {
            return self.wrong(place, node, &format!("one of {}", choices.join(", ")));
        };
        if !choices.contains(&text) {
            let fix = match did_you_mean(text, choices.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", choices.join(", ")),
            };
            let message = format!("{place} cannot be {text}");
            self.report.error("unknown-choice", node.at, message, fix);
        }
    }

    fn path(&mut self, place: &str, node: &Node, at: Place) {
        match &node.kind {
            Value::List(items) => {
                for item in items {
                    self.template(place, item, at);
                }
            }
            Value::String(_) => self.template(place, node, at),
            _ => self.wrong(place, node, "a list of keys, as in [data, items]"),
        }
    }

    fn templates(&mut self, place: &str, node: &Node, at: Place, types: &[&'static str]) {
        match &node.kind {
            Value::Map(entries) => {
                for entry in entries {
                    let key = Node {
                        kind: Value::String(entry.key.clone()),
                        at: entry.key_at,
                    };
                    self.template(place, &key, at);
                    let kind = entry.value.get("type").and_then(Node::as_str);
                    if kind.is_some_and(|kind| types.contains(&kind)) {
                        self.component(place, &entry.value, types);
                    } else {
                        self.json(place, &entry.value, at);
                    }
                }
            }
            Value::String(_) => self.template(place, node, at),
            _ => self.wrong(place, node, "a map"),
        }
    }

    fn json(&mut self, place: &str, node: &Node, at: Place) {
        match &node.kind {
            Value::Map(entries) => {
                for entry in entries.iter().filter(|entry| entry.key != "$parameters") {
                    let key = Node {
                        kind: Value::String(entry.key.clone()),
                        at: entry.key_at,
                    };
                    self.template(place, &key, at);
                    self.json(place, &entry.value, at);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.json(place, item, at)),
            _ => self.template(place, node, at),
        }
    }

    /// What is formatted must be read back: state is kept in this format.
    fn date_format(&mut self, place: &str, node: &Node) {
        let Some(format) = node.as_str() else {
            return self.wrong(place, node, "text, as in \"%Y-%m-%dT%H:%M:%SZ\"");
        };
        if format.is_empty() {
            return;
        }
        if !format.contains('%') {
            return self.report.error(
                "date-format",
                node.at,
                format!("{place} has no directive"),
                "write how the provider spells dates, as in \"%Y-%m-%dT%H:%M:%SZ\"",
            );
        }
        let sample = DateTime::from_epoch_micros(SAMPLE_MICROS).unwrap_or(DateTime::EPOCH);
        let read_back = sample
            .format(format)
            .and_then(|text| DateTime::parse(&text, format));
        if let Err(error) = read_back {
            self.report.error(
                "date-format",
                node.at,
                format!("{place} formats dates that cannot be read back: {error}"),
                "use directives of Python's strptime, or %s, %ms, %s_as_float, %epoch_microseconds",
            );
        }
    }

    fn duration(&mut self, place: &str, node: &Node, at: Place) {
        let Some(text) = node.as_str() else {
            return self.wrong(place, node, "an ISO 8601 duration, as in P1D or PT1H");
        };
        if templates::is_template(text) {
            return self.template(place, node, at);
        }
        if !text.is_empty()
            && let Err(error) = Span::parse(text)
        {
            self.report.error(
                "duration",
                node.at,
                format!("{place} cannot be read: {error}"),
                "write an ISO 8601 duration, as in P1D or PT1H",
            );
        }
    }

    fn regex(&mut self, place: &str, node: &Node) {
        let Some(text) = node.as_str() else {
            return self.wrong(place, node, "a regular expression");
        };
        if !templates::is_template(text)
            && let Err(error) = fancy_regex::Regex::new(text)
        {
            let error = error.to_string();
            let line = error.lines().last().unwrap_or_default().trim().to_owned();
            let message = format!("{place} is no regular expression: {line}");
            self.report.error("regex", node.at, message, "mend it");
        }
    }

    fn schema(&mut self, place: &str, node: &Node) {
        if !matches!(node.kind, Value::Map(_)) {
            return self.wrong(place, node, "a JSON Schema");
        }
        let json = node.to_value().to_json();
        let Ok(schema) = serde_json::from_slice::<serde_json::Value>(&json) else {
            return;
        };
        // The dialect that the format speaks, whatever `$schema` says.
        if let Err(error) = jsonschema::draft7::meta::validate(&schema) {
            let path = error.instance_path().to_string();
            let message = format!("{place} is no valid JSON Schema: {error}");
            self.report
                .warn("schema", at_pointer(node, &path), message, "mend it");
        }
    }

    fn key(&mut self, place: &str, node: &Node) {
        let is_key = match &node.kind {
            Value::String(_) => true,
            Value::List(parts) => parts.iter().all(|part| match &part.kind {
                Value::String(_) => true,
                Value::List(inner) => inner.iter().all(|part| part.as_str().is_some()),
                _ => false,
            }),
            _ => false,
        };
        if !is_key {
            self.wrong(place, node, "a field's name, or a list of names");
        }
    }

    fn is_lost(&self, node: &Node) -> bool {
        matches!(node.kind, Value::Null) && self.lost.contains(&node.at)
    }

    fn wrong(&mut self, place: &str, node: &Node, wanted: &str) {
        let found = kind_name(node);
        self.report.error(
            "wrong-kind",
            node.at,
            format!("{place} is {found}"),
            format!("make it {wanted}"),
        );
    }
}

/// 2024-02-29T13:45:06.789123Z
const SAMPLE_MICROS: i64 = 1_709_214_306_789_123;

/// The place in `node` that a JSON pointer names.
fn at_pointer(node: &Node, pointer: &str) -> Position {
    let mut at = node;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let inner = match &at.kind {
            Value::List(items) => part.parse().ok().and_then(|index: usize| items.get(index)),
            _ => at.get(&part),
        };
        match inner {
            Some(inner) => at = inner,
            None => break,
        }
    }
    at.at
}

/// Whether the one is a slip of the pen of the other, rather than another word.
fn is_slip(given: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(given, known) <= (known.len() / 4).max(2)
}

/// Keys that no component has, by custom: notes of the author and of tools.
fn is_extension(key: &str) -> bool {
    key.starts_with("x-") || key.starts_with("__") || key == "$schema" || key == "description"
}

fn one_of(types: &[&str]) -> String {
    match types {
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
        [] => String::new(),
    }
}
