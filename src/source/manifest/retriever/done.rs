//! Parents below which everything was read, remembered while others are still to be read: a first
//! read that costs a request for each of ten thousand parents ends within several polls, where the
//! provider allows fewer requests at once.

use std::collections::HashSet;

/// Parents that are remembered: more would be a commit of their own.
const MAX_DONE: usize = 15_000;

/// As the state holds it.
pub(super) fn text(done: &HashSet<u64>) -> String {
    let marks: Vec<String> = done
        .iter()
        .take(MAX_DONE)
        .map(|mark| format!("{mark:x}"))
        .collect();
    marks.join(" ")
}

/// What [`text`] made; what cannot be read is read again.
pub(super) fn parse(text: &str) -> HashSet<u64> {
    text.split(' ')
        .filter_map(|mark| u64::from_str_radix(mark, 16).ok())
        .collect()
}
