//! `SubstreamPartitionRouter`: one partition per record of a parent stream.

use super::super::dpath::{Path, Segment};
use super::super::fields::{self, problem};
use super::super::template::{Context, EvalError, Literal, Template};
use super::{Partition, PartitionError};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// A partition per record of each parent stream, one parent after the other.
#[derive(Debug, Clone)]
pub struct SubstreamPartitionRouter {
    parents: Vec<ParentStreamConfig>,
}

/// One parent stream, and what of its records makes a partition.
#[derive(Debug, Clone)]
pub struct ParentStreamConfig {
    stream: Node,
    parent_key: Template,
    partition_field: Template,
    extra_fields: Vec<Vec<Template>>,
    /// `lazy_read_pointer`: where a parent record holds the first page of its child.
    child: Option<Vec<Template>>,
    is_incremental: bool,
    parameters: Map,
}

/// A parent's keys for one configuration.
#[derive(Debug, Clone)]
pub struct ParentKeys {
    parent_key: Path,
    partition_field: String,
    /// Name and path of each extra field.
    extra_fields: Vec<(String, Path)>,
    child: Option<Path>,
}

/// The partition key under which the parent record's own partition stands.
pub(in crate::source::manifest) const PARENT_SLICE: &str = "parent_slice";

impl SubstreamPartitionRouter {
    /// From a component of type `SubstreamPartitionRouter`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        let parents = fields::list(node, "parent_stream_configs")?;
        if parents.is_empty() {
            return Err(problem(
                node.at,
                "SubstreamPartitionRouter has no parent_stream_configs",
                "name at least one parent stream",
            ));
        }
        Ok(Self {
            parents: parents
                .iter()
                .map(ParentStreamConfig::build)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The parents, in the order in which they are read.
    pub fn parents(&self) -> &[ParentStreamConfig] {
        &self.parents
    }
}

impl ParentStreamConfig {
    fn build(node: &Node) -> Result<Self, Problem> {
        Ok(Self {
            stream: fields::required(node, "stream")?.clone(),
            parent_key: fields::required_template(node, "parent_key")?,
            partition_field: fields::required_template(node, "partition_field")?,
            extra_fields: fields::list(node, "extra_fields")?
                .iter()
                .map(path_templates)
                .collect::<Result<_, _>>()?,
            child: match fields::optional(node, "lazy_read_pointer") {
                Some(pointer) => Some(path_templates(pointer)?),
                None => None,
            },
            is_incremental: fields::flag(node, "incremental_dependency")?,
            parameters: fields::parameters(node),
        })
    }

    /// Whether a parent record holds the first page of its child.
    pub fn holds_child(&self) -> bool {
        self.child.is_some()
    }

    /// Whether only the records that changed since the last read make partitions.
    pub fn is_incremental(&self) -> bool {
        self.is_incremental
    }

    /// The parent stream's component.
    pub fn stream(&self) -> &Node {
        &self.stream
    }

    /// The keys for one configuration. `context` offers `config`.
    pub fn keys(&self, context: &Context<'_>) -> Result<ParentKeys, PartitionError> {
        let context = &context.clone().with("parameters", &self.parameters);
        let text = |template: &Template, field| {
            template
                .text(context)
                .map_err(|cause| PartitionError::Template { field, cause })
        };
        let parent_key = text(&self.parent_key, "parent_key")?;
        let segments = parent_key.trim_start_matches('/').split('/');
        let segments = segments.map(|part| Segment::Key(part.to_owned()));
        Ok(ParentKeys {
            parent_key: path(segments.collect(), "parent_key")?,
            partition_field: text(&self.partition_field, "partition_field")?,
            extra_fields: self
                .extra_fields
                .iter()
                .map(|parts| extra_field(parts, context))
                .collect::<Result<_, _>>()?,
            child: match &self.child {
                Some(parts) => Some(extra_field(parts, context)?.1),
                None => None,
            },
        })
    }
}

impl ParentKeys {
    /// The key of a partition's value.
    pub fn partition_field(&self) -> &str {
        &self.partition_field
    }

    /// The partition that a parent record stands for; `None` if it lacks the parent key.
    ///
    /// `parent` is the partition that the record itself was read from.
    pub fn partition(
        &self,
        record: &Value,
        parent: &Map,
    ) -> Result<Option<Partition>, PartitionError> {
        let value = match one(&self.parent_key, record, "parent_key")? {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.clone(),
        };
        let mut extra_fields = Map::new();
        for (name, path) in &self.extra_fields {
            let value = one(path, record, "extra_fields")?;
            extra_fields.insert(name.clone(), value.cloned().unwrap_or_default());
        }
        let mut keys = Map::from_iter([(self.partition_field.clone(), value)]);
        keys.insert(PARENT_SLICE.to_owned(), Value::Object(parent.clone()));
        Ok(Some(Partition {
            keys,
            extra_fields,
            mark: None,
        }))
    }
}

impl ParentKeys {
    /// The first page of the child stream that a parent record holds; `None` where the manifest
    /// says of no such place. Without one in the record it is an empty list.
    pub fn child(&self, record: &Value) -> Result<Option<Value>, PartitionError> {
        let Some(path) = &self.child else {
            return Ok(None);
        };
        let found = one(path, record, "lazy_read_pointer")?;
        Ok(Some(found.cloned().unwrap_or(Value::Array(Vec::new()))))
    }
}

fn one<'v>(
    path: &Path,
    record: &'v Value,
    field: &'static str,
) -> Result<Option<&'v Value>, PartitionError> {
    match path.find(record).as_slice() {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(PartitionError::Ambiguous { field }),
    }
}

fn path(segments: Vec<Segment>, field: &'static str) -> Result<Path, PartitionError> {
    Path::new(segments).map_err(|error| PartitionError::Template {
        field,
        cause: EvalError::Failed {
            what: error.to_string(),
        },
    })
}

fn path_templates(node: &Node) -> Result<Vec<Template>, Problem> {
    let parts = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    parts
        .iter()
        .map(|part| fields::template_of("extra_fields", part))
        .collect()
}

fn extra_field(
    parts: &[Template],
    context: &Context<'_>,
) -> Result<(String, Path), PartitionError> {
    let field = "extra_fields";
    let values = parts
        .iter()
        .map(|part| part.value(context))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| PartitionError::Template { field, cause })?;
    let names: Vec<String> = values.iter().map(ToString::to_string).collect();
    let segments = values.into_iter().map(|value| match value {
        Literal::Int(index) => Segment::Index(index),
        other => Segment::Key(other.to_string()),
    });
    Ok((names.join("."), path(segments.collect(), field)?))
}
