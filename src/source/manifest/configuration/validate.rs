//! `DpathValidator` and `PredicateValidator`: what must hold of a configuration.

use super::rules::ConfigProblem;
use crate::clock::Clock;
use crate::document::{Node, Problem};
use crate::json::{self, Value};
use crate::source::manifest::dpath::{Path, Segment};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{list, problem, required, type_of};
use crate::source::manifest::template::Context;

/// One rule.
#[derive(Debug)]
pub(super) struct Validation {
    subject: Subject,
    schema: jsonschema::Validator,
    /// How messages name what is checked.
    shown: String,
}

#[derive(Debug)]
enum Subject {
    /// What stands at a path.
    Path(Vec<Expr>),
    /// A value that the manifest says.
    Value(Value),
    /// A value that a template makes.
    Made(Expr),
}

impl Validation {
    /// From an element of `validations`.
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let strategy = required(node, "validation_strategy")?;
        if type_of(strategy) != Some("ValidateAdheresToSchema") {
            return Err(unsupported(strategy));
        }
        let (subject, shown) = match type_of(node) {
            Some("DpathValidator") => {
                let path = list(node, "field_path")?;
                let shown: Vec<&str> = path.iter().filter_map(Node::as_str).collect();
                let parts = path.iter().map(|part| Expr::of("field_path", part, node));
                (
                    Subject::Path(parts.collect::<Result<_, _>>()?),
                    shown.join("."),
                )
            }
            Some("PredicateValidator") => {
                let value = required(node, "value")?;
                let subject = match value.as_str() {
                    Some(_) => Subject::Made(Expr::of("value", value, node)?),
                    None => Subject::Value(value.to_value()),
                };
                (subject, "value".to_owned())
            }
            _ => return Err(unsupported(node)),
        };
        let base = required(strategy, "base_schema")?;
        let unusable = |error: &dyn std::fmt::Display| {
            problem(
                base.at,
                format!("base_schema is no JSON Schema: {error}"),
                "write a JSON Schema, or text that holds one",
            )
        };
        let text = match base.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => base.to_value().to_json(),
        };
        let schema: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| unusable(&error))?;
        Ok(Self {
            subject,
            schema: jsonschema::validator_for(&schema)
                .map_err(|error| unusable(&error.masked()))?,
            shown,
        })
    }

    /// Whether it holds. What is not there is not checked.
    pub(super) fn check(&self, config: &Value, clock: Clock) -> Result<(), ConfigProblem> {
        let context = Context::new(clock).with("config", config);
        let failed = |error: &dyn std::fmt::Display| ConfigProblem(error.to_string());
        match &self.subject {
            Subject::Value(value) => self.one(value),
            Subject::Made(value) => {
                let value = value.value(&context).map_err(|error| failed(&error))?;
                self.one(&value.into_json())
            }
            Subject::Path(parts) => {
                let parts = parts.iter().map(|part| part.text(&context));
                let parts: Vec<String> = parts.collect::<Result<_, _>>().map_err(|e| failed(&e))?;
                let path = Path::new(parts.into_iter().map(Segment::Key).collect());
                let path = path.map_err(|error| failed(&error))?;
                path.find(config)
                    .into_iter()
                    .try_for_each(|value| self.one(value))
            }
        }
    }

    fn one(&self, value: &Value) -> Result<(), ConfigProblem> {
        // Text is held to the schema as the JSON in it.
        let parsed = match value {
            Value::String(text) => Some(json::parse(text.as_bytes()).map_err(|_| {
                ConfigProblem(format!("{} holds text that is no JSON", self.shown))
            })?),
            _ => None,
        };
        let value = parsed.as_ref().unwrap_or(value).to_json();
        let value = serde_json::from_slice(&value)
            .map_err(|_| ConfigProblem(format!("{} is no JSON", self.shown)))?;
        self.schema
            .validate(&value)
            .map_err(|error| ConfigProblem(format!("{}: {}", self.shown, error.masked())))
    }
}
