//! Progress of every partition of a stream, and a common one for those without their own.

use std::collections::HashSet;

use indexmap::IndexMap;
use xxhash_rust::xxh3::xxh3_128;

use super::super::datetime::{DateTime, Span};
use super::open::{OpenCursor, later};
use super::{CursorError, MAX_PARTITIONS, Observed, Progress, Window, Windows};
use crate::json::{Map, Value};

/// With more partitions than this the state keeps one date for all of them.
pub(super) const SWITCH_TO_GLOBAL: usize = 10_000;

/// The cursors of a partitioned stream.
///
/// A partition without progress of its own starts where the whole stream had come to, less the
/// time that the last read took: a record may have changed in a partition that was already read.
#[derive(Debug, Clone)]
pub struct PartitionedCursor {
    cursor: OpenCursor,
    is_global: bool,
    /// Where the last complete read had come to.
    global: Option<DateTime>,
    /// Where this read has come to; counts once it is complete.
    next_global: Option<DateTime>,
    lookback_seconds: i64,
    partitions: IndexMap<String, Progress>,
    /// Partitions that have had a cursor of their own.
    known: usize,
    /// Hashes of the partitions of this read.
    seen: HashSet<u128>,
    has_records: bool,
    parent_state: Option<Value>,
}

impl PartitionedCursor {
    /// From stored state: that of a partitioned stream, or a plain one, which then applies to all
    /// partitions.
    pub fn open(cursor: OpenCursor, state: Option<&Value>) -> Result<Self, CursorError> {
        let mut opened = Self {
            is_global: cursor.parts.is_global,
            cursor,
            global: None,
            next_global: None,
            lookback_seconds: 0,
            partitions: IndexMap::new(),
            known: 0,
            seen: HashSet::new(),
            has_records: false,
            parent_state: None,
        };
        match state {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.is_empty() => {}
            Some(state @ Value::Object(_)) => opened.load(state)?,
            Some(_) => {
                return Err(CursorError::State {
                    what: "it is no object".to_owned(),
                });
            }
        }
        Ok(opened)
    }

    fn load(&mut self, state: &Value) -> Result<(), CursorError> {
        self.parent_state = state
            .get("parent_state")
            .filter(|parent| super::super::extract::is_true(parent))
            .cloned();
        let states = state.get("states").and_then(Value::as_array);
        if states.is_none() && state.get("state").is_none() {
            return self.load_global(state);
        }
        self.is_global = state.get("use_global_cursor") == Some(&Value::Bool(true));
        self.lookback_seconds = match state.get("lookback_window") {
            Some(Value::Int(seconds)) => *seconds,
            _ => 0,
        };
        for entry in states.unwrap_or_default() {
            let partition = entry.get("partition").and_then(Value::as_object);
            let (Some(partition), Some(of)) = (partition, entry.get("cursor")) else {
                return Err(CursorError::State {
                    what: "an entry of states lacks partition or cursor".to_owned(),
                });
            };
            let progress = self.cursor.progress(Some(of))?;
            self.partitions.insert(key_of(partition), progress);
            self.known += 1;
        }
        state.get("state").map_or(Ok(()), |of| self.load_global(of))
    }

    fn load_global(&mut self, state: &Value) -> Result<(), CursorError> {
        let field = self.cursor.cursor_field();
        if state.get(field).is_some() {
            let date = Progress::date_of(&self.cursor, state)?;
            let date = Some(date).filter(|date| self.cursor.trusts(*date));
            self.global = date;
            self.next_global = date;
        }
        Ok(())
    }

    /// The cursor that all partitions share.
    pub fn cursor(&self) -> &OpenCursor {
        &self.cursor
    }

    /// The windows of a partition; `None` if this read has had the partition before.
    pub fn windows(&mut self, partition: &Map) -> Result<Option<Windows>, CursorError> {
        let key = key_of(partition);
        if !self.seen.insert(xxh3_128(key.as_bytes())) {
            return Ok(None);
        }
        if self.seen.len() > MAX_PARTITIONS {
            return Err(CursorError::TooManyPartitions);
        }
        self.is_global |= self.known > SWITCH_TO_GLOBAL;
        if let Some(progress) = self.partitions.get(&key) {
            return Ok(Some(self.cursor.windows(progress)));
        }
        self.known += 1;
        let progress = self.fresh()?;
        let windows = self.cursor.windows(&progress);
        if !self.is_global {
            self.partitions.insert(key, progress);
        }
        Ok(Some(windows))
    }

    /// The cursor of a partition, and how far the partition has been read.
    pub fn progress(&self, partition: &Map) -> Result<(OpenCursor, Progress), CursorError> {
        let progress = match self.partitions.get(&key_of(partition)) {
            Some(progress) if !self.is_global => progress.clone(),
            _ => self.fresh()?,
        };
        Ok((self.cursor.clone(), progress))
    }

    /// A window of `partition` has been read to its end.
    pub fn close(&mut self, partition: &Map, window: &Window, observed: Observed) {
        if let Some(latest) = observed.latest() {
            self.has_records = true;
            self.advance(self.cursor.held_back(latest));
        }
        if self.is_global {
            return;
        }
        if let Some(progress) = self.partitions.get_mut(&key_of(partition)) {
            progress.close(&self.cursor, window, observed);
            let until = progress.complete_until();
            self.advance(until);
        }
    }

    /// Every partition has been read to its end; the read took so many seconds, rounded up.
    ///
    /// Only now does the date move that new partitions start from: a partition that failed has
    /// to be read from where it was.
    pub fn finish(&mut self, seconds: i64) {
        if self.has_records {
            self.global = self.next_global;
            self.lookback_seconds = seconds;
        }
    }

    /// The state to store, as Airbyte writes it. `parent_state` is that of the parent streams
    /// that are read incrementally; `None` where the router has no parents.
    pub fn state(&self, parent_state: Option<Value>) -> Result<Value, CursorError> {
        let mut state = Map::new();
        state.insert("use_global_cursor".to_owned(), Value::Bool(self.is_global));
        if !self.is_global {
            let states = self
                .partitions
                .iter()
                .map(|(key, progress)| {
                    let partition = crate::json::parse(key.as_bytes()).unwrap_or_default();
                    let entry = [
                        ("partition".to_owned(), partition),
                        ("cursor".to_owned(), progress.state(&self.cursor)?),
                    ];
                    Ok(Value::Object(Map::from_iter(entry)))
                })
                .collect::<Result<_, CursorError>>()?;
            state.insert("states".to_owned(), Value::Array(states));
        }
        if let Some(global) = self.global {
            let text = self.cursor.spell(global)?;
            let field = self.cursor.cursor_field().to_owned();
            state.insert("state".to_owned(), Map::from_iter([(field, text)]).into());
        }
        let lookback = Value::Int(self.lookback_seconds);
        state.insert("lookback_window".to_owned(), lookback);
        if let Some(parents) = parent_state.or_else(|| self.parent_state.clone()) {
            state.insert("parent_state".to_owned(), parents);
        }
        Ok(Value::Object(state))
    }

    /// The progress of a partition that has none of its own.
    fn fresh(&self) -> Result<Progress, CursorError> {
        let Some(global) = self.global else {
            return self.cursor.progress(None);
        };
        let lookback = Span {
            micros: self.lookback_seconds.saturating_mul(1_000_000),
            ..Span::default()
        };
        let from = global.minus(lookback).unwrap_or(global);
        Ok(Progress::starting_at(
            &self.cursor,
            self.cursor.rounded(from)?,
        ))
    }

    fn advance(&mut self, to: DateTime) {
        self.next_global = Some(self.next_global.map_or(to, |at| later(at, to)));
    }
}

/// A partition as text that does not depend on the order of its keys.
fn key_of(partition: &Map) -> String {
    sorted(&Value::Object(partition.clone())).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: Map = map
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            map.sort_keys();
            Value::Object(map)
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}
