//! `manifest lint`: everything that is wrong with manifests, all at once.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::cli::{LintArgs, OutputFormat};
use crate::commands::{exit, output};
use crate::document::Problem;
use crate::source::manifest::catalog::name_of;
use crate::source::manifest::lint::{Finding, Severity, lint as lint_text};

/// Prints every finding of every file. Errors, and with `--deny-warnings` warnings, too, make the
/// exit code that of a wrong configuration.
pub(super) fn lint(args: &LintArgs) -> Result<ExitCode> {
    let mut findings = Vec::new();
    for path in &args.files {
        findings.extend(of_file(path));
    }
    let count = |severity| {
        let found = findings.iter().filter(|found| found.severity == severity);
        found.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match args.output.output {
        Some(OutputFormat::Json) => output::json(&json!({
            "errors": errors,
            "warnings": warnings,
            "findings": findings.iter().map(as_json).collect::<Vec<_>>(),
        }))?,
        Some(OutputFormat::Table) | None => {
            for finding in &findings {
                if !output::line(&as_text(finding))? {
                    break;
                }
            }
        }
    }
    if std::io::stderr().is_terminal() || !findings.is_empty() {
        eprintln!(
            "{}: {}, {}",
            plural(args.files.len(), "manifest"),
            plural(errors, "error"),
            plural(warnings, "warning")
        );
    }
    let is_refused = errors > 0 || (args.deny_warnings && warnings > 0);
    Ok(if is_refused {
        ExitCode::from(exit::CONFIGURATION)
    } else {
        ExitCode::SUCCESS
    })
}

/// What keeps a manifest or one of its streams from working, a line each.
pub(in crate::commands) fn errors_of(path: &Path) -> impl Iterator<Item = String> {
    let findings = of_file(path).into_iter();
    findings
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| as_text(&finding))
}

fn of_file(path: &Path) -> Vec<Finding> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => lint_text(&file, &text, &name_of(path)),
        Err(error) => vec![Finding {
            severity: Severity::Error,
            rule: "unreadable",
            problem: Problem {
                file: file.as_str().into(),
                at: None,
                message: format!("cannot read the manifest: {error}"),
                fix: Some("check the path and its permissions".to_owned()),
            },
        }],
    }
}

/// As compilers write it: `file:line:column: error: what (the fix) [rule]`.
fn as_text(finding: &Finding) -> String {
    let Finding {
        severity,
        rule,
        problem,
    } = finding;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match problem.at {
        Some(at) => format!("{}:{}:{}", problem.file, at.line, at.column),
        None => problem.file.to_string(),
    };
    let fix = match &problem.fix {
        Some(fix) => format!(" ({fix})"),
        None => String::new(),
    };
    format!("{place}: {severity}: {}{fix} [{rule}]", problem.message)
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let problem = &finding.problem;
    json!({
        "severity": finding.severity,
        "rule": finding.rule,
        "file": &*problem.file,
        "line": problem.at.map(|at| at.line),
        "column": problem.at.map(|at| at.column),
        "message": problem.message,
        "fix": problem.fix,
    })
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
