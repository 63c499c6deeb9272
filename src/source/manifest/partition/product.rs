//! The partitions of several routers together: every combination.

use super::{Partition, PartitionError};

/// Combinations of one stream. More is a mistake in the manifest.
const MAX_COMBINATIONS: usize = 1_000_000;

/// Every combination of one partition of each router, the last router's varying fastest.
///
/// Where two routers use the same key, the first one's value counts.
pub fn product(routers: Vec<Vec<Partition>>) -> Result<Product, PartitionError> {
    let count = routers
        .iter()
        .try_fold(1_usize, |count, router| count.checked_mul(router.len()))
        .filter(|count| *count <= MAX_COMBINATIONS)
        .ok_or(PartitionError::TooMany {
            limit: MAX_COMBINATIONS,
        })?;
    Ok(Product {
        routers,
        count,
        next: 0,
    })
}

/// See [`product`].
#[derive(Debug)]
pub struct Product {
    routers: Vec<Vec<Partition>>,
    count: usize,
    next: usize,
}

impl Iterator for Product {
    type Item = Partition;

    fn next(&mut self) -> Option<Partition> {
        if self.next >= self.count {
            return None;
        }
        let mut rest = self.next;
        self.next += 1;
        let mut combined = Partition::default();
        // From the last router to the first: a later insertion replaces, so the first wins.
        for router in self.routers.iter().rev() {
            let chosen = &router[rest % router.len()];
            rest /= router.len();
            combined.keys.extend(chosen.keys.clone());
            combined.extra_fields.extend(chosen.extra_fields.clone());
        }
        // Of combinations several have the same parent.
        if let [only] = self.routers.as_slice() {
            combined.mark = only[self.next - 1].mark;
        }
        Some(combined)
    }
}
