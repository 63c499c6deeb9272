//! `validate`: every problem of the configuration at once.

use std::collections::BTreeSet;

use anyhow::Result;

use super::context::Context;
use super::exit::Problems;
use super::manifest::errors_of;
use super::output;

/// Loads everything a run would load, environment included, and builds every source. What keeps a
/// stream of a manifest from working is told, and is no reason to refuse the configuration.
pub(super) fn validate(context: &Context, names: &[String]) -> Result<()> {
    let configuration = context.load(names)?;
    let wishes = configuration.wishes().map_err(Problems)?;
    let problems: Vec<_> = wishes
        .iter()
        .filter_map(|wish| context.build(wish).err())
        .flatten()
        .collect();
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    // They may be about a stream that is not read.
    let manifests: BTreeSet<_> = wishes
        .iter()
        .filter_map(|wish| wish.config.manifest.as_deref())
        .collect();
    for line in manifests.into_iter().flat_map(errors_of) {
        eprintln!("{line}");
    }
    let disabled = configuration.loaded.connectors.len() - wishes.len();
    let connectors = match wishes.len() {
        1 => "1 connector".to_owned(),
        count => format!("{count} connectors"),
    };
    output::line(&format!(
        "{}: valid ({connectors} to run, {disabled} disabled)",
        configuration.loaded.origin,
    ))?;
    Ok(())
}
