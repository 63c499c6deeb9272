//! Templates: their syntax, and whether the names in them exist where they stand.

use super::super::format::Place;
use super::super::format::place::JOB;
use super::super::template::{FUNCTIONS, Template};
use super::report::Report;
use crate::document::{Position, did_you_mean};

/// One use of a variable.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) variable: String,
    /// The constant keys below it; empty where all of it is used.
    pub(super) path: Vec<String>,
    pub(super) at: Position,
}

/// Whether anything in the text is evaluated.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Checks one template; answers what it reads.
pub(super) fn check(
    text: &str,
    at: Position,
    place: Place,
    in_job: bool,
    field: &str,
    report: &mut Report<'_>,
) -> Vec<Read> {
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(error) => {
            let at = report.within(at, text, error.offset);
            report.error(
                "template",
                at,
                format!("the template of {field} cannot be read: {error}"),
                "check its brackets, quotation marks and filters",
            );
            return Vec::new();
        }
    };
    let mut known = place.variables();
    if in_job {
        known.extend(JOB);
    }
    let mut reads = Vec::new();
    for name in template.variables() {
        let within = report.within(at, text, offset_of(name, text));
        if !known.contains(&&**name) {
            let message = format!(
                "{field} uses `{name}`, which {} does not have",
                place.describe()
            );
            report.error("unknown-name", within, message, fix(name, &known));
            continue;
        }
        if name == "config" && place == Place::Predicate {
            report.warn(
                "no-effect",
                within,
                format!("{field} uses config, which is empty where answers are judged"),
                "decide by response, headers or http_codes",
            );
        }
        reads.extend(template.constant_reads(name).map(|path| Read {
            variable: name.clone(),
            path: path.to_vec(),
            at: within,
        }));
    }
    reads
}

fn fix(name: &str, known: &[&'static str]) -> String {
    let candidates = known.iter().chain(FUNCTIONS).copied();
    match did_you_mean(name, candidates) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// Where the word stands first, within an expression.
fn offset_of(name: &str, text: &str) -> usize {
    let from = text.find("{{").or_else(|| text.find("{%")).unwrap_or(0);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text[from..]
        .match_indices(name)
        .map(|(at, _)| from + at)
        .find(|at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(is_word)
        })
        .unwrap_or(0)
}
