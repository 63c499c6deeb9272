//! Collects what is wrong, and says where in the words of the source: a line and column, or the
//! name of an environment variable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::document::{Kind, Node, Position, Problem};

/// Problems, warnings and files read of one load.
#[derive(Debug)]
pub(super) struct Report {
    file: Arc<str>,
    /// In environment mode: names of variables; a position `0:n` stands for the one at `n - 1`.
    variables: Vec<String>,
    problems: Vec<(Position, Problem)>,
    warnings: Vec<(Position, Problem)>,
    files: BTreeMap<PathBuf, u64>,
}

impl Report {
    pub(super) fn new(file: &str, variables: Vec<String>) -> Self {
        Self {
            file: file.into(),
            variables,
            problems: Vec::new(),
            warnings: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// Something that keeps the configuration from being used.
    pub(super) fn problem(&mut self, place: &Place<'_>, message: &str, fix: Option<String>) {
        let problem = self.make(place, message, fix);
        self.problems.push((place.at, problem));
    }

    /// Something that works but will disappoint.
    pub(super) fn warning(&mut self, place: &Place<'_>, message: &str, fix: Option<String>) {
        let warning = self.make(place, message, fix);
        self.warnings.push((place.at, warning));
    }

    /// A file that a value was read from, and the digest of what it held.
    pub(super) fn reads(&mut self, file: PathBuf, digest: u64) {
        self.files.insert(file, digest);
    }

    /// Such files so far.
    pub(super) fn take_files(&mut self) -> BTreeMap<PathBuf, u64> {
        std::mem::take(&mut self.files)
    }

    /// Problems so far.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Warnings so far.
    pub(super) fn warning_count(&self) -> usize {
        self.warnings.len()
    }

    /// Forgets all warnings but the first `count`.
    pub(super) fn forget_warnings(&mut self, count: usize) {
        self.warnings.truncate(count);
    }

    /// Problems of another file that `at` refers to.
    pub(super) fn adopt(&mut self, at: Position, problems: Vec<Problem>) {
        self.problems.extend(problems.into_iter().map(|p| (at, p)));
    }

    /// The problems, if any, and the warnings, each in file order.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.problems.sort_by_key(|(at, _)| *at);
        self.warnings.sort_by_key(|(at, _)| *at);
        let only_problems = |list: Vec<(Position, Problem)>| list.into_iter().map(|(_, p)| p);
        (
            only_problems(self.problems).collect(),
            only_problems(self.warnings).collect(),
        )
    }

    fn make(&self, place: &Place<'_>, message: &str, fix: Option<String>) -> Problem {
        let variable = (place.at.line == 0)
            .then(|| (place.at.column as usize).checked_sub(1))
            .flatten()
            .and_then(|index| self.variables.get(index));
        let field = variable.map_or(place.field, String::as_str);
        let subject = match (place.connector, field) {
            ("", "") => String::new(),
            ("", field) => format!("{field}: "),
            (connector, "") => format!("{connector}: "),
            (connector, field) => format!("{connector}, {field}: "),
        };
        Problem {
            file: Arc::clone(&self.file),
            at: (place.at.line > 0).then_some(place.at),
            message: format!("{subject}{message}"),
            fix,
        }
    }
}

/// What a problem is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Where it stands.
    pub(super) at: Position,
    /// `connector "jira-prod"`; empty outside of connectors.
    pub(super) connector: &'a str,
    /// `providerConfig.apiToken`; empty for the whole.
    pub(super) field: &'a str,
}

/// A fix that offers the nearest candidate, or all of them.
pub(super) fn suggest<'a>(
    given: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = crate::document::did_you_mean(given, candidates.iter().copied()) {
        return Some(format!("did you mean \"{near}\"?"));
    }
    if candidates.is_empty() {
        return None;
    }
    Some(format!("{what}: {}", candidates.join(", ")))
}

/// What kind of value a node is, in words.
pub(super) fn kind_of(node: &Node) -> &'static str {
    match node.kind {
        Kind::Null => "null",
        Kind::Bool(_) => "true or false",
        Kind::Int(_) | Kind::Float(_) | Kind::BigNumber(_) => "a number",
        Kind::String(_) => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "an object",
    }
}
