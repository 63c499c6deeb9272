//! Resolvers: the values that fill the template of a stream, one stream per value.

use std::collections::HashMap;
use std::sync::Arc;

use super::Given;
use super::mapping::Mapping;
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};
use crate::source::manifest::dpath::{Path, Segment};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{list, optional, problem, required, type_of};
use crate::source::manifest::slice::StreamSlice;

/// Streams that one template may make. More is a mistake.
const MAX_STREAMS: usize = 10_000;

/// What requests gave for templates, by their names: each value with the slice it came from.
pub(in crate::source::manifest) type Values = HashMap<Arc<str>, Vec<(Value, StreamSlice)>>;

/// The streams that a resolver makes of `template`.
pub(super) fn fill(
    resolver: &Node,
    name: &str,
    template: &Node,
    given: &Given<'_>,
) -> Result<Vec<Node>, Problem> {
    let found = match type_of(resolver) {
        Some("ConfigComponentsResolver") => without_slices(of_config(resolver, given)?),
        Some("ParametrizedComponentsResolver") => without_slices(of_manifest(resolver)?),
        Some("HttpComponentsResolver") => match given.values.get(name) {
            Some(values) => values.clone(),
            None => return Err(needs_requests(resolver)),
        },
        _ => return Err(unsupported(resolver)),
    };
    if found.len() > MAX_STREAMS {
        return Err(problem(
            resolver.at,
            format!("the template {name} makes more than {MAX_STREAMS} streams"),
            "list fewer values",
        ));
    }
    let mappings: Vec<Mapping> = list(resolver, "components_mapping")?
        .iter()
        .map(|node| Mapping::build(node, resolver))
        .collect::<Result<_, _>>()?;
    let shown = template.to_value();
    let mut streams = Vec::new();
    for (value, slice) in &found {
        let context = given
            .context
            .clone()
            .with("components_values", value)
            .with("stream_template_config", &shown)
            .with("stream_slice", slice.view());
        let mut stream = template.clone();
        for mapping in &mappings {
            mapping.apply(&mut stream, &context)?;
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// Streams of a worker are known before it makes a request.
pub(super) fn needs_requests(resolver: &Node) -> Problem {
    problem(
        resolver.get("type").map_or(resolver.at, |kind| kind.at),
        "needs HttpComponentsResolver, which only `connector-worker airbyte` runs",
        "list the streams in the manifest to publish their records",
    )
}

fn without_slices(values: Vec<Value>) -> Vec<(Value, StreamSlice)> {
    let slice = StreamSlice::default;
    values.into_iter().map(|value| (value, slice())).collect()
}

/// `ParametrizedComponentsResolver`: values that the manifest lists.
fn of_manifest(resolver: &Node) -> Result<Vec<Value>, Problem> {
    let parameters = required(resolver, "stream_parameters")?;
    let listed = list(parameters, "list_of_parameters_for_stream")?;
    Ok(listed.iter().map(Node::to_value).collect())
}

/// `ConfigComponentsResolver`: every combination of the values of lists in the configuration.
fn of_config(resolver: &Node, given: &Given<'_>) -> Result<Vec<Value>, Problem> {
    let lists = required(resolver, "stream_config")?;
    let lists = match &lists.kind {
        Kind::List(lists) => lists.as_slice(),
        _ => std::slice::from_ref(lists),
    };
    let mut combined = vec![Map::new()];
    for (place, list) in lists.iter().enumerate() {
        let values = listed(list, given)?;
        if combined.len().saturating_mul(values.len()) > MAX_STREAMS {
            return Err(problem(
                list.at,
                format!("the lists combine to more than {MAX_STREAMS} streams"),
                "list fewer values",
            ));
        }
        let mut next = Vec::new();
        for before in &combined {
            for (index, value) in values.iter().enumerate() {
                let mut map = before.clone();
                match value {
                    Value::Object(fields) => map.extend(fields.clone()),
                    // What has no names gets one of its own.
                    value => {
                        let index = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
                        map.entry(format!("source_config_{place}"))
                            .or_insert_with(|| Value::Array(vec![index, value.clone()]));
                    }
                }
                next.push(map);
            }
        }
        combined = next;
    }
    Ok(combined.into_iter().map(Value::Object).collect())
}

/// The values of one `StreamConfig`.
fn listed(list: &Node, given: &Given<'_>) -> Result<Vec<Value>, Problem> {
    let pointer = required(list, "configs_pointer")?;
    let failed = |error: &dyn std::fmt::Display| {
        problem(
            pointer.at,
            format!("configs_pointer cannot be evaluated: {error}"),
            "name keys of the configuration",
        )
    };
    let parts = match &pointer.kind {
        Kind::List(parts) => parts.as_slice(),
        _ => std::slice::from_ref(pointer),
    };
    let mut path = Vec::new();
    for part in parts {
        let part = Expr::of("configs_pointer", part, list)?;
        path.push(Segment::Key(
            part.text(given.context).map_err(|e| failed(&e))?,
        ));
    }
    let path = Path::new(path).map_err(|error| failed(&error))?;
    let mut values = match path.find(given.config).as_slice() {
        [] => Vec::new(),
        [Value::Array(items)] => items.clone(),
        [value] => vec![(*value).clone()],
        _ => return Err(failed(&"it matches several values")),
    };
    if let Some(defaults) = optional(list, "default_values") {
        values.extend(defaults.items().iter().map(Node::to_value));
    }
    Ok(values)
}
