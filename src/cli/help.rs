//! What `--help` of a command says below its options: examples that work as they stand, and what
//! its exit code tells where that is its own.

use super::Cli;
use super::examples::{PAGES, Page, USUAL};
use super::reads::shown;

impl Page {
    fn text(&self) -> String {
        let width = self.examples.iter().map(|(line, _)| line.len()).max();
        let width = width.unwrap_or_default();
        let mut text = "Examples:".to_owned();
        for (line, about) in self.examples {
            text += format!("\n  connector-worker {line:width$}   {about}").trim_end();
        }
        if self.codes != USUAL {
            text += "\n\nExit codes:\n  ";
            text += self.codes;
        }
        text
    }
}

impl Cli {
    /// The command line as it is read and as `--help` tells of it. An empty variable, as templates
    /// of deployments leave them, is none.
    pub(super) fn definition() -> clap::Command {
        let mut command = <Self as clap::CommandFactory>::command();
        // Hands the options of the process down to each command.
        command.build();
        told(command, &[])
    }
}

fn told(command: clap::Command, words: &[&str]) -> clap::Command {
    let mut command = command.mut_args(|option| {
        let variable = option.get_env().and_then(std::env::var_os);
        let is_empty = variable.is_some_and(|value| value.is_empty());
        let option = shown(words, option);
        if is_empty { option.env(None) } else { option }
    });
    let name = words.join(" ");
    if let Some(page) = PAGES.iter().find(|page| page.command == name) {
        command = command.after_long_help(page.text());
    }
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        told(below, &[words, &[&name]].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line as a shell sees them.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(" > ").next().unwrap();
        let quoted = line.split('\'').enumerate();
        let words = quoted.flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }

    fn each(command: &clap::Command, path: &str, seen: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            each(below, &path, seen);
            let help = below.clone().render_long_help().to_string();
            let start = format!("  connector-worker {path}");
            let examples = help.lines().filter(|line| line.starts_with(&start));
            assert!(examples.count() > 0, "{path} has no example:\n{help}");
            seen.push(path);
        }
    }

    #[test]
    fn the_help_of_every_command_has_examples_that_are_read() {
        let mut seen = Vec::new();
        each(&Cli::definition(), "", &mut seen);
        for page in PAGES {
            assert!(
                seen.iter().any(|path| path == page.command),
                "{}",
                page.command
            );
            for (line, _) in page.examples {
                let arguments = words(&format!("connector-worker {line}"));
                if let Err(error) = Cli::read(arguments) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
