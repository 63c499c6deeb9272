//! Partition routers: one slice of a stream per value of a list or per record of a parent stream.
//!
//! Nothing here reads parents: whoever does hands their records to
//! [`ParentKeys::partition`]. Several routers of one stream make a [`product()`].

mod grouping;
mod list;
mod product;
mod substream;
#[cfg(test)]
mod tests;

pub use grouping::{Grouping, Groups};
pub use list::ListPartitionRouter;
pub use product::{Product, product};
pub(in crate::source::manifest) use substream::PARENT_SLICE;
pub use substream::{ParentKeys, ParentStreamConfig, SubstreamPartitionRouter};

use super::fields;
use super::slice::StreamSlice;
use super::template::EvalError;
use crate::document::{Kind, Node, Problem};
use crate::json::Map;

/// One router.
#[derive(Debug, Clone)]
pub enum PartitionRouter {
    /// A partition per value of a list.
    List(ListPartitionRouter),
    /// A partition per record of each parent stream.
    Substream(SubstreamPartitionRouter),
}

/// One part of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Partition {
    /// What identifies it.
    pub keys: Map,
    /// Fields of its parent record that requests may use.
    pub extra_fields: Map,
    /// Tells one version of the parent record from others, where the parent is read incrementally.
    pub mark: Option<u64>,
}

/// Why a router gives no partitions. None of these is a reason to retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// A template of the router has no value.
    #[error("cannot evaluate {field} of the partition router: {cause}")]
    Template {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        cause: EvalError,
    },
    /// `values` is none that can be listed.
    #[error("values of the partition router is no list but {shown}")]
    NoList {
        /// What it is.
        shown: String,
    },
    /// A pattern matches several places of a parent record.
    #[error("{field} of the partition router matches several values of a record")]
    Ambiguous {
        /// The field.
        field: &'static str,
    },
    /// A partition that is to be grouped has not just one key.
    #[error("the partitions of a GroupingPartitionRouter must have one key")]
    NotOneKey,
    /// Combining the routers gives too many.
    #[error("the partition routers combine to more than {limit} partitions")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

const KNOWN: [&str; 2] = ["ListPartitionRouter", "SubstreamPartitionRouter"];

impl PartitionRouter {
    /// From a retriever's `partition_router`, which may be a list of them.
    pub fn build_all(node: &Node) -> Result<Vec<Self>, Problem> {
        match &node.kind {
            Kind::List(items) => items.iter().map(Self::build).collect(),
            _ => Ok(vec![Self::build(node)?]),
        }
    }

    fn build(node: &Node) -> Result<Self, Problem> {
        Ok(match fields::required_type(node, "partition router")? {
            "ListPartitionRouter" => Self::List(ListPartitionRouter::build(node)?),
            "SubstreamPartitionRouter" => Self::Substream(SubstreamPartitionRouter::build(node)?),
            _ => return Err(fields::unknown_type(node, "partition router", &KNOWN)),
        })
    }
}

impl Partition {
    /// The partition as a slice, with the keys of one of its windows.
    pub fn slice(&self, cursor: Map) -> StreamSlice {
        StreamSlice {
            partition: self.keys.clone(),
            cursor,
            extra_fields: self.extra_fields.clone(),
        }
    }
}

/// The partition that `key` alone identifies; what else its router says of it goes to the extra
/// fields. `None` if it lacks the key.
pub(super) fn only_by(key: &str, mut partition: Partition) -> Option<Partition> {
    let value = partition.keys.shift_remove(key)?;
    let mut extra_fields = partition.extra_fields;
    extra_fields.extend(std::mem::take(&mut partition.keys));
    Some(Partition {
        keys: Map::from_iter([(key.to_owned(), value)]),
        extra_fields,
        mark: None,
    })
}
