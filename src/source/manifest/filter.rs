//! `RecordFilter`: which records a manifest keeps.

use super::fields;
use super::template::{Context, EvalError, Template};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// Keeps the records for which a condition holds.
#[derive(Debug, Clone)]
pub struct RecordFilter {
    condition: Option<Template>,
    parameters: Map,
}

impl RecordFilter {
    /// From a component of type `RecordFilter`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        match fields::required_type(node, "record filter")? {
            "RecordFilter" => Ok(Self {
                condition: fields::template(node, "condition")?,
                parameters: fields::parameters(node),
            }),
            _ => Err(fields::unknown_type(
                node,
                "record filter",
                &["RecordFilter"],
            )),
        }
    }

    /// Whether `record` is kept. `context` offers everything but `record`.
    pub fn keeps(&self, record: &Value, context: &Context<'_>) -> Result<bool, EvalError> {
        let Some(condition) = &self.condition else {
            return Ok(false);
        };
        let context = context
            .clone()
            .with("parameters", &self.parameters)
            .with("record", record);
        condition.boolean(&context)
    }
}
