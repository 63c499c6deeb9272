//! `LegacyToPerPartitionStateMigration`: state that has one cursor per parent.

use std::borrow::Cow;

use crate::client::FetchError;
use crate::json::{Map, Value};
use crate::source::manifest::retriever::Run;
use crate::source::manifest::stream::{Parts, Router, StateMigration};

/// The state as partitions have it: `{"<parent>": {"<field>": "<date>"}}` becomes a list of states.
/// What has another shape stays as it is.
pub(super) fn migrated<'s>(
    run: Run<'_>,
    parts: &Parts,
    state: Option<&'s Value>,
) -> Result<Option<Cow<'s, Value>>, FetchError> {
    let (Some(Value::Object(map)), Some(cursor), Some(StateMigration::LegacyToPerPartition)) =
        (state, &parts.cursor, parts.migration)
    else {
        return Ok(state.map(Cow::Borrowed));
    };
    let key = match parts.routers.as_slice() {
        [Router::Union { key, .. }] => {
            key.text(&run.context()).map_err(|e| run.misconfigured(e))?
        }
        [Router::Substream(parents)] if parents.len() == 1 => {
            let keys = parents[0].config.keys(&run.context());
            let keys = keys.map_err(|error| run.misconfigured(error))?;
            keys.partition_field().to_owned()
        }
        _ => return Ok(state.map(Cow::Borrowed)),
    };
    let cursor = cursor.open(&run.context());
    let cursor = cursor.map_err(|error| run.misconfigured(error))?;
    let has_old_shape = |value: &Value| match value {
        Value::Object(one) => one.len() == 1 && one.contains_key(cursor.cursor_field()),
        _ => false,
    };
    if map.is_empty() || map.contains_key("states") || !map.values().all(has_old_shape) {
        return Ok(state.map(Cow::Borrowed));
    }
    let states = map.iter().map(|(parent, of)| {
        let partition = Map::from_iter([(key.clone(), parent.as_str().into())]);
        Map::from_iter([
            ("partition".to_owned(), partition.into()),
            ("cursor".to_owned(), of.clone()),
        ])
        .into()
    });
    let states = Value::Array(states.collect());
    let migrated = Map::from_iter([("states".to_owned(), states)]);
    Ok(Some(Cow::Owned(migrated.into())))
}
