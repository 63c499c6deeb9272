//! `AddFields`: sets fields from templates, making the objects on the way.

use super::super::dpath::Path;
use super::super::fields::{self, problem};
use super::super::template::{Context, Template, ValueType};
use super::{TransformError, failed};
use crate::clock::Clock;
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// The largest list index a path may name: the list is filled with nulls up to it.
const MAX_INDEX: usize = 10_000;

/// Sets fields one after another; a later one sees those before it.
#[derive(Debug, Clone)]
pub struct AddFields {
    fields: Vec<AddedField>,
    condition: Option<Template>,
    parameters: Map,
}

#[derive(Debug, Clone)]
struct AddedField {
    path: Vec<String>,
    /// The path as conditions see it.
    path_value: Value,
    value: Template,
    value_type: Option<ValueType>,
}

impl AddFields {
    /// From a component of type `AddFields`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        fields::required(node, "fields")?;
        Ok(Self {
            fields: fields::list(node, "fields")?
                .iter()
                .map(AddedField::build)
                .collect::<Result<_, _>>()?,
            condition: fields::condition(node)?,
            parameters: fields::parameters(node),
        })
    }

    /// Sets the fields in a configuration, which is what the templates see.
    pub(in crate::source::manifest) fn apply_to_config(
        &self,
        config: &mut Map,
        clock: Clock,
    ) -> Result<(), TransformError> {
        for field in &self.fields {
            let seen = Value::Object(config.clone());
            let context = Context::new(clock)
                .with("config", &seen)
                .with("parameters", &self.parameters);
            let value = field.value(&context)?;
            let context = context
                .with("value", &value)
                .with("path", &field.path_value);
            if self.holds(&context)? {
                field.set(config, value.clone())?;
            }
        }
        Ok(())
    }

    fn holds(&self, context: &Context<'_>) -> Result<bool, TransformError> {
        let holds = self.condition.as_ref().map(|it| it.boolean(context));
        holds.unwrap_or(Ok(true)).map_err(failed("condition"))
    }

    pub(super) fn apply(
        &self,
        record: &mut Map,
        context: &Context<'_>,
    ) -> Result<(), TransformError> {
        for field in &self.fields {
            let value = {
                let context = context
                    .clone()
                    .with("parameters", &self.parameters)
                    .with("record", &*record);
                let value = field.value(&context)?;
                let context = context
                    .with("value", &value)
                    .with("path", &field.path_value);
                if !self.holds(&context)? {
                    continue;
                }
                value
            };
            field.set(record, value)?;
        }
        Ok(())
    }
}

impl AddedField {
    fn build(node: &Node) -> Result<Self, Problem> {
        let path_node = fields::required(node, "path")?;
        let path: Vec<String> = Path::build("path", path_node)?
            .segments()
            .iter()
            .map(ToString::to_string)
            .collect();
        if path.is_empty() {
            return Err(problem(
                path_node.at,
                "path is empty",
                "name the field to add, as in [status]",
            ));
        }
        if path
            .iter()
            .filter_map(|part| index_of(part))
            .any(|index| index > MAX_INDEX)
        {
            return Err(problem(
                path_node.at,
                "path holds a list index out of bounds",
                format!("list indexes go from 0 to {MAX_INDEX}"),
            ));
        }
        Ok(Self {
            path_value: Value::Array(path.iter().cloned().map(Value::String).collect()),
            path,
            value: fields::required_template(node, "value")?,
            value_type: fields::value_type(node)?,
        })
    }

    fn value(&self, context: &Context<'_>) -> Result<Value, TransformError> {
        let value = match self.value_type {
            None => self.value.value(context),
            Some(value_type) => self.value.value_of_type(context, value_type),
        };
        Ok(value.map_err(failed(&self.shown()))?.into_json())
    }

    fn shown(&self) -> String {
        shown(&self.path)
    }

    fn set(&self, record: &mut Map, value: Value) -> Result<(), TransformError> {
        let mut root = Value::Object(std::mem::take(record));
        let done = set_at(&mut root, &self.path, value);
        if let Value::Object(map) = root {
            *record = map;
        }
        done.map_err(|levels| TransformError::Path {
            path: self.shown(),
            at: shown(&self.path[..levels]),
        })
    }
}

/// Puts `value` at `path` below `at`, making what is missing on the way. Something in the way is
/// an error: the number of levels that lead to it.
fn set_at(at: &mut Value, path: &[String], value: Value) -> Result<(), usize> {
    let Some((part, rest)) = path.split_first() else {
        *at = value;
        return Ok(());
    };
    let slot = match at {
        Value::Object(map) => map.entry(part.clone()).or_insert_with(|| empty_for(rest)),
        Value::Array(items) => {
            let index = index_of(part).ok_or(0_usize)?;
            if index >= items.len() {
                items.resize(index, Value::Null);
                items.push(empty_for(rest));
            }
            &mut items[index]
        }
        _ => return Err(0),
    };
    set_at(slot, rest, value).map_err(|levels| levels + 1)
}

/// What a missing value on the way to `rest` is: a list where an index follows.
fn empty_for(rest: &[String]) -> Value {
    match rest.first() {
        None => Value::Null,
        Some(part) if index_of(part).is_some() => Value::Array(Vec::new()),
        Some(_) => Value::Object(Map::new()),
    }
}

/// Digits are an index, where they stand for a list. Numbers beyond all bounds are one, too.
fn index_of(part: &str) -> Option<usize> {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| part.parse().unwrap_or(usize::MAX))
}

fn shown(path: &[String]) -> String {
    path.join(".")
}
