//! What goes into a request besides its address: query, headers, form, JSON body.

use indexmap::IndexMap;

use super::expr::Expr;
use super::fields::{self, problem};
use super::template::{Context, EvalError, Literal, Parameter};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// Options that several components contribute to one request. The same key from two of them is
/// an error: one would silently win.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RequestOptions {
    /// Query parameters.
    pub(super) query: IndexMap<String, OptionValue>,
    /// Headers.
    pub(super) headers: IndexMap<String, OptionValue>,
    /// Form fields.
    pub(super) form: IndexMap<String, OptionValue>,
    /// JSON body.
    pub(super) json: Map,
}

/// The value of a query parameter, header or form field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OptionValue {
    /// Sent once.
    One(Literal),
    /// Sent once per item.
    Many(Vec<String>),
}

impl OptionValue {
    /// What [`Template::parameter`](super::template::Template::parameter) gave, if anything.
    pub(super) fn of(parameter: Parameter) -> Option<Self> {
        match parameter {
            Parameter::Absent => None,
            Parameter::Text(text) => Some(Self::One(Literal::Str(text))),
            Parameter::List(items) => Some(Self::Many(items)),
        }
    }

    /// The texts to send. A map has no place in a query: `None`.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::Many(items) => Some(items.clone()),
            Self::One(literal) => match literal.clone().into_json() {
                Value::Object(_) => None,
                Value::Array(items) => Some(
                    items
                        .iter()
                        .flat_map(|item| Literal::from(item).sent())
                        .collect(),
                ),
                _ => Some(vec![literal.to_string()]),
            },
        }
    }
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `request_parameter`
    Query,
    /// `header`
    Header,
    /// `body_data`
    Form,
    /// `body_json`
    Json,
}

/// A `RequestOption`: the place and name under which one value is sent.
#[derive(Debug, Clone)]
pub(super) struct RequestOption {
    pub(super) place: Place,
    path: Vec<Expr>,
}

/// Two components set the same option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is set twice, by different parts of the manifest")]
pub(super) struct Collision(String);

impl RequestOption {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let inject = fields::required(node, "inject_into")?;
        let place = match inject.as_str() {
            Some("request_parameter") => Place::Query,
            Some("header") => Place::Header,
            Some("body_data") => Place::Form,
            Some("body_json") => Place::Json,
            _ => {
                return Err(problem(
                    inject.at,
                    "inject_into names no place of a request",
                    "use request_parameter, header, body_data or body_json",
                ));
            }
        };
        let name = Expr::field(node, "field_name")?;
        let path = match (name, fields::optional(node, "field_path")) {
            (Some(name), None) => vec![name],
            (None, Some(path)) if place == Place::Json && !path.items().is_empty() => path
                .items()
                .iter()
                .map(|part| Expr::of("field_path", part, node))
                .collect::<Result<_, _>>()?,
            (None, Some(path)) => {
                return Err(problem(
                    path.at,
                    "field_path can only name a place in a JSON body",
                    "use field_name",
                ));
            }
            _ => {
                return Err(problem(
                    node.at,
                    "RequestOption has not exactly one of field_name and field_path",
                    "keep one of them",
                ));
            }
        };
        Ok(Self { place, path })
    }

    /// An option with a constant name.
    pub(super) fn header(name: &str, owner: &Node) -> Result<Self, Problem> {
        Ok(Self {
            place: Place::Header,
            path: vec![Expr::constant(name, owner)?],
        })
    }

    /// Puts `value` in its place. Templates in the name see the configuration only.
    pub(super) fn inject(
        &self,
        into: &mut RequestOptions,
        value: Literal,
        context: &Context<'_>,
    ) -> Result<(), EvalError> {
        let mut names = Vec::with_capacity(self.path.len());
        for part in &self.path {
            names.push(part.text(context)?);
        }
        let Some((last, parents)) = names.split_last() else {
            return Ok(());
        };
        let target = match self.place {
            Place::Query => &mut into.query,
            Place::Header => &mut into.headers,
            Place::Form => &mut into.form,
            Place::Json => {
                let mut map = &mut into.json;
                for name in parents {
                    let entry = map.entry(name.clone()).or_insert_with(|| Map::new().into());
                    if !matches!(entry, Value::Object(_)) {
                        *entry = Map::new().into();
                    }
                    let Value::Object(inner) = entry else {
                        return Ok(());
                    };
                    map = inner;
                }
                map.insert(last.clone(), value.into_json());
                return Ok(());
            }
        };
        target.insert(last.clone(), OptionValue::One(value));
        Ok(())
    }
}

impl RequestOptions {
    /// Adds what another component contributes.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), Collision> {
        merge_flat(&mut self.query, other.query, "query parameter")?;
        merge_flat(&mut self.headers, other.headers, "header")?;
        merge_flat(&mut self.form, other.form, "form field")?;
        merge_json(&mut self.json, other.json, "")
    }
}

fn merge_flat(
    target: &mut IndexMap<String, OptionValue>,
    source: IndexMap<String, OptionValue>,
    what: &str,
) -> Result<(), Collision> {
    for (key, value) in source {
        if target.contains_key(&key) {
            return Err(Collision(format!("{what} {key}")));
        }
        target.insert(key, value);
    }
    Ok(())
}

/// In a JSON body maps are merged, and the same value twice is no conflict.
fn merge_json(target: &mut Map, source: Map, path: &str) -> Result<(), Collision> {
    for (key, value) in source {
        let path = format!("{path}/{key}");
        match (target.get_mut(&key), value) {
            (None, value) => {
                target.insert(key, value);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge_json(old, new, &path)?,
            (Some(old), value) if *old == value => {}
            _ => return Err(Collision(format!("body field {path}"))),
        }
    }
    Ok(())
}
