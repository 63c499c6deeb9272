//! Components laid over others: what is said replaces, what is not said stays.

use crate::document::{Entry, Kind, Node};

/// Fields of a requester of which each replaces the others: there is one body.
const BODIES: [&str; 2] = ["request_body_json", "request_body_data"];

/// `stream` with the members of `over` in its retriever; those of the requester one by one.
pub(super) fn over_retriever(stream: &Node, over: &Node) -> Node {
    let mut retriever = member(stream, "retriever");
    for Entry { key, key_at, value } in over.entries() {
        match key.as_str() {
            "type" => {}
            "requester" => {
                let requester = over_requester(&member(&retriever, "requester"), value);
                set(
                    &mut retriever,
                    Entry {
                        key: key.clone(),
                        key_at: *key_at,
                        value: requester,
                    },
                );
            }
            _ => set(
                &mut retriever,
                Entry {
                    key: key.clone(),
                    key_at: *key_at,
                    value: value.clone(),
                },
            ),
        }
    }
    with(stream, "retriever", retriever)
}

/// `requester` with the members of `over`.
pub(super) fn over_requester(requester: &Node, over: &Node) -> Node {
    let mut merged = requester.clone();
    if let Kind::Map(entries) = &mut merged.kind
        && over.entries().iter().any(|entry| is_body(&entry.key))
    {
        entries.retain(|entry| !is_body(&entry.key));
    }
    for entry in over.entries().iter().filter(|entry| entry.key != "type") {
        set(&mut merged, entry.clone());
    }
    merged
}

/// The requester of a stream.
pub(super) fn requester_of(stream: &Node) -> Node {
    member(&member(stream, "retriever"), "requester")
}

/// `node` with another value of `key`.
pub(super) fn with(node: &Node, key: &str, value: Node) -> Node {
    let mut node = node.clone();
    let entry = Entry {
        key: key.to_owned(),
        key_at: value.at,
        value,
    };
    set(&mut node, entry);
    node
}

fn is_body(key: &str) -> bool {
    BODIES.contains(&key)
}

fn member(node: &Node, key: &str) -> Node {
    node.get(key).cloned().unwrap_or(Node {
        kind: Kind::Map(Vec::new()),
        at: node.at,
    })
}

fn set(node: &mut Node, entry: Entry) {
    if let Kind::Map(entries) = &mut node.kind {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
}
