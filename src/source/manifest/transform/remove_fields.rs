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
        let places = match &self.condition {
            None => Ok(path.places(&root)),
            Some(condition) => self.scalars(condition, &root, context),
        };
        if let Value::Object(map) = root {
            *record = map;
        }
        places
    }

    /// Every scalar for which the condition holds.
    fn scalars(
        &self,
        condition: &Template,
        root: &Value,
        context: &Context<'_>,
    ) -> Result<Vec<Vec<Step>>, TransformError> {
        let context = context.clone().with("parameters", &self.parameters);
        let mut places = Vec::new();
        let mut failure = None;
        dpath::walk(root, &mut Vec::new(), &mut |place, value| {
            if failure.is_some() || matches!(value, Value::Object(_) | Value::Array(_)) {
                return;
            }
            match condition.boolean(&context.clone().with("property", value)) {
                Ok(true) => places.push(place.to_vec()),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        });
        failure.map_or(Ok(places), |error| Err(failed("condition")(error)))
    }
}
