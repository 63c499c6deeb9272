//! `ConfigAddFields`, `ConfigRemoveFields` and `ConfigRemapField`: changes of a configuration.

use super::rules::ConfigProblem;
use crate::clock::Clock;
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};
use crate::source::manifest::dpath::{self, Path};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{list, problem, required, type_of};
use crate::source::manifest::template::{Context, EvalError};
use crate::source::manifest::transform::AddFields;

/// One change.
#[derive(Debug)]
pub(super) enum Change {
    Add(AddFields),
    Remove {
        paths: Vec<Path>,
        condition: Option<Expr>,
    },
    Remap {
        path: Vec<Expr>,
        /// Old values and new.
        values: Vec<(Expr, Replacement)>,
    },
}

#[derive(Debug)]
pub(super) enum Replacement {
    Made(Expr),
    Fixed(Value),
}

impl Change {
    /// From an element of `transformations`.
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        match type_of(node) {
            Some("ConfigAddFields") => Ok(Self::Add(AddFields::build(node)?)),
            Some("ConfigRemoveFields") => {
                required(node, "field_pointers")?;
                Ok(Self::Remove {
                    paths: list(node, "field_pointers")?
                        .iter()
                        .map(|path| Path::build("field_pointers", path))
                        .collect::<Result<_, _>>()?,
                    condition: Expr::field(node, "condition")?
                        .filter(|condition| !condition.template().source().is_empty()),
                })
            }
            Some("ConfigRemapField") => Self::remap(node),
            _ => Err(unsupported(node)),
        }
    }

    fn remap(node: &Node) -> Result<Self, Problem> {
        let path: Vec<Expr> = list(node, "field_path")?
            .iter()
            .map(|part| Expr::of("field_path", part, node))
            .collect::<Result<_, _>>()?;
        if path.is_empty() {
            return Err(problem(
                node.at,
                "field_path is empty",
                "name the field to change",
            ));
        }
        let values = required(node, "map")?.entries().iter().map(|entry| {
            let new = match &entry.value.kind {
                Kind::String(_) => Replacement::Made(Expr::of("map", &entry.value, node)?),
                _ => Replacement::Fixed(entry.value.to_value()),
            };
            Ok((Expr::constant(&entry.key, node)?, new))
        });
        let values = values.collect::<Result<_, Problem>>()?;
        Ok(Self::Remap { path, values })
    }

    /// Makes the change.
    pub(super) fn apply(&self, config: &mut Map, clock: Clock) -> Result<(), ConfigProblem> {
        let failed = |error: EvalError| ConfigProblem(error.to_string());
        let seen = Value::Object(config.clone());
        let context = Context::new(clock).with("config", &seen);
        match self {
            Self::Add(fields) => fields
                .apply_to_config(config, clock)
                .map_err(|error| ConfigProblem(error.to_string())),
            Self::Remove { paths, condition } => {
                if let Some(condition) = condition
                    && !condition.boolean(&context).map_err(failed)?
                {
                    return Ok(());
                }
                for path in paths {
                    for place in path.places(&Value::Object(config.clone())) {
                        dpath::remove(config, &place);
                    }
                }
                Ok(())
            }
            Self::Remap { path, values } => {
                let keys = path.iter().map(|part| part.text(&context));
                let keys: Vec<String> = keys.collect::<Result<_, _>>().map_err(failed)?;
                let Some(slot) = slot(config, &keys) else {
                    return Ok(());
                };
                for (old, new) in values {
                    if old.text(&context).map_err(failed)? != text_of(slot) {
                        continue;
                    }
                    *slot = match new {
                        Replacement::Fixed(value) => value.clone(),
                        Replacement::Made(value) => {
                            value.value(&context).map_err(failed)?.into_json()
                        }
                    };
                    return Ok(());
                }
                Ok(())
            }
        }
    }
}

/// What stands at a path of keys.
fn slot<'c>(config: &'c mut Map, keys: &[String]) -> Option<&'c mut Value> {
    let (last, way) = keys.split_last()?;
    let map = way
        .iter()
        .try_fold(config, |map, key| match map.get_mut(key)? {
            Value::Object(inner) => Some(inner),
            _ => None,
        })?;
    map.get_mut(last)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
