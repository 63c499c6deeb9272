//! `ComponentMappingDefinition`: one value that goes into the template of a stream.

use crate::document::{Entry, Kind, Node, Position, Problem, parse_yaml};
use crate::source::manifest::dpath::{Path, Segment, Step};
use crate::source::manifest::expr::{Expr, unsupported};
use crate::source::manifest::fields::{flag, list, problem, required, type_of, value_type};
use crate::source::manifest::template::{Context, EvalError, Literal, ValueType};

/// Where a value goes, and what it is.
pub(super) struct Mapping {
    path: Vec<Expr>,
    value: Expr,
    value_type: Option<ValueType>,
    condition: Option<Expr>,
    /// Whether what is not there yet is made.
    creates: bool,
    /// Whether text is read as YAML.
    reads: bool,
    at: Position,
}

impl Mapping {
    /// From an element of a resolver's `components_mapping`.
    pub(super) fn build(node: &Node, resolver: &Node) -> Result<Self, Problem> {
        let kind = type_of(resolver).unwrap_or_default();
        if type_of(node).is_some_and(|kind| kind != "ComponentMappingDefinition") {
            return Err(unsupported(node));
        }
        let value = required(node, "value")?;
        if value.as_str().is_none() {
            return Err(problem(value.at, "value is no text", "write a template"));
        }
        let path = list(node, "field_path")?;
        if path.is_empty() {
            return Err(problem(
                node.at,
                "field_path is empty",
                "say where the value goes",
            ));
        }
        let asks = kind == "HttpComponentsResolver";
        Ok(Self {
            path: path
                .iter()
                .map(|part| Expr::of("field_path", part, resolver))
                .collect::<Result<_, _>>()?,
            value: Expr::of("value", value, resolver)?,
            value_type: value_type(node)?,
            // Only this resolver looks at it.
            condition: match kind {
                "ConfigComponentsResolver" => Expr::field(node, "condition")?
                    .filter(|condition| !condition.template().source().is_empty()),
                _ => None,
            },
            creates: !asks && flag(node, "create_or_update")?,
            reads: !asks,
            at: node.at,
        })
    }

    /// Puts the value into `stream`.
    pub(super) fn apply(&self, stream: &mut Node, context: &Context<'_>) -> Result<(), Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            problem(
                self.at,
                format!("a value of components_mapping cannot be made: {error}"),
                "mend the template",
            )
        };
        if let Some(condition) = &self.condition
            && !condition.boolean(context).map_err(|e| failed(&e))?
        {
            return Ok(());
        }
        let value = self.value(context).map_err(|error| failed(&error))?;
        let mut path = Vec::new();
        for part in &self.path {
            let part = part.text(context).map_err(|error| failed(&error))?;
            path.push(Segment::Key(part));
        }
        let path = Path::new(path).map_err(|error| failed(&error))?;
        let places = path.places(&stream.to_value());
        for place in &places {
            if let Some(slot) = at_place(stream, place) {
                *slot = value.clone();
            }
        }
        if places.is_empty() && self.creates && is_something(&value) {
            let keys: Vec<String> = path.segments().iter().map(ToString::to_string).collect();
            create(stream, &keys, value);
        }
        Ok(())
    }

    fn value(&self, context: &Context<'_>) -> Result<Node, EvalError> {
        let value = match self.value_type {
            None => self.value.value(context)?,
            Some(kind) => self.value.value_of_type(context, kind)?,
        };
        let is_meant_as_text = matches!(self.value_type, Some(ValueType::String));
        let mut node = match value {
            Literal::Str(text) if self.reads && !is_meant_as_text => read(text),
            value => Node::of_value(&value.into_json()),
        };
        node.at = self.at;
        Ok(node)
    }
}

/// What text says in YAML; the text itself where it says nothing.
fn read(text: String) -> Node {
    if text.trim().is_empty() {
        return Node::synthetic(Kind::Null);
    }
    parse_yaml("", &text).unwrap_or_else(|_| Node::synthetic(Kind::String(text)))
}

fn at_place<'n>(node: &'n mut Node, place: &[Step]) -> Option<&'n mut Node> {
    place
        .iter()
        .try_fold(node, |node, step| match (&mut node.kind, step) {
            (Kind::Map(entries), Step::Key(key)) => {
                let mut entries = entries.iter_mut();
                Some(&mut entries.find(|entry| entry.key == *key)?.value)
            }
            (Kind::List(items), Step::Index { at, .. }) => items.get_mut(*at),
            _ => None,
        })
}

/// Python's truth.
fn is_something(node: &Node) -> bool {
    crate::source::manifest::extract::is_true(&node.to_value())
}

/// Puts `value` at `path`, making the maps on the way. A value in the way stays.
fn create(node: &mut Node, path: &[String], value: Node) {
    let Some((key, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let at = value.at;
    let next = match &mut node.kind {
        Kind::Map(entries) => {
            let index = entries.iter().position(|entry| entry.key == *key);
            let index = index.unwrap_or_else(|| {
                entries.push(Entry {
                    key: key.clone(),
                    key_at: at,
                    value: Node {
                        kind: Kind::Map(Vec::new()),
                        at,
                    },
                });
                entries.len() - 1
            });
            Some(&mut entries[index].value)
        }
        Kind::List(items) => key.parse().ok().and_then(|index: usize| {
            if index == items.len() {
                items.push(Node {
                    kind: Kind::Map(Vec::new()),
                    at,
                });
            }
            items.get_mut(index)
        }),
        _ => None,
    };
    if let Some(next) = next {
        create(next, rest, value);
    }
}
