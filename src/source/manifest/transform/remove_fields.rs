//! `RemoveFields`: deletes what stands at paths.

use super::super::dpath::{self, Path, Step};
use super::super::fields;
use super::super::template::{Context, Template};
use super::{TransformError, failed};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// Deletes fields. In a list the last element goes, any other becomes null. What is missing is
/// no error.
#[derive(Debug, Clone)]
pub struct RemoveFields {
    paths: Vec<Path>,
    /// With a condition the paths do not count: every scalar for which it holds goes, wherever it
    /// stands. So does the reference.
    condition: Option<Template>,
    parameters: Map,
}

impl RemoveFields {
    /// From a component of type `RemoveFields`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        fields::required(node, "field_pointers")?;
        Ok(Self {
            paths: fields::list(node, "field_pointers")?
                .iter()
                .map(|path| Path::build("field_pointers", path))
                .collect::<Result<_, _>>()?,
            condition: fields::condition(node)?,
            parameters: fields::parameters(node),
        })
    }

    pub(super) fn apply(
        &self,
        record: &mut Map,
        context: &Context<'_>,
    ) -> Result<(), TransformError> {
        for path in &self.paths {
            for place in self.selected(path, record, context)? {
                dpath::remove(record, &place);
            }
        }
        Ok(())
    }

    fn selected(
        &self,
        path: &Path,
        record: &mut Map,
        context: &Context<'_>,
    ) -> Result<Vec<Vec<Step>>, TransformError> {
        let root = Value::Object(std::mem::take(record));
        let mut places = Vec::new();
        let mut failure = None;
        dpath::walk(&root, &mut Vec::new(), &mut |place, value| {
            let selected = match &self.condition {
                None => path.matches(place),
                Some(_) if failure.is_some() => false,
                Some(condition) => {
                    let scalar = !matches!(value, Value::Object(_) | Value::Array(_));
                    let context = context
                        .clone()
                        .with("parameters", &self.parameters)
                        .with("property", value);
                    scalar
                        && condition.boolean(&context).unwrap_or_else(|error| {
                            failure = Some(error);
                            false
                        })
                }
            };
            if selected {
                places.push(place.to_vec());
            }
        });
        if let Value::Object(map) = root {
            *record = map;
        }
        match failure {
            Some(error) => Err(failed("condition")(error)),
            None => Ok(places),
        }
    }
}
