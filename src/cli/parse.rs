//! From arguments to [`Cli`]: what clap alone cannot say.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use super::reads;
use super::{Cli, Command, StatusArgs};

impl Cli {
    /// Reads a command line. Options of `run` may stand before it; before a command that does not
    /// know them they are refused rather than ignored.
    pub fn read<I, T>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut command = Self::definition();
        let matches = command
            .try_get_matches_from_mut(arguments)
            .map_err(without_password)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let before = |id: &&&str| is_given(&matches, id);
        let meaningless = |option: &str, of: &str| {
            let option = option.replace('_', "-");
            format!("--{option} has no meaning for `{of}`")
        };
        let refuse = |option: &str, of: &str| {
            let message = meaningless(option, of);
            command.clone().error(ErrorKind::ArgumentConflict, message)
        };
        let words = words(&matches);
        let unread = |option: &&&str| !reads::reads(&words, option);
        for option in reads::OPTIONS.iter().filter(unread).filter(before) {
            cli.unread.push(meaningless(option, &words.join(" ")));
        }
        if matches!(cli.command, Some(Command::Demo(_))) && cli.global.store.is_none() {
            for option in ["key_prefix", "allow_eviction"].iter().filter(before) {
                let message = meaningless(option, "demo` without `--store");
                cli.unread.push(message);
            }
        }
        match (&mut cli.command, matches.subcommand()) {
            (Some(Command::Run(run)), Some((_, after))) => {
                for option in RUN_OPTIONS.iter().filter(before) {
                    if !is_given(after, option) {
                        run.take(option, &cli.run);
                    }
                }
                cli.run = run.clone();
            }
            (Some(Command::Serve(serve)), Some((_, after))) => {
                for option in RUN_OPTIONS.iter().filter(before) {
                    if !is_given(after, option) {
                        serve.run.take(option, &cli.run);
                    }
                }
                cli.run = serve.run.clone();
            }
            (Some(known), Some((name, after))) => {
                for option in RUN_OPTIONS.iter().filter(before) {
                    match known {
                        Command::Validate(names) | Command::Status(StatusArgs { names, .. })
                            if *option == "name" =>
                        {
                            if !is_given(after, option) {
                                names.name.clone_from(&cli.run.name);
                            }
                        }
                        Command::Demo(demo) if *option == "http_addr" => {
                            demo.http_addr = demo.http_addr.or(cli.run.http_addr);
                        }
                        _ => return Err(refuse(option, name)),
                    }
                }
            }
            _ => {}
        }
        let knows_names = matches!(
            cli.command,
            Some(Command::Run(_) | Command::Serve(_) | Command::Validate(_) | Command::Status(_))
        );
        let after = matches.subcommand().filter(|_| knows_names);
        let before = is_given(&matches, "name");
        let given = [
            before,
            before || after.is_some_and(|(_, after)| is_given(after, "name")),
        ];
        for (names, given) in cli.names().zip(given) {
            // A blank in the environment asks for nothing; an empty option is a script's slip
            // that would start everything.
            let count = names.len();
            names.retain(|name| !name.is_empty());
            if given && names.len() < count {
                return Err(command.error(ErrorKind::InvalidValue, "--name is empty"));
            }
        }
        Ok(cli)
    }

    /// The names before the command, and those after it.
    fn names(&mut self) -> impl Iterator<Item = &mut Vec<String>> {
        let of_command = match &mut self.command {
            Some(Command::Run(run)) => Some(&mut run.name),
            Some(Command::Serve(serve)) => Some(&mut serve.run.name),
            Some(Command::Validate(names) | Command::Status(StatusArgs { names, .. })) => {
                Some(&mut names.name)
            }
            _ => None,
        };
        std::iter::once(&mut self.run.name).chain(of_command)
    }
}

/// Options of [`RunArgs`](super::RunArgs) by their ids.
const RUN_OPTIONS: [&str; 5] = ["name", "http_addr", "watch", "shutdown_timeout", "no_wait"];

/// A store's address may hold a password, which the message about a slip in it would show.
fn without_password(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidValue)
        && let Some((_, after)) = given.rsplit_once('@')
    {
        let shown = format!("***@{after}");
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    error
}

/// The words that name the command.
fn words(matches: &ArgMatches) -> Vec<&str> {
    std::iter::successors(matches.subcommand(), |(_, after)| after.subcommand())
        .map(|(name, _)| name)
        .collect()
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_of_run_count_before_and_after_it() {
        let read = |line: &str| Cli::read(line.split(' '));
        let names = |line| read(line).map(|cli| cli.run.name).ok();
        let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(names("cw --name a"), list(&["a"]));
        assert_eq!(names("cw --name a run"), list(&["a"]));
        assert_eq!(names("cw run --name a,b"), list(&["a", "b"]));
        assert_eq!(names("cw --name a run --name b"), list(&["b"]));
        assert!(read("cw --watch run").unwrap().run.watch);
        let status = read("cw --name a status").unwrap();
        assert!(matches!(status.command, Some(Command::Status(args)) if args.names.name == ["a"]));
        for refused in [
            "cw --watch poll a",
            "cw --name a poll b",
            "cw --watch validate",
            "cw --name= run",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
        for unread in [
            "cw --config x tail",
            "cw leases list --config x",
            "cw demo --config x",
            "cw demo --allow-eviction",
            "cw validate --store memory:",
            "cw airbyte spec --config x",
            "cw manifest lint x --manifests-dir y",
        ] {
            assert_eq!(read(unread).unwrap().unread.len(), 1, "{unread}");
        }
        assert!(read("cw poll a --config x").unwrap().unread.is_empty());
    }

    #[test]
    fn options_of_the_process_count_where_they_are_read() {
        let read = |line: &str| Cli::read(line.split(' ')).unwrap().global;
        assert!(read("cw --config x status").config.is_some());
        assert!(read("cw dlq replay a --config x").config.is_some());
        assert!(read("cw demo --store memory: --allow-eviction").allow_eviction);
        read("cw airbyte check --config x");
    }

    #[test]
    fn a_slip_in_an_address_does_not_show_its_password() {
        let error = Cli::read(["cw", "--store", "redsi://:hush@host", "validate"]).unwrap_err();
        let told = error.to_string();
        assert!(
            !told.contains("hush") && told.contains("***@host"),
            "{told}"
        );
    }
}
