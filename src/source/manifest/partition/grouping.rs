//! `GroupingPartitionRouter`: several partitions become one, whose values are lists.

use std::collections::HashSet;

use super::super::fields::{flag_or, problem, required};
use super::{PARENT_SLICE, Partition, PartitionError};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// How partitions are put together.
#[derive(Debug, Clone, Copy)]
pub struct Grouping {
    size: usize,
    /// Whether each value counts once.
    deduplicates: bool,
}

/// The groups of one read.
#[derive(Debug)]
pub struct Groups {
    grouping: Grouping,
    batch: Vec<Partition>,
    seen: HashSet<String>,
}

impl Grouping {
    /// From a component of type `GroupingPartitionRouter`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        let size = required(node, "group_size")?;
        let number = match &size.kind {
            Kind::Int(number) => usize::try_from(*number).ok(),
            Kind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| *number > 0).ok_or_else(|| {
            problem(
                size.at,
                "group_size is no number greater than 0",
                "say how many partitions make a group",
            )
        })?;
        Ok(Self {
            size: number,
            deduplicates: flag_or(node, "deduplicate", true)?,
        })
    }

    /// Begins to put partitions together.
    pub fn groups(self) -> Groups {
        Groups {
            grouping: self,
            batch: Vec::new(),
            seen: HashSet::new(),
        }
    }
}

impl Groups {
    /// Takes one more partition; gives the group that it completes.
    pub fn push(&mut self, partition: Partition) -> Result<Option<Partition>, PartitionError> {
        let mut values = partition
            .keys
            .iter()
            .filter(|(key, _)| *key != PARENT_SLICE);
        let (Some((_, value)), None) = (values.next(), values.next()) else {
            return Err(PartitionError::NotOneKey);
        };
        if self.grouping.deduplicates && !self.seen.insert(value.to_string()) {
            return Ok(None);
        }
        self.batch.push(partition);
        Ok(if self.batch.len() == self.grouping.size {
            self.finish()
        } else {
            None
        })
    }

    /// What is left after the last partition.
    pub fn finish(&mut self) -> Option<Partition> {
        let batch = std::mem::take(&mut self.batch);
        let first = batch.first()?;
        let gathered = |keys: Vec<&String>, of: fn(&Partition) -> &Map| -> Map {
            let gather = |key: &String| {
                let values = batch.iter();
                let values = values.map(|one| of(one).get(key).cloned().unwrap_or_default());
                Value::Array(values.collect())
            };
            keys.into_iter()
                .map(|key| (key.clone(), gather(key)))
                .collect()
        };
        let mut extra: Vec<&String> = Vec::new();
        for key in batch.iter().flat_map(|one| one.extra_fields.keys()) {
            if !extra.contains(&key) {
                extra.push(key);
            }
        }
        Some(Partition {
            keys: gathered(first.keys.keys().collect(), |one| &one.keys),
            extra_fields: gathered(extra, |one| &one.extra_fields),
            mark: None,
        })
    }
}
