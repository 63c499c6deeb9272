//! Templates at the leaves of a JSON tree: `request_body_json` and its kind.

use super::{CompileError, Context, EvalError, Template};
use crate::json::{Map, Value};

/// A JSON tree whose texts, keys included, are templates.
#[derive(Debug, Clone)]
pub enum Nested {
    /// A scalar that is not text.
    Value(Value),
    /// Text.
    Template(Template),
    /// An array.
    List(Vec<Nested>),
    /// An object.
    Map(Vec<(Template, Nested)>),
}

impl Nested {
    /// Compiles every text of the tree.
    pub fn compile(value: &Value) -> Result<Self, CompileError> {
        Ok(match value {
            Value::String(text) => Self::Template(Template::compile(text)?),
            Value::Array(items) => {
                Self::List(items.iter().map(Self::compile).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| Ok((Template::compile(key)?, Self::compile(value)?)))
                    .collect::<Result<_, CompileError>>()?,
            ),
            scalar => Self::Value(scalar.clone()),
        })
    }

    /// All templates of the tree.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Value(_) => Vec::new(),
            Self::Template(template) => vec![template],
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Map(entries) => entries
                .iter()
                .flat_map(|(key, value)| std::iter::once(key).chain(value.templates()))
                .collect(),
        }
    }

    /// The tree with every template replaced by its typed value. Members of objects that come out
    /// as `None`, empty or undefined are left out; elements of arrays become null.
    pub fn eval(&self, context: &Context<'_>) -> Result<Value, EvalError> {
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::Template(template) => template.mapping_value(context)?.into_json(),
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.eval(context))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = template_key(key, context)?;
                    let value = value.eval(context)?;
                    if value == Value::Null {
                        map.shift_remove(&key);
                    } else {
                        map.insert(key, value);
                    }
                }
                Value::Object(map)
            }
        })
    }
}

/// A key as JSON spells it: keys are typed too, and `5` and `"5"` end up the same.
fn template_key(key: &Template, context: &Context<'_>) -> Result<String, EvalError> {
    use super::Literal;
    Ok(match key.mapping_value(context)? {
        Literal::None => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        other => other.to_string(),
    })
}
