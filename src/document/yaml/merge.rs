//! Merge keys: `<<: *defaults`.

use indexmap::IndexMap;

use crate::document::{Entry, Kind, Node, Position};

/// The members of a map: those merged in stand first, own ones override them in place.
pub(super) fn members(
    mut merged: IndexMap<String, (Position, Node)>,
    own: IndexMap<String, (Position, Node)>,
) -> Vec<Entry> {
    merged.extend(own);
    merged
        .into_iter()
        .map(|(key, (key_at, value))| Entry { key, key_at, value })
        .collect()
}

/// Adds what `<<: value` brings in; false when the value holds anything but maps.
///
/// Of a list the first map that has a key wins; of two `<<` in one map the last.
pub(super) fn merge(merged: &mut IndexMap<String, (Position, Node)>, value: Node) -> bool {
    let maps = match value.kind {
        Kind::Map(entries) => vec![entries],
        Kind::List(items) => {
            let maps: Option<Vec<_>> = items
                .into_iter()
                .rev()
                .map(|item| match item.kind {
                    Kind::Map(entries) => Some(entries),
                    _ => None,
                })
                .collect();
            match maps {
                Some(maps) => maps,
                None => return false,
            }
        }
        _ => return false,
    };
    for Entry { key, key_at, value } in maps.into_iter().flatten() {
        merged.insert(key, (key_at, value));
    }
    true
}
