//! Transformations that move nested fields to the top of a record.

use super::super::dpath::{self, Path, Segment};
use super::super::fields;
use super::super::template::{Context, Literal, Template};
use super::{MAX_KEY_BYTES, TransformError, failed};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// `FlattenFields`: every scalar to the top, under its own key where that is free.
#[derive(Debug, Clone)]
pub struct FlattenFields {
    lists: bool,
}

impl FlattenFields {
    /// From a component of type `FlattenFields`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        Ok(Self {
            lists: fields::flag_or(node, "flatten_lists", true)?,
        })
    }

    /// The walk goes from the last field to the first, and once it has met a list, every further
    /// key carries the names of its parents: the reference's order, which decides on names.
    pub(super) fn apply(&self, record: &mut Map) -> Result<(), TransformError> {
        let mut left = MAX_KEY_BYTES;
        let mut flat = Map::new();
        let mut with_parents = false;
        let mut open = vec![(Value::Object(std::mem::take(record)), "_".to_owned())];
        while let Some((value, name)) = open.pop() {
            left = left
                .checked_sub(name.len())
                .ok_or(TransformError::TooLarge)?;
            match value {
                Value::Object(map) => {
                    for (key, value) in map {
                        let taken = with_parents || flat.contains_key(&key);
                        let key = if taken { format!("{name}.{key}") } else { key };
                        open.push((value, key));
                    }
                }
                Value::Array(items) if self.lists => {
                    for (index, item) in items.into_iter().enumerate() {
                        with_parents = true;
                        open.push((item, format!("{name}.{index}")));
                    }
                }
                leaf => {
                    flat.insert(name, leaf);
                }
            }
        }
        *record = flat;
        Ok(())
    }
}

/// `DpathFlattenFields`: the fields of the object at a path to the top, unless one of them is
/// there already.
#[derive(Debug, Clone)]
pub struct DpathFlattenFields {
    path: Vec<Template>,
    delete_origin_value: bool,
    replace_record: bool,
    prefix: Option<Template>,
    suffix: Option<Template>,
    parameters: Map,
}

impl DpathFlattenFields {
    /// From a component of type `DpathFlattenFields`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        fields::required(node, "field_path")?;
        let affix = |key| match fields::optional(node, "key_transformation") {
            Some(transformation) => fields::template(transformation, key),
            None => Ok(None),
        };
        Ok(Self {
            path: fields::list(node, "field_path")?
                .iter()
                .map(|part| fields::template_of("field_path", part))
                .collect::<Result<_, _>>()?,
            delete_origin_value: fields::flag(node, "delete_origin_value")?,
            replace_record: fields::flag(node, "replace_record")?,
            prefix: affix("prefix")?,
            suffix: affix("suffix")?,
            parameters: fields::parameters(node),
        })
    }

    pub(super) fn apply(
        &self,
        record: &mut Map,
        context: &Context<'_>,
    ) -> Result<(), TransformError> {
        let context = context.clone().with("parameters", &self.parameters);
        let path = self.path(&context)?;
        let affix = |template: &Option<Template>, name| match template {
            Some(template) => template.text(&context).map_err(failed(name)),
            None => Ok(String::new()),
        };
        let (prefix, suffix) = (
            affix(&self.prefix, "prefix")?,
            affix(&self.suffix, "suffix")?,
        );
        let root = Value::Object(std::mem::take(record));
        let found = path.find(&root);
        let ambiguous = found.len() > 1 && !path.has_star();
        let moved: Option<Map> = found
            .first()
            .and_then(|value| value.as_object())
            .map(|map| {
                map.iter()
                    .map(|(key, value)| (format!("{prefix}{key}{suffix}"), value.clone()))
                    .collect()
            });
        let places = if self.delete_origin_value {
            path.places(&root)
        } else {
            Vec::new()
        };
        if let Value::Object(map) = root {
            *record = map;
        }
        if ambiguous {
            return Err(TransformError::Ambiguous {
                path: "field_path".to_owned(),
            });
        }
        let Some(moved) = moved else {
            return Ok(());
        };
        if self.replace_record && !moved.is_empty() {
            *record = moved;
        } else if !moved.keys().any(|key| record.contains_key(key)) {
            for place in places {
                dpath::remove(record, &place);
            }
            record.extend(moved);
        }
        Ok(())
    }

    fn path(&self, context: &Context<'_>) -> Result<Path, TransformError> {
        let segments = self
            .path
            .iter()
            .map(|part| {
                Ok(match part.value(context)? {
                    Literal::Int(index) => Segment::Index(index),
                    other => Segment::Key(other.to_string()),
                })
            })
            .collect::<Result<_, _>>()
            .map_err(failed("field_path"))?;
        Path::new(segments).map_err(|_| TransformError::Ambiguous {
            path: "field_path".to_owned(),
        })
    }
}
