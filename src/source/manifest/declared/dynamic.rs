//! `DynamicDeclarativeStream`: one stream per value of a resolver, each made from one template.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Declared, Given, resolver};
use crate::document::{Entry, Kind, Node, Problem};
use crate::source::manifest::catalog::describe;
use crate::source::manifest::fields::{
    flag_or, list, optional, problem, required, required_type, text,
};
use crate::source::manifest::resolve::resolve_made;
use crate::source::manifest::support::first_unsupported;

/// A component of `dynamic_streams`.
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct StreamTemplate<'m> {
    node: &'m Node,
    pub(in crate::source::manifest) name: Arc<str>,
}

/// The templates of a manifest, in its order.
pub(in crate::source::manifest) fn templates(document: &Node) -> Vec<StreamTemplate<'_>> {
    let nodes = list(document, "dynamic_streams").unwrap_or_default().iter();
    let named = |(index, node)| StreamTemplate {
        node,
        name: match text(node, "name") {
            Ok(Some(name)) => name.into(),
            _ => format!("dynamic_stream_{index}").into(),
        },
    };
    nodes.enumerate().map(named).collect()
}

impl<'m> StreamTemplate<'m> {
    /// The `HttpComponentsResolver` whose requests fill it, if it has one.
    pub(in crate::source::manifest) fn asks(&self) -> Option<&'m Node> {
        let resolver = optional(self.node, "components_resolver")?;
        (required_type(resolver, "resolver").ok()? == "HttpComponentsResolver").then_some(resolver)
    }

    /// That its streams are known only after a request, if so.
    pub(in crate::source::manifest) fn needs_requests(&self) -> Option<Problem> {
        self.asks().map(resolver::needs_requests)
    }

    /// Why it never makes a stream, whatever the configuration.
    pub(in crate::source::manifest) fn unsupported(&self) -> Option<Problem> {
        first_unsupported(self.node)
    }

    /// Its streams for a configuration.
    pub(super) fn streams(&self, given: &Given<'_>) -> Result<Vec<Declared<'m>>, Problem> {
        let resolver = required(self.node, "components_resolver")?;
        if let Some(problem) = first_unsupported(resolver) {
            return Err(problem);
        }
        let template = required(self.node, "stream_template")?;
        let parents_win = flag_or(self.node, "use_parent_parameters", true)?;
        let made = resolver::fill(resolver, &self.name, template, given)?;
        made.into_iter()
            .map(|stream| self.declared(resolve_made(stream, parents_win)?))
            .collect()
    }

    fn declared(&self, stream: Node) -> Result<Declared<'m>, Problem> {
        let name: Arc<str> = match stream.get("name").map(|name| &name.kind) {
            Some(Kind::String(name)) if !name.is_empty() => name.as_str().into(),
            _ => return Err(self.problem("makes a stream whose name is no text")),
        };
        Ok(Declared {
            name,
            unavailable: first_unsupported(&stream).map(|problem| describe(&problem)),
            node: Cow::Owned(stream),
            template: Some(self.name.clone()),
        })
    }

    /// What stands for its streams where they cannot be made.
    pub(super) fn without_streams(&self, problem: &Problem) -> Declared<'m> {
        let name = Entry {
            key: "name".to_owned(),
            key_at: self.node.at,
            value: Node {
                kind: Kind::String(self.name.to_string()),
                at: self.node.at,
            },
        };
        Declared {
            name: self.name.clone(),
            node: Cow::Owned(Node {
                kind: Kind::Map(vec![name]),
                at: self.node.at,
            }),
            unavailable: Some(describe(problem)),
            template: Some(self.name.clone()),
        }
    }

    /// A problem of the whole template.
    pub(super) fn problem(&self, what: &str) -> Problem {
        problem(
            self.node.at,
            format!("the template {} {what}", self.name),
            "give every stream a name of its own by components_mapping",
        )
    }
}
