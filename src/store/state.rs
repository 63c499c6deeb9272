//! What a connector's state holds, and the names of its fields.

use std::collections::BTreeMap;

use super::StoreError;

/// The version of the state layout; kept in the state's `schema` field.
pub const STATE_SCHEMA: u32 = 1;

/// What a connector's state hash holds.
///
/// `fields` are those that commits write: `cursor:{stream}` and `etag:{stream}:{request}`; the
/// store does not look into them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Layout that it is kept in; 0 when there is none.
    pub schema: u32,
    /// Fencing number of the last acquisition; 0 when there was none.
    pub epoch: u64,
    /// Number of the last commit that was applied.
    pub sequence: u64,
    /// Cursors and validators by field name.
    pub fields: BTreeMap<String, String>,
    /// How many versions are kept.
    pub versions: u64,
}

/// Whether the state field belongs to `stream`: `{what}:{stream}` or `{what}:{stream}:{more}`.
pub(super) fn is_state_field_of(field: &str, stream: &str) -> bool {
    let Some((_, of)) = field.split_once(':') else {
        return false;
    };
    of.strip_prefix(stream)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// A counter's text after adding `amount`; no text is zero.
pub(super) fn add_to_metric(
    name: &str,
    text: Option<&str>,
    amount: i64,
) -> Result<String, StoreError> {
    let before = text.map_or(Ok(0), str::parse::<i64>).map_err(|_| {
        StoreError::Corrupt(format!(
            "the counter {name} is no number: {:?}",
            text.unwrap_or("")
        ))
    })?;
    Ok(before.saturating_add(amount).to_string())
}
