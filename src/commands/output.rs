//! Data on stdout: JSON documents, JSON Lines, tables. A reader that went away is no failure.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::exit::Usage;
use crate::cli::{ConfirmArgs, OutputFormat};

/// Prints one indented JSON document.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(value)?).map(drop)
}

/// Prints one line; `false` when nobody reads any more.
pub(super) fn line(text: &str) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

/// Prints `rows` as a table on a terminal and `document` as JSON elsewhere, unless `format` says
/// otherwise.
pub(super) fn listing(
    format: Option<OutputFormat>,
    header: &[&str],
    rows: &[Vec<String>],
    document: &impl Serialize,
) -> Result<()> {
    let default = if io::stdout().is_terminal() {
        OutputFormat::Table
    } else {
        OutputFormat::Json
    };
    match format.unwrap_or(default) {
        OutputFormat::Json => json(document),
        OutputFormat::Table => line(&table(header, rows)).map(drop),
    }
}

/// Aligned columns, two spaces apart.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..header.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let lines = all.iter().map(|row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Asks on a terminal whether to go on; elsewhere `--yes` must say so.
pub(super) async fn confirm(what: &str, args: ConfirmArgs) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let message = format!("{what}: add --yes to confirm where there is no terminal");
        return Err(Usage(message).into());
    }
    eprint!("{what}. Go on? [y/N] ");
    // On a thread of its own, so that Ctrl-C counts while the question stands.
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = reading.await?.context("cannot read the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        bail!("not confirmed; nothing was changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["längst".to_owned(), String::new()],
        ];
        assert_eq!(table(&["name", "n"], &rows), "NAME    N\na       1\nlängst");
    }
}
