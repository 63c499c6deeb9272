//! Which components of the format this engine runs, decided before any configuration is known.

use super::expr::unsupported;
use super::fields::type_of;
use super::format;
use crate::document::{Kind, Node, Problem};

/// Fields whose content is no component: schemas, and what only the reference uses.
const OPAQUE: [&str; 12] = [
    "schema_loader",
    "schema",
    "$parameters",
    "state_migrations",
    "file_uploader",
    "request_body_json",
    "request_body_data",
    "request_authentication",
    "refresh_request_body",
    "refresh_request_headers",
    "additional_jwt_payload",
    "additional_jwt_headers",
];

/// The first component within `node` that does not run.
pub(super) fn first_unsupported(node: &Node) -> Option<Problem> {
    match &node.kind {
        Kind::List(items) => items.iter().find_map(first_unsupported),
        Kind::Map(entries) => {
            if type_of(node) == Some("SelectiveAuthenticator") {
                // Which of them is used, the configuration says.
                return None;
            }
            if let Some(kind) = type_of(node)
                && starts_upper(kind)
                && format::component(kind).is_none_or(|known| !known.runs)
            {
                return Some(unsupported(node));
            }
            let component = type_of(node).and_then(format::component);
            // A field that the format does not know is not read, whatever stands in it.
            let is_read =
                |key: &str| component.is_none_or(|known| known.open || known.field(key).is_some());
            entries
                .iter()
                .filter(|entry| !OPAQUE.contains(&&*entry.key) && is_read(&entry.key))
                .find_map(|entry| first_unsupported(&entry.value))
        }
        _ => None,
    }
}

/// Components are spelled in camel case; a field that happens to be called `type` rarely is.
fn starts_upper(kind: &str) -> bool {
    kind.starts_with(|c: char| c.is_ascii_uppercase())
}
