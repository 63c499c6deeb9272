//! `SelectiveAuthenticator`: one of several, by what the configuration says or gives.

use super::Authenticator;
use crate::document::{Node, Problem};
use crate::json::Value;
use crate::source::manifest::fields::{optional, problem, required, texts};

/// Where the configuration does not name the way: the one that is called like a field that it has.
fn by_what_is_given(
    node: &Node,
    path: &[String],
    authenticators: &Node,
    config: &Value,
) -> Result<String, Problem> {
    let is_given = |name: &str| match config.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let names = || authenticators.entries().iter().map(|entry| &*entry.key);
    let given: Vec<&str> = names().filter(|name| is_given(name)).collect();
    match given[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(problem(
            node.at,
            format!("the configuration has no {}", path.join(".")),
            format!(
                "set it, or give one of {}: it chooses the way to authenticate",
                names().collect::<Vec<_>>().join(", ")
            ),
        )),
        _ => Err(problem(
            node.at,
            format!(
                "the configuration has {}, which contradict each other",
                given.join(" and ")
            ),
            "keep one: it chooses the way to authenticate",
        )),
    }
}

/// The authenticator that a value of the configuration names.
pub(super) fn select(
    node: &Node,
    requester: &Node,
    config: &Value,
    verbatim: bool,
) -> Result<Authenticator, Problem> {
    let path = texts(node, "authenticator_selection_path")?;
    let chosen = path
        .iter()
        .try_fold(config, |at, part| at.get(part))
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    let authenticators = required(node, "authenticators")?;
    let chosen = match chosen {
        Some(chosen) => chosen,
        None => by_what_is_given(node, &path, authenticators, config)?,
    };
    match optional(authenticators, &chosen) {
        Some(authenticator) => Authenticator::build(authenticator, requester, config, verbatim),
        None => {
            let known: Vec<&str> = authenticators
                .entries()
                .iter()
                .map(|entry| &*entry.key)
                .collect();
            Err(problem(
                authenticators.at,
                format!("{} chooses no known way to authenticate", path.join(".")),
                format!("use one of: {}", known.join(", ")),
            ))
        }
    }
}
