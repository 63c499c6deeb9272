//! Reads the fields of one entry (or of `defaults`) as the table of fields describes them.

use std::collections::BTreeMap;

use super::fields::{self, FIELDS, Field, Item, Rule};
use super::leaves::Leaves;
use super::report::{Place, Report, kind_of, suggest};
use super::texts::{flaw_of_item, flaw_of_name, flaw_of_word, is_bare_word, parse_flag};
use crate::document::{Kind, Node, Position};
use crate::webhook::read_schemes;

/// A value that has its field's type and lies within its bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Checked {
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<(String, Position)>),
    Node(Node),
}

/// A checked value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Checked,
    pub(super) at: Position,
}

/// The settings of one object by the path of their field; `None` for a field that is there but
/// wrong, or not looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(BTreeMap<&'static str, Option<Setting>>);

impl Settings {
    pub(super) fn get(&self, path: &str) -> Option<&Setting> {
        self.0.get(path)?.as_ref()
    }

    /// Whether the field is there, readable or not.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// What is read: an entry of `connectors`, or `defaults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Entry,
    Defaults,
}

/// Reads the object `node`. `provider_keys` are the keys of the connector type, to tell a provider
/// field that stands at the wrong level.
pub(super) fn read(
    node: &Node,
    scope: Scope,
    connector: &str,
    leaves: &Leaves,
    provider_keys: &[String],
    report: &mut Report,
) -> Settings {
    let mut reader = Reader {
        connector,
        scope,
        leaves,
        provider_keys,
        report,
        settings: Settings::default(),
    };
    reader.object(node, None);
    reader.settings
}

struct Reader<'a> {
    connector: &'a str,
    scope: Scope,
    leaves: &'a Leaves,
    provider_keys: &'a [String],
    report: &'a mut Report,
    settings: Settings,
}

impl Reader<'_> {
    fn problem(&mut self, at: Position, field: &str, message: &str, fix: Option<String>) {
        let prefixed;
        let field = if self.scope == Scope::Defaults {
            prefixed = format!("defaults.{field}");
            &prefixed
        } else {
            field
        };
        let place = Place {
            at,
            connector: self.connector,
            field,
        };
        self.report.problem(&place, message, fix);
    }

    fn object(&mut self, node: &Node, group: Option<&'static str>) {
        for entry in node.entries() {
            let path = match group {
                Some(group) => format!("{group}.{}", entry.key),
                None => entry.key.clone(),
            };
            if let Some(field) = fields::find(&path).filter(|_| !entry.key.contains('.')) {
                if self.scope == Scope::Defaults && !field.shared {
                    self.problem(
                        entry.key_at,
                        &path,
                        "cannot be a default",
                        Some("write it in each connector".to_owned()),
                    );
                    continue;
                }
                self.field(field, &entry.value);
                continue;
            }
            let subgroup = fields::GROUPS
                .iter()
                .map(|(name, _)| *name)
                .find(|name| group.is_none() && *name == entry.key);
            let Some(subgroup) = subgroup else {
                self.unknown(entry.key_at, &path, &entry.key, group);
                continue;
            };
            if let Kind::Map(_) = &entry.value.kind {
                self.object(&entry.value, Some(subgroup));
            } else if !self.leaves.is_opaque(entry.value.at) {
                let message = format!("must be an object, not {}", kind_of(&entry.value));
                self.problem(entry.value.at, &path, &message, None);
            }
        }
    }

    fn unknown(&mut self, at: Position, path: &str, key: &str, group: Option<&'static str>) {
        let valid: Vec<&str> = fields::names_in(group)
            .into_iter()
            .filter(|name| self.scope == Scope::Entry || is_shared(group, name))
            .collect();
        let near = crate::document::did_you_mean(key, valid.iter().copied());
        let elsewhere = FIELDS
            .iter()
            .filter(|field| self.scope == Scope::Entry || field.shared)
            .find(|field| field.path != path && field.split().1 == key);
        let fix = if let Some((group, name)) = key.split_once('.')
            && fields::find(key).is_some()
        {
            Some(format!("write \"{group}\": {{ \"{name}\": … }}"))
        } else if near.is_some() {
            suggest(key, "", valid)
        } else if group.is_none()
            && self
                .provider_keys
                .iter()
                .any(|k| super::keys::alike(k, key))
        {
            Some("it belongs in providerConfig".to_owned())
        } else if let Some(field) = elsewhere {
            Some(match field.split().0 {
                Some(group) => format!("it belongs in {group}"),
                None => "it belongs beside the other fields of the connector".to_owned(),
            })
        } else {
            suggest(key, "valid fields", valid)
        };
        let outer = match (self.scope, group) {
            (Scope::Entry, group) => group.unwrap_or_default().to_owned(),
            (Scope::Defaults, None) => "defaults".to_owned(),
            (Scope::Defaults, Some(group)) => format!("defaults.{group}"),
        };
        let place = Place {
            at,
            connector: self.connector,
            field: &outer,
        };
        let message = format!("unknown field \"{key}\"");
        self.report.problem(&place, &message, fix);
    }

    fn field(&mut self, field: &'static Field, node: &Node) {
        self.settings.0.insert(field.path, None);
        if self.leaves.is_opaque(node.at) {
            return;
        }
        let value = match field.rule {
            Rule::Provider => match &node.kind {
                Kind::Map(_) => Some(Checked::Node(node.clone())),
                _ => self.wrong_type(field.path, node, "an object"),
            },
            Rule::Signature => self.signature(field, node).map(Checked::Node),
            Rule::Flag => self.flag(field, node).map(Checked::Flag),
            Rule::Integer { min, max } => self.integer(field, node, min, max).map(Checked::Integer),
            Rule::Number { min, max } => self.number(field, node, min, max).map(Checked::Number),
            Rule::List(item) => self.list(field, item, node).map(Checked::List),
            Rule::Name | Rule::Kind | Rule::Word(_) | Rule::Path => {
                self.text(field, node).map(Checked::Text)
            }
        };
        if let Some(value) = value {
            let setting = Setting { value, at: node.at };
            self.settings.0.insert(field.path, Some(setting));
        }
    }

    fn signature(&mut self, field: &Field, node: &Node) -> Option<Node> {
        let (_, problems) = read_schemes(node);
        for problem in &problems {
            let at = problem.at.unwrap_or(node.at);
            self.problem(at, field.path, &problem.message, problem.fix.clone());
        }
        // Where it stands makes no other connector of it.
        problems
            .is_empty()
            .then(|| Node::of_value(&node.to_value()))
    }

    fn wrong_type<T>(&mut self, path: &str, node: &Node, expected: &str) -> Option<T> {
        let message = format!("must be {expected}, not {}", kind_of(node));
        let fix = match &node.kind {
            Kind::Null => Some("leave the field out for its default".to_owned()),
            Kind::String(text) if is_bare_word(text) && !self.leaves.is_foreign(node.at) => {
                Some(format!("write {} without quotes", text.trim()))
            }
            Kind::String(_) if expected.starts_with("a list") => {
                Some("put it in brackets: [\"…\"]".to_owned())
            }
            Kind::Int(_) | Kind::Float(_) | Kind::BigNumber(_) if expected == "text" => {
                Some("put it in double quotes".to_owned())
            }
            _ => None,
        };
        self.problem(node.at, path, &message, fix);
        None
    }

    fn flag(&mut self, field: &Field, node: &Node) -> Option<bool> {
        match &node.kind {
            Kind::Bool(flag) => Some(*flag),
            Kind::String(text) if self.leaves.is_foreign(node.at) => {
                let flag = parse_flag(text);
                if flag.is_none() {
                    self.problem(
                        node.at,
                        field.path,
                        "its value is neither true nor false",
                        None,
                    );
                }
                flag
            }
            _ => self.wrong_type(field.path, node, "true or false"),
        }
    }

    fn integer(&mut self, field: &Field, node: &Node, min: i64, max: i64) -> Option<i64> {
        let number = match &node.kind {
            Kind::Int(number) => *number,
            Kind::BigNumber(text) if !text.contains(['.', 'e', 'E']) => {
                if text.starts_with('-') {
                    i64::MIN
                } else {
                    i64::MAX
                }
            }
            Kind::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole and smaller than 2^53: exact"
                )]
                let whole = *number as i64;
                whole
            }
            Kind::String(text) if self.leaves.is_foreign(node.at) => {
                let Ok(number) = text.trim().parse() else {
                    self.problem(node.at, field.path, "its value is no whole number", None);
                    return None;
                };
                number
            }
            Kind::Float(_) | Kind::BigNumber(_) => {
                let message = "must be a whole number";
                self.problem(node.at, field.path, message, None);
                return None;
            }
            _ => return self.wrong_type(field.path, node, "a whole number"),
        };
        self.within(field, node, number, &min, &max)
    }

    fn number(&mut self, field: &Field, node: &Node, min: f64, max: f64) -> Option<f64> {
        let number = match &node.kind {
            #[expect(
                clippy::cast_precision_loss,
                reason = "compared with small bounds only"
            )]
            Kind::Int(number) => *number as f64,
            Kind::Float(number) => *number,
            Kind::BigNumber(text) => text.parse().unwrap_or(f64::INFINITY),
            Kind::String(text) if self.leaves.is_foreign(node.at) => {
                match text.trim().parse::<f64>() {
                    Ok(number) if number.is_finite() => number,
                    _ => {
                        self.problem(node.at, field.path, "its value is no number", None);
                        return None;
                    }
                }
            }
            _ => return self.wrong_type(field.path, node, "a number"),
        };
        self.within(field, node, number, &min, &max)
    }

    fn within<T: PartialOrd + std::fmt::Display>(
        &mut self,
        field: &Field,
        node: &Node,
        number: T,
        min: &T,
        max: &T,
    ) -> Option<T> {
        let unit = field
            .unit
            .map(|unit| format!(" {unit}"))
            .unwrap_or_default();
        let side = if number < *min {
            "below the smallest allowed value"
        } else if number > *max {
            "above the largest allowed value"
        } else {
            return Some(number);
        };
        let shown = match &node.kind {
            Kind::String(_) => "its value".to_owned(),
            Kind::BigNumber(text) => text.to_string(),
            _ => number.to_string(),
        };
        let message = format!("{shown} is {side}");
        let fix = format!("allowed are {min} to {max}{unit}");
        self.problem(node.at, field.path, &message, Some(fix));
        None
    }

    fn text(&mut self, field: &Field, node: &Node) -> Option<String> {
        let Kind::String(text) = &node.kind else {
            return self.wrong_type(field.path, node, "text");
        };
        let flaw = match field.rule {
            Rule::Name => flaw_of_name(text),
            Rule::Word(max) => flaw_of_word(text, max),
            _ if text.is_empty() => Some("is empty".to_owned()),
            _ if text.contains('\0') => Some("holds a NUL character".to_owned()),
            _ => None,
        };
        let Some(flaw) = flaw else {
            return Some(text.clone());
        };
        let fix = (field.rule == Rule::Name).then(|| {
            "a name is made of letters, digits, \".\", \"_\" and \"-\", and starts with a letter \
             or digit"
                .to_owned()
        });
        self.problem(node.at, field.path, &flaw, fix);
        None
    }

    fn list(&mut self, field: &Field, item: Item, node: &Node) -> Option<Vec<(String, Position)>> {
        let texts: Vec<(String, Position)> = match &node.kind {
            // A secret may hold a comma: in a file every one is an element of its own.
            Kind::String(text) if item != Item::Secret || node.at.line == 0 => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| (part.to_owned(), node.at))
                .collect(),
            Kind::List(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for (i, element) in items.iter().enumerate() {
                    match &element.kind {
                        Kind::String(_) if self.leaves.is_opaque(element.at) => {}
                        Kind::String(text) => texts.push((text.clone(), element.at)),
                        _ => {
                            let path = format!("{}[{i}]", field.path);
                            self.wrong_type::<()>(&path, element, "text");
                        }
                    }
                }
                if items.len() != texts.len() {
                    return None;
                }
                texts
            }
            _ => return self.wrong_type(field.path, node, "a list of texts"),
        };
        let mut is_good = true;
        for (i, (text, at)) in texts.iter().enumerate() {
            if let Some((flaw, fix)) = flaw_of_item(item, text) {
                self.problem(*at, &format!("{}[{i}]", field.path), &flaw, fix);
                is_good = false;
            }
        }
        if texts.is_empty() && item == Item::Stream {
            let place = Place {
                at: node.at,
                connector: self.connector,
                field: field.path,
            };
            let message = "the list is empty: the type's default streams are read";
            self.report.warning(&place, message, None);
        }
        is_good.then_some(texts)
    }
}

fn is_shared(group: Option<&str>, name: &str) -> bool {
    FIELDS.iter().any(|field| {
        field.shared
            && match field.split() {
                (its_group, its_name) if its_group == group => its_name == name,
                (Some(its_group), _) => group.is_none() && its_group == name,
                _ => false,
            }
    })
}
