//! Transformations: what a manifest does to each record, in its order, in place.

mod add_fields;
mod flatten;
mod keys;
mod remove_fields;

pub use add_fields::AddFields;
pub use flatten::{DpathFlattenFields, FlattenFields};
pub use keys::{KeysReplace, keys_to_lower, keys_to_snake_case};
pub use remove_fields::RemoveFields;

use super::fields;
use super::template::{Context, EvalError};
use crate::document::{Node, Problem};
use crate::json::Map;

/// One transformation.
#[derive(Debug, Clone)]
pub enum Transformation {
    /// Sets fields from templates.
    AddFields(AddFields),
    /// Deletes fields.
    RemoveFields(RemoveFields),
    /// Top-level keys in lower case.
    KeysToLower,
    /// Keys in snake case, those of nested objects too.
    KeysToSnakeCase,
    /// Replaces text in keys.
    KeysReplace(KeysReplace),
    /// Moves all nested fields to the top.
    FlattenFields(FlattenFields),
    /// Moves the fields of one nested object to the top.
    DpathFlattenFields(DpathFlattenFields),
}

/// Why a record cannot be transformed. The others still can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// A template has no value for this record.
    #[error("{field}: {cause}")]
    Template {
        /// The field that it stands for.
        field: String,
        /// Why it has none.
        #[source]
        cause: EvalError,
    },
    /// A path leads through something that holds no fields.
    #[error("cannot set {path}: {at} is neither an object nor a list with that place")]
    Path {
        /// The whole path.
        path: String,
        /// The part that is in the way.
        at: String,
    },
    /// Keys of nested fields, joined or replaced, would grow without measure.
    #[error("the keys of the record would grow beyond {MAX_KEY_BYTES} bytes")]
    TooLarge,
    /// A path pattern matches several places.
    #[error("the path {path} matches several values")]
    Ambiguous {
        /// The path.
        path: String,
    },
}

/// Text that the keys of one record may become.
const MAX_KEY_BYTES: usize = 16 << 20;

const KNOWN: [&str; 7] = [
    "AddFields",
    "RemoveFields",
    "KeysToLower",
    "KeysToSnakeCase",
    "KeysReplace",
    "FlattenFields",
    "DpathFlattenFields",
];

impl Transformation {
    /// From an element of `transformations`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        Ok(match fields::required_type(node, "transformation")? {
            "AddFields" => Self::AddFields(AddFields::build(node)?),
            "RemoveFields" => Self::RemoveFields(RemoveFields::build(node)?),
            "KeysToLower" => Self::KeysToLower,
            "KeysToSnakeCase" => Self::KeysToSnakeCase,
            "KeysReplace" => Self::KeysReplace(KeysReplace::build(node)?),
            "FlattenFields" => Self::FlattenFields(FlattenFields::build(node)?),
            "DpathFlattenFields" => Self::DpathFlattenFields(DpathFlattenFields::build(node)?),
            _ => return Err(fields::unknown_type(node, "transformation", &KNOWN)),
        })
    }

    /// Changes `record`. `context` offers everything but `record` itself, as it was at each step.
    pub fn apply(&self, record: &mut Map, context: &Context<'_>) -> Result<(), TransformError> {
        match self {
            Self::AddFields(add) => add.apply(record, context)?,
            Self::RemoveFields(remove) => remove.apply(record, context)?,
            Self::KeysToLower => keys_to_lower(record),
            Self::KeysToSnakeCase => keys_to_snake_case(record),
            Self::KeysReplace(replace) => replace.apply(record, context)?,
            Self::FlattenFields(flatten) => flatten.apply(record)?,
            Self::DpathFlattenFields(flatten) => flatten.apply(record, context)?,
        }
        Ok(())
    }
}

fn failed(field: &str) -> impl FnOnce(EvalError) -> TransformError {
    let field = field.to_owned();
    move |cause| TransformError::Template { field, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::document::parse_yaml;
    use crate::json;

    fn apply(yaml: &str, record: &str) -> Result<String, TransformError> {
        let transformation = Transformation::build(&parse_yaml("m.yaml", yaml).unwrap()).unwrap();
        let mut record = json::parse(record.as_bytes()).unwrap();
        if let json::Value::Object(map) = &mut record {
            transformation.apply(map, &Context::new(Clock::System))?;
        }
        Ok(record.to_string())
    }

    #[test]
    fn keys_do_not_grow_without_measure() {
        let key = "k".repeat(1 << 10);
        let leaves = "1,".repeat(1 << 10);
        let nested = (0..100).fold(format!("[{leaves}1]"), |inner, _| {
            format!("{{\"{key}\":{inner},\"l\":[1]}}")
        });
        let flattened = apply("{type: FlattenFields}", &nested);
        assert_eq!(flattened, Err(TransformError::TooLarge));
        let long = format!("{{\"{key}\":1}}");
        let new = "n".repeat(1 << 15);
        let replaced = apply(&format!("{{type: KeysReplace, old: k, new: {new}}}"), &long);
        assert_eq!(replaced, Err(TransformError::TooLarge));
        let short = apply("{type: KeysReplace, old: '', new: '-'}", r#"{"ab":1}"#);
        assert_eq!(short.unwrap(), r#"{"-a-b-":1}"#);
    }

    #[test]
    fn problems_name_the_field_and_the_fix() {
        let cases = [
            (
                "{type: AddField}",
                "AddField is not a supported transformation (did you mean AddFields?)",
            ),
            ("{type: AddFields}", "AddFields has no fields"),
            (
                "{type: AddFields, fields: [{path: [], value: x}]}",
                "path is empty",
            ),
            (
                "{type: AddFields, fields: [{path: [a, 10001], value: x}]}",
                "list index out of bounds",
            ),
            (
                "{type: AddFields, fields: [{path: [a], value: x, value_type: text}]}",
                "value_type cannot be text",
            ),
            (
                "{type: AddFields, fields: [{path: [a], value: '{{ record. }}'}]}",
                "the template of value cannot be read",
            ),
            (
                "{type: RemoveFields, field_pointers: [['**', '**']]}",
                "only one **",
            ),
            ("{type: KeysReplace, old: a}", "KeysReplace has no new"),
        ];
        for (yaml, expected) in cases {
            let node = parse_yaml("m.yaml", yaml).unwrap();
            let problem = Transformation::build(&node).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
