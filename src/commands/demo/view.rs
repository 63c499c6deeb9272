//! How a demonstration shows signals: a live table on a terminal, one CloudEvent a line elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::commands::render::{cloud_event, table_row};
use crate::registry::ConnectorRegistry;
use crate::store::{StoreAddress, StreamEntry};

/// Width when the terminal does not say.
const WIDTH: usize = 100;

pub(super) struct View {
    terminal: bool,
    color: bool,
    page: Option<String>,
    shown: u64,
    /// Whether the line at the bottom is there.
    bottom: bool,
}

impl View {
    pub(super) fn new(color: bool, page: Option<String>) -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            color,
            page,
            shown: 0,
            bottom: false,
        }
    }

    /// Says what runs and where to look.
    pub(super) fn introduce(
        &self,
        sandbox: &str,
        store: &StoreAddress,
        duration: Option<Duration>,
    ) {
        let end = duration.map_or("until Ctrl-C".to_owned(), |time| format!("for {time:?}"));
        talk(&format!(
            "sandbox provider at {sandbox}, store {store}, {end}"
        ));
        if let Some(page) = &self.page {
            talk(&format!("status page: {page}"));
        }
    }

    /// Shows entries in the order in which they were published.
    pub(super) fn show(&mut self, entries: &[StreamEntry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.wipe();
        self.shown += entries.len() as u64;
        let mut out = io::stdout().lock();
        let width = width();
        for entry in entries {
            if self.terminal {
                writeln!(out, "{}", table_row(entry, width, self.color))?;
            } else {
                writeln!(out, "{}", cloud_event(entry))?;
            }
        }
        out.flush()
    }

    /// Draws the line at the bottom: what each connector is at.
    pub(super) fn refresh(&mut self, registry: &ConnectorRegistry) {
        if !self.terminal {
            return;
        }
        let mut parts = vec![format!("{} signals", self.shown)];
        let connectors = registry.all().into_iter();
        parts.extend(connectors.map(|status| format!("{} {}", status.name, status.phase.as_str())));
        parts.extend(self.page.clone());
        let line = parts.join(" · ");
        let line: String = line.chars().take(width().saturating_sub(1)).collect();
        // A terminal that goes away is noticed by `show`.
        let _ = write!(io::stderr(), "\r\x1b[2K{line}");
        self.bottom = true;
    }

    /// Takes the line at the bottom away.
    pub(super) fn finish(&mut self) {
        self.wipe();
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.bottom) {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

/// Talk, as opposed to data: to standard error.
pub(super) fn talk(text: &str) {
    // Nobody listens: nothing to be done about it.
    let _ = writeln!(io::stderr(), "{text}");
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}
