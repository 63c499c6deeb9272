//! YAML with the position of every value, typed as YAML 1.1 (the manifests' reference reads 1.1).

use super::{Node, Problem};

/// Parses one YAML document.
pub fn parse_yaml(file: &str, text: &str) -> Result<Node, Problem> {
    let _ = (file, text);
    todo!()
}
