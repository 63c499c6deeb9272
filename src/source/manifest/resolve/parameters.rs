//! Default types of components, and `$parameters` handed down from a component to those inside.

use std::collections::HashSet;
use std::rc::Rc;

use indexmap::IndexMap;

use super::{Budget, Members, check_depth, count, into_map, into_members};
use crate::document::{Kind, Node, Position, Problem};
use crate::source::manifest::fields::{kind_name, problem};
use crate::source::manifest::format;
use crate::source::manifest::template::Template;

/// The field of a manifest that holds its templates of streams.
pub(super) const MADE_STREAMS: &str = "dynamic_streams";

/// The field that holds a component's parameters.
const PARAMETERS: &str = "$parameters";

/// Gives the component at `identifier` (`{parent type}.{field}`) and all inside it their default
/// types and their parameters, exactly as the reference does.
///
/// A parameter also becomes a field of every component that does not have one of that name.
/// Neither passes through plain maps, nor into JSON schemas.
#[cfg(test)]
pub(in crate::source::manifest) fn propagate(
    identifier: &str,
    component: Node,
) -> Result<Node, Problem> {
    Propagating::default().component(identifier, component, &Parameters::new(), 0)
}

/// The same for a whole manifest, without what nothing reads: fields that a component does not
/// have, and parameters that no template names. A schema handed down would otherwise stand in
/// every component below.
pub(in crate::source::manifest) fn hand_down(manifest: Node) -> Result<Node, Problem> {
    let mut propagating = Propagating {
        read: Some(parameters_read(&manifest)),
        ..Propagating::default()
    };
    propagating.component("", manifest, &Parameters::new(), 0)
}

/// The same for one stream that was made from a template. Nothing is left out: the template was
/// handed everything down before.
pub(in crate::source::manifest) fn hand_down_again(
    stream: Node,
    outer_wins: bool,
) -> Result<Node, Problem> {
    let mut propagating = Propagating {
        outer_wins,
        ..Propagating::default()
    };
    propagating.component("", stream, &Parameters::new(), 0)
}

/// Parameters by name. Many components share one value.
type Parameters = IndexMap<String, Rc<(Position, Node)>>;

#[derive(Default)]
struct Propagating {
    budget: Budget,
    /// What templates read of the parameters; `None` keeps everything.
    read: Option<Names>,
    /// Whether a parameter of a component around counts more than a component's own.
    outer_wins: bool,
}

/// Some names, or all.
enum Names {
    All,
    Some(HashSet<String>),
}

/// The parameters that the templates of a manifest name.
fn parameters_read(manifest: &Node) -> Names {
    let mut names = HashSet::new();
    let mut all = false;
    super::each_text(manifest, &mut |text| {
        if !text.contains("parameters") || !text.contains('{') {
            return;
        }
        let Ok(template) = Template::compile(text) else {
            return;
        };
        for path in template.constant_reads("parameters") {
            match path.first() {
                Some(name) => drop(names.insert(name.clone())),
                None => all = true,
            }
        }
    });
    if all { Names::All } else { Names::Some(names) }
}

impl Propagating {
    fn component(
        &mut self,
        identifier: &str,
        node: Node,
        inherited: &Parameters,
        depth: usize,
    ) -> Result<Node, Problem> {
        let Node { kind, at } = node;
        let entries = match kind {
            Kind::Map(entries) => entries,
            kind => return Ok(Node { kind, at }),
        };
        check_depth(depth, at)?;
        let mut members = into_members(entries);
        add_default_type(identifier, &mut members, at);
        self.budget.charge(inherited.len(), at)?;
        let own = own_parameters(&mut members)?;
        let parameters = if self.outer_wins {
            own.into_iter().chain(inherited.clone()).collect()
        } else {
            inherited.clone().into_iter().chain(own).collect()
        };
        let mut parameters: Parameters = parameters;
        let Some(kind) = component_type(&members) else {
            if !is_schema(&members) {
                self.nested_only(identifier, &mut members, &parameters, depth)?;
            }
            return Ok(Node {
                kind: into_map(members),
                at,
            });
        };
        for (key, value) in &parameters {
            let missing = members.get(key).is_none_or(|(_, own)| is_falsy(own));
            if missing && self.keeps_field(&kind, key) {
                self.budget.charge(count(&value.1), at)?;
                members.insert(key.clone(), (**value).clone());
            }
        }
        for (field, (_, value)) in &mut members {
            if !matches!(value.kind, Kind::Map(_) | Kind::List(_)) {
                continue;
            }
            // Values may go anywhere in a template of streams, parameters included.
            let read = (field == MADE_STREAMS).then(|| self.read.take());
            // A parameter does not go into the field it has become: that would never end.
            let excluded = parameters.shift_remove(field);
            let identifier = format!("{kind}.{field}");
            match &mut value.kind {
                Kind::List(items) => {
                    for item in items {
                        self.replace(&identifier, item, &parameters, depth)?;
                    }
                }
                _ => self.replace(&identifier, value, &parameters, depth)?,
            }
            if let Some(read) = read {
                self.read = read;
            }
            if let Some(excluded) = excluded
                && !is_falsy(&excluded.1)
            {
                parameters.insert(field.clone(), excluded);
            }
        }
        let mut kept = Members::new();
        for (key, value) in parameters {
            if !self.is_read(&key) {
                continue;
            }
            self.budget.charge(count(&value.1), at)?;
            kept.insert(key, (*value).clone());
        }
        if !kept.is_empty() {
            let value = Node {
                kind: into_map(kept),
                at,
            };
            members.insert(PARAMETERS.to_owned(), (at, value));
        }
        Ok(Node {
            kind: into_map(members),
            at,
        })
    }

    /// Whether a component of this type does anything with the field.
    fn keeps_field(&self, kind: &str, field: &str) -> bool {
        self.read.is_none()
            || format::component(kind)
                .is_none_or(|component| component.open || component.field(field).is_some())
    }

    fn is_read(&self, parameter: &str) -> bool {
        match &self.read {
            None | Some(Names::All) => true,
            Some(Names::Some(names)) => names.contains(parameter),
        }
    }

    /// A plain map: only maps with a type directly inside it are components.
    fn nested_only(
        &mut self,
        identifier: &str,
        members: &mut Members,
        parameters: &Parameters,
        depth: usize,
    ) -> Result<(), Problem> {
        for (_, value) in members.values_mut() {
            if value.get("type").is_some_and(|kind| !is_falsy(kind)) {
                self.replace(identifier, value, parameters, depth)?;
            }
        }
        Ok(())
    }

    fn replace(
        &mut self,
        identifier: &str,
        slot: &mut Node,
        parameters: &Parameters,
        depth: usize,
    ) -> Result<(), Problem> {
        let node = std::mem::replace(slot, Node::synthetic(Kind::Null));
        *slot = self.component(identifier, node, parameters, depth + 1)?;
        Ok(())
    }
}

fn own_parameters(members: &mut Members) -> Result<Parameters, Problem> {
    match members.shift_remove(PARAMETERS) {
        None => Ok(Parameters::new()),
        Some((
            _,
            Node {
                kind: Kind::Map(entries),
                ..
            },
        )) => Ok(into_members(entries)
            .into_iter()
            .map(|(key, value)| (key, Rc::new(value)))
            .collect()),
        Some((key_at, value)) => Err(problem(
            key_at,
            format!("$parameters is {}", kind_name(&value)),
            "make it a map of names and values",
        )),
    }
}

/// The name of the component that a map is; `None` for plain maps and JSON schemas.
fn component_type(members: &Members) -> Option<String> {
    match &members.get("type")?.1.kind {
        Kind::String(text) if text == "object" => None,
        Kind::String(text) => Some(text.clone()),
        Kind::List(_) | Kind::Map(_) => None,
        _ => Some(String::new()),
    }
}

/// Whether a map with such members is a JSON schema: `type: object`, a union of types, or the
/// `properties` of something that has a property named `type`.
fn is_schema(members: &Members) -> bool {
    members.contains_key("type")
}

/// Python's `not value`.
fn is_falsy(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => true,
        Kind::Bool(value) => !value,
        Kind::Int(value) => *value == 0,
        Kind::Float(value) => *value == 0.0,
        Kind::BigNumber(_) => false,
        Kind::String(text) => text.is_empty(),
        Kind::List(items) => items.is_empty(),
        Kind::Map(entries) => entries.is_empty(),
    }
}

fn add_default_type(identifier: &str, members: &mut Members, at: Position) {
    if members.contains_key("type") {
        return;
    }
    let kind = if members.contains_key("class_name") {
        default_custom_type(identifier)
    } else {
        default_type(identifier)
    };
    if let Some(kind) = kind {
        let node = Node {
            kind: Kind::String(kind.to_owned()),
            at,
        };
        members.insert("type".to_owned(), (at, node));
    }
}

/// The type of a component that leaves it out, by the field it stands in.
///
/// Only these fields have a default: a type is never guessed from what a map holds.
fn default_type(identifier: &str) -> Option<&'static str> {
    Some(match identifier {
        "CompositeErrorHandler.error_handlers" | "HttpRequester.error_handler" => {
            "DefaultErrorHandler"
        }
        "CursorPagination.decoder" | "DefaultPaginator.decoder" | "DpathExtractor.decoder" => {
            "JsonDecoder"
        }
        "DatetimeBasedCursor.start_datetime" | "DatetimeBasedCursor.end_datetime" => {
            "MinMaxDatetime"
        }
        "DatetimeBasedCursor.start_time_option"
        | "DatetimeBasedCursor.end_time_option"
        | "DefaultPaginator.page_size_option"
        | "ListPartitionRouter.request_option"
        | "ParentStreamConfig.request_option" => "RequestOption",
        "DeclarativeSource.check" => "CheckStream",
        "DeclarativeSource.spec" => "Spec",
        "DeclarativeSource.streams"
        | "DynamicDeclarativeStream.stream_template"
        | "ParentStreamConfig.stream" => "DeclarativeStream",
        "DeclarativeStream.retriever"
        | "HttpComponentsResolver.retriever"
        | "DynamicSchemaLoader.retriever" => "SimpleRetriever",
        "DeclarativeStream.schema_loader" => "JsonFileSchemaLoader",
        "DynamicDeclarativeStream.components_resolver" => "ConfigComponentResolver",
        "HttpComponentsResolver.components_mapping"
        | "ConfigComponentsResolver.components_mapping" => "ComponentMappingDefinition",
        "ConfigComponentsResolver.stream_config" => "StreamConfig",
        "DefaultErrorHandler.response_filters" => "HttpResponseFilter",
        "DpathExtractor.record_expander" => "RecordExpander",
        "RecordExpander.parent_fields" => "ParentFieldPath",
        "RecordSelector.extractor" => "DpathExtractor",
        "RecordSelector.record_filter" => "RecordFilter",
        "SimpleRetriever.paginator" => "NoPagination",
        "SimpleRetriever.record_selector" => "RecordSelector",
        "SimpleRetriever.requester" => "HttpRequester",
        "SubstreamPartitionRouter.parent_stream_configs"
        | "CustomPartitionRouter.parent_stream_configs" => "ParentStreamConfig",
        "AddFields.fields" => "AddedFieldDefinition",
        "SchemaTypeIdentifier.types_map" => "TypesMap",
        _ => return None,
    })
}

/// The same for components that name a Python class.
fn default_custom_type(identifier: &str) -> Option<&'static str> {
    Some(match identifier {
        "CompositeErrorHandler.backoff_strategies" | "DefaultErrorHandler.backoff_strategies" => {
            "CustomBackoffStrategy"
        }
        "DeclarativeStream.retriever" => "CustomRetriever",
        "DeclarativeStream.transformations" => "CustomTransformation",
        "DefaultPaginator.pagination_strategy" => "CustomPaginationStrategy",
        "HttpRequester.authenticator" => "CustomAuthenticator",
        "HttpRequester.error_handler" => "CustomErrorHandler",
        "RecordSelector.extractor" => "CustomRecordExtractor",
        "SimpleRetriever.partition_router" => "CustomPartitionRouter",
        _ => return None,
    })
}
