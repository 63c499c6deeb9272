//! Paths with globs into JSON, as the reference's `dpath` library walks them.
//!
//! A part of a path is a key, a list index, or a pattern: `*`, `?` and `[…]` within one key, `**`
//! for any number of levels.

use std::fmt;

use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

use super::fields::{self, problem};

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A key, or a pattern for keys; digits also select a list element.
    Key(String),
    /// A list element; negative ones count from the end. Never a key.
    Index(i64),
}

/// A path of [`Segment`]s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

/// One level of the place where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index { at: usize, of: usize },
}

/// Several `**` in one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path may hold only one **")]
pub struct TwoDoubleStars;

const ANY_DEPTH: &str = "**";

impl Path {
    /// A path of these parts.
    pub fn new(segments: Vec<Segment>) -> Result<Self, TwoDoubleStars> {
        let stars = segments.iter().filter(|part| part.is(ANY_DEPTH)).count();
        if stars > 1 {
            return Err(TwoDoubleStars);
        }
        Ok(Self(segments))
    }

    /// The path that the list of texts and numbers `node` is; `key` names its field in problems.
    pub fn build(key: &str, node: &Node) -> Result<Self, Problem> {
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let segments = items
            .iter()
            .map(|item| match &item.kind {
                // The format's paths are texts: digits select either a key or an element.
                Kind::Int(index) => Ok(Segment::Key(index.to_string())),
                Kind::String(text) => Ok(Segment::Key(text.clone())),
                _ => Err(problem(
                    item.at,
                    format!("{key} holds {}", fields::kind_name(item)),
                    "write a path as a list of texts and numbers",
                )),
            })
            .collect::<Result<_, _>>()?;
        Self::new(segments).map_err(|error| {
            problem(
                node.at,
                format!("{key}: {error}"),
                "use two paths, or * for single levels",
            )
        })
    }

    /// Its parts.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether one of its parts is exactly `*`.
    pub(super) fn has_star(&self) -> bool {
        self.0.iter().any(|part| part.is("*"))
    }

    /// The keys of a path without patterns and numbers.
    pub(super) fn plain(&self) -> Option<Vec<&str>> {
        self.0
            .iter()
            .map(|part| match part {
                Segment::Key(key) if !is_pattern(key) => Some(&**key),
                _ => None,
            })
            .collect()
    }

    /// All values in `root` whose place matches, in the order of the walk. The root itself never
    /// does.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        let mut found = Vec::new();
        self.visit(root, &mut |_, value| found.push(value));
        found
    }

    /// The places that match, in the order of the walk.
    pub(super) fn places(&self, root: &Value) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        self.visit(root, &mut |place, _| found.push(place.to_vec()));
        found
    }

    fn visit<'v>(&self, root: &'v Value, visit: &mut impl FnMut(&[Step], &'v Value)) {
        if self.0.iter().any(|part| part.is(ANY_DEPTH)) {
            walk(root, &mut Vec::new(), &mut |place, value| {
                if self.matches(place) {
                    visit(place, value);
                }
            });
        } else if !self.0.is_empty() {
            // Nothing outside the path is looked at: the usual path is a few plain keys.
            descend(root, &self.0, &mut Vec::new(), visit);
        }
    }

    /// Whether a value that stands at `place` is meant.
    fn matches(&self, place: &[Step]) -> bool {
        let Some(star) = self.0.iter().position(|part| part.is(ANY_DEPTH)) else {
            return all_match(place, &self.0);
        };
        let (before, after) = (&self.0[..star], &self.0[star + 1..]);
        let Some(rest) = place.len().checked_sub(after.len()) else {
            return false;
        };
        rest >= before.len()
            && all_match(&place[..before.len()], before)
            && all_match(&place[rest..], after)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl Segment {
    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Key(key) if key == text)
    }

    fn matches(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Key(pattern), Step::Key(key)) => glob(pattern, key),
            // A number never stands for a key.
            (Self::Index(_), Step::Key(_)) => false,
            (Self::Index(index), Step::Index { at, of }) => is_index(*index, *at, *of),
            (Self::Key(pattern), Step::Index { at, of }) => match pattern.trim().parse() {
                Ok(index) => is_index(index, *at, *of),
                Err(_) => glob(pattern, &at.to_string()),
            },
        }
    }
}

fn is_index(index: i64, at: usize, of: usize) -> bool {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    let of = i64::try_from(of).unwrap_or(i64::MAX);
    index == at || index.saturating_add(of) == at
}

fn all_match(place: &[Step], pattern: &[Segment]) -> bool {
    place.len() == pattern.len()
        && pattern
            .iter()
            .zip(place)
            .all(|(part, step)| part.matches(step))
}

fn descend<'v>(
    value: &'v Value,
    pattern: &[Segment],
    place: &mut Vec<Step>,
    visit: &mut impl FnMut(&[Step], &'v Value),
) {
    let Some((part, rest)) = pattern.split_first() else {
        visit(place, value);
        return;
    };
    let mut enter = |step, child| {
        place.push(step);
        descend(child, rest, place, visit);
        place.pop();
    };
    match (value, part) {
        (Value::Object(map), Segment::Key(key)) if !is_pattern(key) => {
            if let Some(child) = map.get(key) {
                enter(Step::Key(key.clone()), child);
            }
        }
        _ => {
            for (step, child) in children(value) {
                if part.matches(&step) {
                    enter(step, child);
                }
            }
        }
    }
}

fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '['])
}

/// Every value below `value` with its place: all children first, then what is below each.
pub(super) fn walk<'v>(
    value: &'v Value,
    place: &mut Vec<Step>,
    visit: &mut impl FnMut(&[Step], &'v Value),
) {
    for (step, child) in children(value) {
        place.push(step);
        visit(place, child);
        place.pop();
    }
    for (step, child) in children(value) {
        place.push(step);
        walk(child, place, visit);
        place.pop();
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = (Step, &Value)> + '_> {
    match value {
        Value::Object(map) => Box::new(
            map.iter()
                .map(|(key, child)| (Step::Key(key.clone()), child)),
        ),
        Value::Array(items) => {
            let of = items.len();
            Box::new(
                items
                    .iter()
                    .enumerate()
                    .map(move |(at, child)| (Step::Index { at, of }, child)),
            )
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Removes what stands at `place`, if it still does.
///
/// An element in the middle of a list becomes null, so that the others keep their places.
pub(super) fn remove(record: &mut Map, place: &[Step]) -> bool {
    let Some((last, parents)) = place.split_last() else {
        return false;
    };
    let Some((first, parents)) = parents.split_first() else {
        return matches!(last, Step::Key(key) if record.shift_remove(key).is_some());
    };
    let Step::Key(first) = first else {
        return false;
    };
    let parent = parents
        .iter()
        .try_fold(record.get_mut(first), |at, step| Some(child_mut(at?, step)))
        .flatten();
    match (parent, last) {
        (Some(Value::Object(map)), Step::Key(key)) => map.shift_remove(key).is_some(),
        (Some(Value::Array(items)), Step::Index { at, .. }) if *at < items.len() => {
            if *at + 1 == items.len() {
                items.pop();
            } else {
                items[*at] = Value::Null;
            }
            true
        }
        _ => false,
    }
}

fn child_mut<'v>(value: &'v mut Value, step: &Step) -> Option<&'v mut Value> {
    match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get_mut(key),
        (Value::Array(items), Step::Index { at, .. }) => items.get_mut(*at),
        _ => None,
    }
}

/// Python's `fnmatchcase`: `*`, `?`, `[abc]`, `[!a-z]`.
fn glob(pattern: &str, text: &str) -> bool {
    if !is_pattern(pattern) {
        return pattern == text;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last star does not fit: one more character for it.
    let mut retry: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, seen + 1));
            at += 1;
            continue;
        }
        if let Some(length) = one(&pattern[at..], text[seen]) {
            at += length;
            seen += 1;
        } else if let Some((after_star, next)) = retry {
            retry = Some((after_star, next + 1));
            (at, seen) = (after_star, next);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

/// How many characters of `pattern` match the one `char`.
fn one(pattern: &[char], char: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((length, negated, members)) => {
                (contains(members, char) != negated).then_some(length)
            }
            None => (char == '[').then_some(1),
        },
        literal => (*literal == char).then_some(1),
    }
}

/// A bracket expression: its length, whether it is negated, and its members. A bracket that is
/// never closed stands for itself.
fn set(pattern: &[char]) -> Option<(usize, bool, &[char])> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A bracket that closes at once is a member.
    let search = start + usize::from(pattern.get(start) == Some(&']'));
    let end = search
        + pattern
            .get(search..)?
            .iter()
            .position(|char| *char == ']')?;
    Some((end + 1, negated, &pattern[start..end]))
}

fn contains(members: &[char], char: char) -> bool {
    match members {
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&char) || contains(rest, char),
        [member, rest @ ..] => *member == char || contains(rest, char),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        let cases = [
            ("a", "a", true),
            ("a", "b", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b", "aXbX", false),
            ("?", "é", true),
            ("?", "", false),
            ("[ab]c", "bc", true),
            ("[!ab]c", "bc", false),
            ("[a-c]", "b", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[!", "[!", true),
            ("deep/key", "deep/key", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
        let stars = "*a".repeat(50);
        assert!(!glob(&stars, &"a".repeat(49)));
    }

    #[test]
    fn two_double_stars_are_refused() {
        let star = || Segment::Key("**".to_owned());
        assert_eq!(Path::new(vec![star(), star()]), Err(TwoDoubleStars));
    }
}
