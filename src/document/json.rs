//! Strict JSON with the position of every value.

use super::{Node, Problem};

/// Parses one JSON document. The error names the place of the first syntax problem.
pub fn parse_json(file: &str, text: &str) -> Result<Node, Problem> {
    let _ = (file, text);
    todo!()
}
