//! What is wrong with a manifest, all of it at once, each with its place and the fix.
//!
//! The structure is checked against the [`format`](super::format) table, every template against
//! the variables of its place, and what spans components by rules of its own. At the end each
//! stream is built as a connector would build it, so that a manifest without errors loads.

mod cursor;
mod report;
mod spec;
mod streams;
mod templates;
#[cfg(test)]
mod tests;
mod walk;

pub use report::{Finding, Severity};

use std::collections::HashSet;

use self::report::Report;
use self::walk::Walk;
use super::catalog::Manifest;
use super::configuration::ConfigRules;
use super::declared;
use super::fields::type_of;
use super::mode::Mode;
use super::resolve::{add_source_type, parameters, references};
use super::stream::Builder;
use super::support::first_unsupported;
use super::template::Context;
use crate::clock::Clock;
use crate::document::{Node, Position, Problem, parse_yaml};
use crate::json::{Map, Value};

/// Everything that is wrong with the text of a manifest, in its order. `name` is what the file is
/// called, in snake case.
pub fn lint(file: &str, text: &str, name: &str) -> Vec<Finding> {
    let mut report = Report::new(file, text);
    match parse_yaml(file, text) {
        Err(problem) => report.add("syntax", Severity::Error, problem),
        Ok(document) => check(&document, name, &mut report),
    }
    report.finish()
}

fn check(document: &Node, name: &str, report: &mut Report<'_>) {
    let (document, lost) = references::replace_all(document);
    let lost_at: HashSet<Position> = lost.iter().filter_map(|problem| problem.at).collect();
    let references_hold = lost.is_empty();
    for problem in lost {
        report.add("reference", Severity::Error, problem);
    }
    let Some(document) = document else {
        return;
    };
    let document = match parameters::hand_down(add_source_type(document)) {
        Ok(document) => document,
        Err(problem) => return report.add("structure", Severity::Error, problem),
    };
    let mut walk = Walk::new(report, &lost_at);
    walk.root(&document);
    let reads = walk.reads;
    spec::check(&document, &reads, report);
    for stream in streams::all(&document) {
        streams::check(stream, &document, report);
    }
    streams::check_names(&document, report);
    if references_hold {
        as_loaded(name, report);
    }
}

/// Problems that only loading finds, where nothing else was found at their place; those that only
/// building finds, where nothing else is wrong at all.
fn as_loaded(name: &str, report: &mut Report<'_>) {
    let (file, text) = (report.file().to_owned(), report.text());
    let manifest = match Manifest::read(&file, text, name) {
        Ok(manifest) => manifest,
        Err(problems) => {
            for problem in problems {
                report.add_new("structure", Severity::Error, problem);
            }
            return;
        }
    };
    let is_sound = !report.has_errors();
    if let Err(problem) = ConfigRules::build(&manifest.document) {
        report.add("unsupported", Severity::Warning, all_unavailable(problem));
    }
    for template in declared::templates(&manifest.document) {
        if let Some(mut problem) = template.unsupported().or_else(|| template.needs_requests()) {
            let name = &template.name;
            problem.message = format!("streams of {name} are unavailable: {}", problem.message);
            report.add("unsupported", Severity::Warning, problem);
        }
    }
    let config = Value::Object(Map::new());
    let parameters = Map::new();
    let builder = Builder {
        ahead: 1,
        context: Context::new(Clock::System)
            .with("config", &config)
            .with("parameters", &parameters),
        config: &config,
        mode: Mode::Worker,
        signals: &manifest.metadata.signals,
    };
    for (name, unavailable) in &manifest.streams {
        let Some(node) = manifest.stream(name) else {
            continue;
        };
        if unavailable.is_some() {
            if let Some(mut problem) = first_unsupported(node) {
                problem.message = format!("stream {name} is unavailable: it {}", problem.message);
                report.add("unsupported", Severity::Warning, problem);
            }
            continue;
        }
        if is_sound
            && let Err(problem) = builder.parts(node, manifest.metadata.signals.get(name))
            && !depends_on_configuration(&problem.message)
        {
            report.add_new("structure", Severity::Error, problem);
        }
    }
}

/// What keeps the configuration from being used keeps every stream from being read.
fn all_unavailable(mut problem: Problem) -> Problem {
    problem.message = format!("every stream is unavailable: it {}", problem.message);
    problem
}

/// Building with no configuration at all says what the manifest cannot help.
fn depends_on_configuration(message: &str) -> bool {
    message.starts_with("the configuration has no ")
}

/// Whether the component is of this type.
fn is(node: &Node, kind: &str) -> bool {
    type_of(node) == Some(kind)
}
