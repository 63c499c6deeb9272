//! A slice: the part of a stream that one sequence of pages reads.

use super::template::SliceView;
use crate::json::Map;

/// What a slice is about: a partition, a window of time, or both; empty where a stream has
/// neither.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamSlice {
    /// Keys of the partition routers, `parent_slice` among them.
    pub partition: Map,
    /// Keys of the cursor, by default `start_time` and `end_time`.
    pub cursor: Map,
    /// Fields of the parent record that the router was asked to keep.
    pub extra_fields: Map,
}

impl StreamSlice {
    /// As templates see it.
    pub fn view(&self) -> SliceView<'_> {
        SliceView {
            partition: &self.partition,
            cursor: &self.cursor,
            extra_fields: &self.extra_fields,
        }
    }
}
