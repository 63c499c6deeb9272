//! What a value costs each time an alias repeats it.

use crate::document::{Kind, Node};

/// Values, bytes of text, and levels of lists and maps.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes: usize,
    pub(super) text: usize,
    pub(super) depth: usize,
}

pub(super) fn measure(node: &Node) -> Size {
    let children: Vec<Size> = match &node.kind {
        Kind::List(items) => items.iter().map(measure).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| {
                let mut size = measure(&entry.value);
                size.text += entry.key.len();
                size
            })
            .collect(),
        Kind::String(text) => {
            return Size {
                nodes: 1,
                text: text.len(),
                depth: 0,
            };
        }
        _ => Vec::new(),
    };
    let nested = usize::from(matches!(node.kind, Kind::List(_) | Kind::Map(_)));
    Size {
        nodes: 1 + children.iter().map(|size| size.nodes).sum::<usize>(),
        text: children.iter().map(|size| size.text).sum(),
        depth: nested + children.iter().map(|size| size.depth).max().unwrap_or(0),
    }
}
