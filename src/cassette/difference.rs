//! What differs between two JSON documents, line by line.

use serde_json::Value;

/// Lines of agreement shown around a difference.
const AROUND: usize = 3;
/// Lines compared with each other; more are shown as they are.
const MAX_LINES: usize = 4000;

/// The differing lines with `-` (expected) and `+` (what came), and what stands around them;
/// `None` where nothing differs.
pub(super) fn difference(expected: &Value, ours: &Value) -> Option<String> {
    if expected == ours {
        return None;
    }
    let (expected, ours) = (format!("{expected:#}"), format!("{ours:#}"));
    let old: Vec<&str> = expected.lines().take(MAX_LINES).collect();
    let new: Vec<&str> = ours.lines().take(MAX_LINES).collect();
    let lines = aligned(&old, &new);
    let differs = |index: usize| lines.get(index).is_some_and(|(sign, _)| *sign != ' ');
    let mut shown = Vec::new();
    let mut skipped = false;
    for (index, (sign, line)) in lines.iter().enumerate() {
        let near = (index.saturating_sub(AROUND)..=index + AROUND).any(differs);
        if !near {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            shown.push("  …".to_owned());
        }
        shown.push(format!("{sign} {line}"));
    }
    Some(shown.join("\n"))
}

/// Both texts as one, by their longest common subsequence.
fn aligned<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    // What is the same at both ends need not be compared.
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let old_rest = &old_rest[..old_rest.len() - end];
    let new_rest = &new_rest[..new_rest.len() - end];
    let mut lengths = vec![vec![0_u32; new_rest.len() + 1]; old_rest.len() + 1];
    for (i, a) in old_rest.iter().enumerate().rev() {
        for (j, b) in new_rest.iter().enumerate().rev() {
            lengths[i][j] = if a == b {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    let mut lines: Vec<(char, &str)> = old[..start].iter().map(|line| (' ', *line)).collect();
    let (mut i, mut j) = (0, 0);
    while i < old_rest.len() || j < new_rest.len() {
        if i < old_rest.len() && j < new_rest.len() && old_rest[i] == new_rest[j] {
            lines.push((' ', old_rest[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new_rest.len()
            || (i < old_rest.len() && lengths[i + 1][j] >= lengths[i][j + 1])
        {
            lines.push(('-', old_rest[i]));
            i += 1;
        } else {
            lines.push(('+', new_rest[j]));
            j += 1;
        }
    }
    lines.extend(old[old.len() - end..].iter().map(|line| (' ', *line)));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_its_surroundings() {
        let many: Vec<u32> = (0..20).collect();
        let expected = json!({ "many": many, "signals": ["a", "b", "c"] });
        let ours = json!({ "many": many, "signals": ["a", "x", "c"] });
        assert_eq!(difference(&expected, &expected), None);
        assert_eq!(
            difference(&expected, &ours).unwrap(),
            "  …\n    ],\n    \"signals\": [\n      \"a\",\n-     \"b\",\n+     \"x\",\n      \"c\"\n    ]\n  }"
        );
    }
}
