//! `providerConfig` against the JSON Schema of its connector type (`spec.connection_specification`
//! of a manifest).
//!
//! First the keys get the schema's spelling, texts become what the schema asks for and defaults
//! are filled in; then the values are checked. No message holds a value: any may be a secret.

mod arrange;
mod check;
mod describe;
mod shape;

use serde_json::Value;

use super::leaves::Leaves;
use super::report::Report;
use super::secrets;
use crate::document::{Entry, Kind, Node, Position};
use crate::telemetry::KeptOut;

pub(super) use shape::{Shape, known_keys};

/// One connector's provider part, while it is read.
pub(super) struct Subject<'a> {
    /// `connector "jira-prod"`.
    pub(super) connector: &'a str,
    /// Its type, for messages.
    pub(super) kind: &'a str,
    /// The schema.
    pub(super) spec: &'a Value,
    /// In environment mode: how the connector's variables start, `CONNECTOR_JIRA_PROD_`.
    pub(super) variables: Option<&'a str>,
    /// What substitution did.
    pub(super) leaves: &'a Leaves,
}

/// Gives the map that templates read: spelled as in the schema, in the schema's order, defaults
/// filled in, without positions (moving an entry in the file is no change of the connector).
pub(super) fn read(subject: &Subject<'_>, given: &Node, report: &mut Report) -> (Node, KeptOut) {
    let arranged = arrange::arrange(subject, given, report);
    // Before anything can fail and be logged.
    let kept_out = secrets::keep_out(&arranged.node, subject.spec, subject.leaves);
    check::check(subject, &arranged, report);
    (without_positions(&arranged.node), kept_out)
}

fn without_positions(node: &Node) -> Node {
    let kind = match &node.kind {
        Kind::List(items) => Kind::List(items.iter().map(without_positions).collect()),
        Kind::Map(entries) => Kind::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    key: entry.key.clone(),
                    key_at: Position::default(),
                    value: without_positions(&entry.value),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node::synthetic(kind)
}
