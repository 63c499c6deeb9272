//! `$ref` and `#/…`: a reference becomes what it points at.

use super::{Budget, check_depth, into_map, into_members};
use crate::document::{Entry, Kind, Node, Problem, did_you_mean};
use crate::source::manifest::fields::problem;

/// The key whose target is merged into the map it stands in.
const REF: &str = "$ref";
/// Its value is connector configuration: a text that looks like a reference is none.
const VERBATIM: &str = "config_overrides";

/// Replaces every reference of `document`.
///
/// A text `#/a/b` anywhere becomes the value at that path. A map with `$ref` becomes the target's
/// members overridden by its own; if the target is no map, the target itself.
pub(in crate::source::manifest) fn replace(document: &Node) -> Result<Node, Problem> {
    Replacing::of(document).node(document, 0)
}

/// As [`replace`], going on where a reference leads nowhere: it becomes null. The problems, in the
/// order of the document, and whether the document came out of it.
pub(in crate::source::manifest) fn replace_all(document: &Node) -> (Option<Node>, Vec<Problem>) {
    let mut replacing = Replacing {
        forgiven: Some(Vec::new()),
        ..Replacing::of(document)
    };
    let result = replacing.node(document, 0);
    let mut problems = replacing.forgiven.unwrap_or_default();
    match result {
        Ok(document) => (Some(document), problems),
        Err(problem) => {
            problems.push(problem);
            (None, problems)
        }
    }
}

struct Replacing<'d> {
    document: &'d Node,
    /// References being followed, outermost first.
    active: Vec<&'d str>,
    budget: Budget,
    /// Problems that do not end it; `None` where the first one does.
    forgiven: Option<Vec<Problem>>,
}

impl<'d> Replacing<'d> {
    fn of(document: &'d Node) -> Self {
        Self {
            document,
            active: Vec::new(),
            budget: Budget::default(),
            forgiven: None,
        }
    }

    fn node(&mut self, node: &'d Node, depth: usize) -> Result<Node, Problem> {
        check_depth(depth, node.at)?;
        self.budget.charge(1, node.at)?;
        let kind = match &node.kind {
            Kind::Map(entries) => return self.map(node, entries, depth),
            Kind::List(items) => Kind::List(
                items
                    .iter()
                    .map(|item| self.node(item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Kind::String(text) if text.starts_with("#/") => return self.follow(node, text, depth),
            scalar => scalar.clone(),
        };
        Ok(Node { kind, at: node.at })
    }

    fn map(&mut self, node: &'d Node, entries: &'d [Entry], depth: usize) -> Result<Node, Problem> {
        let mut own = Vec::with_capacity(entries.len());
        let mut target = None;
        for entry in entries {
            if entry.key == REF {
                target = Some(&entry.value);
                continue;
            }
            let value = if entry.key == VERBATIM {
                self.budget
                    .charge(super::count(&entry.value), entry.key_at)?;
                entry.value.clone()
            } else {
                self.node(&entry.value, depth + 1)?
            };
            own.push(Entry {
                key: entry.key.clone(),
                key_at: entry.key_at,
                value,
            });
        }
        let Some(target) = target else {
            return Ok(Node {
                kind: Kind::Map(own),
                at: node.at,
            });
        };
        let target = self.node(target, depth + 1)?;
        Ok(match target.kind {
            Kind::Map(entries) => {
                let mut members = into_members(entries);
                members.extend(into_members(own));
                Node {
                    kind: into_map(members),
                    at: node.at,
                }
            }
            _ => target,
        })
    }

    fn follow(
        &mut self,
        node: &'d Node,
        reference: &'d str,
        depth: usize,
    ) -> Result<Node, Problem> {
        if self.active.contains(&reference) {
            let chain = [&self.active[..], &[reference]].concat().join(" → ");
            return self.nowhere(problem(
                node.at,
                format!("the reference leads back to itself: {chain}"),
                "point one of them at a value that does not use the others",
            ));
        }
        let target = match self.look_up(node, reference) {
            Ok(target) => target,
            Err(problem) => return self.nowhere(problem),
        };
        self.active.push(reference);
        let value = self.node(target, depth + 1);
        self.active.pop();
        value
    }

    fn nowhere(&mut self, problem: Problem) -> Result<Node, Problem> {
        let Some(forgiven) = &mut self.forgiven else {
            return Err(problem);
        };
        let at = problem.at.unwrap_or_default();
        // What is referred to from many places is wrong once.
        if !forgiven.contains(&problem) {
            forgiven.push(problem);
        }
        Ok(Node {
            kind: Kind::Null,
            at,
        })
    }

    /// The value at `#/{path}`. A key may hold slashes: at each level the whole rest of the path
    /// is tried as a key before its first part.
    fn look_up(&self, node: &Node, reference: &str) -> Result<&'d Node, Problem> {
        let mut at = self.document;
        let mut rest = &reference["#/".len()..];
        while !rest.is_empty() {
            if let Some(found) = at.get(rest) {
                return Ok(found);
            }
            let (head, tail) = rest.split_once('/').unwrap_or((rest, ""));
            let found = match &at.kind {
                Kind::List(items) => element(items, head),
                // A part that is a number never is a key on the way, only an index.
                Kind::Map(_) if head.parse::<i64>().is_err() => at.get(head),
                _ => None,
            };
            let Some(found) = found else {
                let known = &reference[..reference.len() - rest.len()];
                return Err(undefined(node, reference, known, head, at));
            };
            (at, rest) = (found, tail);
        }
        Ok(at)
    }
}

/// The element at an index; negative ones count from the end.
fn element<'n>(items: &'n [Node], index: &str) -> Option<&'n Node> {
    let index: i64 = index.parse().ok()?;
    let length = i64::try_from(items.len()).ok()?;
    let index = if index < 0 { index + length } else { index };
    items.get(usize::try_from(index).ok()?)
}

fn undefined(node: &Node, reference: &str, known: &str, head: &str, at: &Node) -> Problem {
    let keys = || at.entries().iter().map(|entry| entry.key.as_str());
    let fix = if let Some(near) = did_you_mean(head, keys()) {
        format!("did you mean {known}{near}?")
    } else if let Kind::Map(entries) = &at.kind {
        let shown: Vec<&str> = keys().take(10).collect();
        let more = if entries.len() > shown.len() {
            ", …"
        } else {
            ""
        };
        format!("{known} has {}{more}", shown.join(", "))
    } else if let Kind::List(items) = &at.kind {
        format!("{known} is a list of {}", items.len())
    } else {
        format!("{known} is neither a map nor a list")
    };
    problem(node.at, format!("nothing stands at {reference}"), fix)
}
