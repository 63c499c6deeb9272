//! `ListPartitionRouter`: one partition per value of a list.

use super::super::fields::{self, problem};
use super::super::template::{Context, Template};
use super::{Partition, PartitionError};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// A partition per value.
#[derive(Debug, Clone)]
pub struct ListPartitionRouter {
    values: Values,
    cursor_field: Template,
    parameters: Map,
}

#[derive(Debug, Clone)]
enum Values {
    /// As written: these are no templates.
    Literal(Vec<String>),
    Template(Template),
}

impl ListPartitionRouter {
    /// From a component of type `ListPartitionRouter`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        let values = fields::required(node, "values")?;
        let values = match &values.kind {
            Kind::List(_) => Values::Literal(fields::texts(node, "values")?),
            Kind::String(_) => Values::Template(fields::template_of("values", values)?),
            _ => {
                return Err(problem(
                    values.at,
                    format!("values is {}", fields::kind_name(values)),
                    "make it a list, or a template that gives one",
                ));
            }
        };
        Ok(Self {
            values,
            cursor_field: fields::required_template(node, "cursor_field")?,
            parameters: fields::parameters(node),
        })
    }

    /// The key of the value in a partition.
    fn key(&self, context: &Context<'_>) -> Result<String, PartitionError> {
        let context = context.clone().with("parameters", &self.parameters);
        let field = "cursor_field";
        self.cursor_field
            .text(&context)
            .map_err(|cause| PartitionError::Template { field, cause })
    }

    /// The partitions, in the order of the list. `context` offers `config`.
    pub fn partitions(&self, context: &Context<'_>) -> Result<Vec<Partition>, PartitionError> {
        let key = self.key(context)?;
        let values = self.values(context)?;
        Ok(values
            .into_iter()
            .map(|value| Partition {
                keys: Map::from_iter([(key.clone(), value)]),
                extra_fields: Map::new(),
                mark: None,
            })
            .collect())
    }

    fn values(&self, context: &Context<'_>) -> Result<Vec<Value>, PartitionError> {
        let template = match &self.values {
            Values::Literal(values) => {
                return Ok(values.iter().cloned().map(Value::String).collect());
            }
            Values::Template(template) => template,
        };
        let context = context.clone().with("parameters", &self.parameters);
        let field = "values";
        let value = template
            .value(&context)
            .map_err(|cause| PartitionError::Template { field, cause })?
            .into_json();
        // What Python iterates over: of text the characters, of a map the keys.
        match value {
            Value::Array(items) => Ok(items),
            Value::String(text) => Ok(text
                .chars()
                .map(|char| Value::String(char.to_string()))
                .collect()),
            Value::Object(map) => Ok(map.into_keys().map(Value::String).collect()),
            other => Err(PartitionError::NoList {
                shown: other.to_string(),
            }),
        }
    }
}
