//! Findings while they are collected.

use std::collections::HashSet;

use serde::Serialize;

use super::super::fields::{problem, with_file};
use crate::document::{Position, Problem};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest, or a stream of it, does not work.
    Error,
    /// It works, but not as its author thinks.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the rule that found it: `unknown-field`.
    pub rule: &'static str,
    /// Where, what, and the fix.
    pub problem: Problem,
}

/// Collects findings. The same one from several places that refer to one component counts once.
pub(super) struct Report<'t> {
    file: String,
    text: &'t str,
    findings: Vec<Finding>,
    seen: HashSet<(Option<Position>, String)>,
    places: HashSet<Position>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &str, text: &'t str) -> Self {
        Self {
            file: file.to_owned(),
            text,
            findings: Vec::new(),
            seen: HashSet::new(),
            places: HashSet::new(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn has_errors(&self) -> bool {
        let mut severities = self.findings.iter().map(|finding| finding.severity);
        severities.any(|severity| severity == Severity::Error)
    }

    pub(super) fn add(&mut self, rule: &'static str, severity: Severity, problem: Problem) {
        if !self.seen.insert((problem.at, problem.message.clone())) {
            return;
        }
        self.places.extend(problem.at);
        self.findings.push(Finding {
            severity,
            rule,
            problem: with_file(&self.file, problem),
        });
    }

    /// As [`add`](Self::add), unless something was found at the same place.
    pub(super) fn add_new(&mut self, rule: &'static str, severity: Severity, problem: Problem) {
        if problem.at.is_none_or(|at| !self.places.contains(&at)) {
            self.add(rule, severity, problem);
        }
    }

    pub(super) fn error(
        &mut self,
        rule: &'static str,
        at: Position,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(rule, Severity::Error, problem(at, message, fix));
    }

    pub(super) fn warn(
        &mut self,
        rule: &'static str,
        at: Position,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(rule, Severity::Warning, problem(at, message, fix));
    }

    /// The place of the byte `offset` of the text that begins at `at`, if the text is spelled in
    /// one line and without escapes; else `at`.
    pub(super) fn within(&self, at: Position, text: &str, offset: usize) -> Position {
        let exact = || {
            let line = self.text.lines().nth(at.line.checked_sub(1)? as usize)?;
            let mut rest = line.chars();
            let skipped = at.column.checked_sub(1)?;
            for _ in 0..skipped {
                rest.next()?;
            }
            let rest = rest.as_str();
            let (quote, inner) = match rest.strip_prefix(['"', '\'']) {
                Some(inner) => (1, inner),
                None => (0, rest),
            };
            let before = text.get(..offset)?;
            let columns = u32::try_from(before.chars().count()).ok()?;
            inner.starts_with(text).then(|| Position {
                line: at.line,
                column: at.column + quote + columns,
            })
        };
        exact().unwrap_or(at)
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.problem.at, finding.severity));
        self.findings
    }
}
