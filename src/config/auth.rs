//! Ways to authenticate: the provider part must choose exactly one of those its type names.

use super::keys;
use super::leaves::Leaves;
use super::report::{Place, Report};
use crate::document::Node;
use crate::source::manifest::methods::AuthMethods;

/// Reports a provider part that chooses no way to authenticate, or two. `given` is as the file
/// spells it, `read` as templates see it.
pub(super) fn check(
    methods: &AuthMethods,
    given: &Node,
    read: &Node,
    leaves: &Leaves,
    connector: &str,
    report: &mut Report,
) {
    let entry_of = |field: &str| {
        let first = field.split('.').next().unwrap_or(field);
        let mut entries = given.entries().iter();
        entries.find(|entry| keys::alike(&entry.key, first))
    };
    // Whether one that is not looked up is empty, nobody knows yet.
    if methods
        .fields()
        .filter_map(entry_of)
        .any(|entry| leaves.has_opaque(&entry.value))
    {
        return;
    }
    let is_snake = given.entries().iter().any(|entry| entry.key.contains('_'));
    let spell = |field: &str| match entry_of(field) {
        Some(entry) => entry.key.clone(),
        None if is_snake => field.to_owned(),
        None => keys::to_camel(field),
    };
    let Err(wrong) = methods.choose(&read.to_value(), &spell) else {
        return;
    };
    let at = wrong.field.as_deref().and_then(entry_of);
    let place = Place {
        at: at.map_or(given.at, |entry| entry.value.at),
        connector,
        field: "providerConfig",
    };
    report.problem(&place, &wrong.message, Some(wrong.fix));
}
