//! Which options of the process a command reads. The others are not in its help, and are warned of
//! where they are given: an option that changes nothing looks as if it did. They are no error, so
//! that a script can give all its commands the same options.

use clap::Arg;

/// Options of [`GlobalArgs`](super::GlobalArgs) that not every command reads, by their ids.
pub(super) const OPTIONS: [&str; 5] = [
    "config",
    "store",
    "key_prefix",
    "allow_eviction",
    "manifests_dir",
];

/// Whether the command of these words reads the option.
pub(super) fn reads(command: &[&str], option: &str) -> bool {
    let (config, store, types) = match command {
        ["demo" | "tail" | "leases", ..] | ["dlq"] | ["dlq", "list" | "show" | "purge"] => {
            (false, true, false)
        }
        ["validate"] => (true, false, true),
        ["webhook" | "connectors" | "schema", ..] => (false, false, true),
        // Its `--config` is another: Airbyte's.
        ["airbyte", "check" | "discover" | "read"] => (true, false, false),
        ["manifest" | "airbyte" | "completions", ..] => (false, false, false),
        _ => (true, true, true),
    };
    match option {
        "config" => config,
        "manifests_dir" => types,
        "store" | "key_prefix" | "allow_eviction" => store,
        _ => true,
    }
}

/// The option as the command's help shows it.
pub(super) fn shown(command: &[&str], option: Arg) -> Arg {
    if !reads(command, option.get_id().as_str()) {
        return option.hide(true);
    }
    match (command, option.get_id().as_str()) {
        (["demo"], "store") => option.help(
            "Where the demonstration keeps leases, state and signals \
             [default: a store of its own that is gone when it ends]",
        ),
        (["demo"], "key_prefix") => {
            option.help("Prepended to every key in the store; only with --store")
        }
        (["demo"], "allow_eviction") => option.help(
            "Accept a Redis that may evict keys: state or signals can then disappear; only with \
             --store",
        ),
        _ => option,
    }
}
