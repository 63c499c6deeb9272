//! `resolution.json`: references, default types, parameters.

use super::{node, run, text, verdict};
use crate::source::manifest::resolve::{parameters, references};

#[test]
fn documents_resolve_as_in_the_reference() {
    run("resolution", |item| {
        let input = node(item.get("input").unwrap());
        let resolved = match text(item, "step") {
            "references" => references::replace(&input),
            "types_and_parameters" => parameters::propagate("", input),
            step => panic!("unknown step {step}"),
        };
        verdict(
            item,
            resolved
                .map(|node| node.to_value())
                .map_err(|problem| problem.to_string()),
        )
    });
}
