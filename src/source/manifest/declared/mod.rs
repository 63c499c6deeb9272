//! Which streams a manifest makes for one configuration: those it lists, those whose condition
//! holds, and those made from a template.

mod dynamic;
mod mapping;
mod resolver;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) use dynamic::templates;
pub(super) use resolver::Values;

use super::catalog::{Manifest, describe};
use super::expr::Expr;
use super::fields::{list, optional, type_of};
use super::mode::Mode;
use super::template::Context;
use crate::document::{Node, Problem};
use crate::json::Value;

/// A stream of one configuration.
#[derive(Debug)]
pub(super) struct Declared<'m> {
    pub(super) name: Arc<str>,
    /// Its component; one that only says its name where a template makes no stream.
    pub(super) node: Cow<'m, Node>,
    /// Why it cannot be read.
    pub(super) unavailable: Option<String>,
    /// The `name` of the `DynamicDeclarativeStream` that it was made from.
    pub(super) template: Option<Arc<str>>,
}

/// The streams that a manifest lists, with the component around each that says when it is there.
pub(super) fn listed(document: &Node) -> Result<Vec<(&Node, Option<&Node>)>, Problem> {
    let mut streams = Vec::new();
    for node in list(document, "streams")? {
        if type_of(node) == Some("ConditionalStreams") {
            let inner = list(node, "streams")?.iter();
            streams.extend(inner.map(|stream| (stream, Some(node))));
        } else {
            streams.push((node, None));
        }
    }
    Ok(streams)
}

/// What streams are made for.
pub(super) struct Given<'g> {
    /// Offers the configuration.
    pub(super) context: &'g Context<'g>,
    pub(super) config: &'g Value,
    pub(super) mode: Mode,
    /// What requests gave for the templates that they fill.
    pub(super) values: &'g Values,
}

/// The streams of a configuration.
pub(super) fn streams<'m>(manifest: &'m Manifest, given: &Given<'_>) -> Vec<Declared<'m>> {
    let mut streams = Vec::new();
    let listed = listed(&manifest.document).unwrap_or_default();
    for (name, unavailable) in &manifest.streams {
        let found = listed
            .iter()
            .find(|(node, _)| node.get("name").and_then(Node::as_str) == Some(name));
        let Some((node, around)) = found else {
            continue;
        };
        let mut unavailable = unavailable.clone();
        if let Some(around) = around {
            match holds(around, given.context) {
                Ok(true) => {}
                // To the reference it is not there at all.
                Ok(false) if given.mode == Mode::Reference => continue,
                Ok(false) => {
                    unavailable = Some(format!(
                        "its condition does not hold for this configuration (line {})",
                        optional(around, "condition")
                            .map_or(around.at, |node| node.at)
                            .line
                    ));
                }
                Err(problem) => unavailable = Some(describe(&problem)),
            }
        }
        streams.push(Declared {
            name: name.clone(),
            node: Cow::Borrowed(node),
            unavailable,
            template: None,
        });
    }
    let mut names: HashSet<Arc<str>> = streams.iter().map(|stream| stream.name.clone()).collect();
    for template in templates(&manifest.document) {
        let made = template.streams(given).and_then(|made| {
            match made
                .iter()
                .find(|stream| !names.insert(stream.name.clone()))
            {
                None => Ok(made),
                Some(twice) => {
                    let what = format!("makes two streams that are called {}", twice.name);
                    Err(template.problem(&what))
                }
            }
        });
        streams.extend(made.unwrap_or_else(|problem| vec![template.without_streams(&problem)]));
    }
    streams
}

fn holds(around: &Node, context: &Context<'_>) -> Result<bool, Problem> {
    let condition = Expr::required(around, "condition")?;
    condition.boolean(context).map_err(|error| {
        super::fields::problem(
            around.at,
            format!("the condition of ConditionalStreams cannot be evaluated: {error}"),
            "mend the template",
        )
    })
}
