//! `validate`: every problem of the configuration at once.

use anyhow::Result;

use super::context::Context;
use super::exit::Problems;
use super::output;

/// Loads everything a run would load, environment included, and builds every source.
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
    let disabled = configuration.loaded.connectors.len() - wishes.len();
    output::line(&format!(
        "{}: valid ({} connectors to run, {disabled} disabled)",
        configuration.loaded.origin,
        wishes.len(),
    ))?;
    Ok(())
}
