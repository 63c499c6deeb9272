//! Which of its two ways a `StateDelegatingStream` is read in.

use crate::client::FetchError;
use crate::json::Value;
use crate::source::manifest::cursor::{OpenCursor, Progress};
use crate::source::manifest::datetime::{DateTime, Span};
use crate::source::manifest::retriever::Run;
use crate::source::manifest::stream::{Later, Parts};

/// The parts to read by, and the state to go on from: none where it is older than what the
/// provider keeps.
pub(super) fn choose<'r, 's>(
    run: Run<'r>,
    parts: &'r Parts,
    state: Option<&'s Value>,
) -> Result<(&'r Parts, Option<&'s Value>), FetchError> {
    let state = state.filter(|state| state.as_object().is_some_and(|map| !map.is_empty()));
    let (Some(later), Some(given)) = (&parts.later, state) else {
        return Ok((parts, state));
    };
    if is_too_old(run, parts, later, given)? {
        tracing::warn!(
            stream = run.stream,
            "the state is older than what the provider keeps; reading all of it"
        );
        return Ok((parts, None));
    }
    Ok((&later.parts, state))
}

fn is_too_old(
    run: Run<'_>,
    parts: &Parts,
    later: &Later,
    state: &Value,
) -> Result<bool, FetchError> {
    let failed = |error: &dyn std::fmt::Display| run.misconfigured(error);
    let context = run.context();
    let retention = match &later.retention {
        Some(retention) => retention.text(&context).map_err(|error| failed(&error))?,
        None => String::new(),
    };
    if retention.is_empty() {
        return Ok(false);
    }
    let retention = Span::parse(&retention).map_err(|error| failed(&error))?;
    if parts.cursor.is_none() && state.get("__ab_no_cursor_state_message").is_some() {
        // All of it was read, without saying as of when.
        return Ok(false);
    }
    let oldest = DateTime::from_timestamp(run.clock.now())
        .minus(retention)
        .map_err(|error| failed(&error))?;
    for parts in [parts, &later.parts] {
        let Some(cursor) = &parts.cursor else {
            continue;
        };
        let cursor = cursor.open(&context).map_err(|error| failed(&error))?;
        if let Some(reached) = reached(&cursor, parts, state) {
            return Ok(reached.epoch_micros() < oldest.epoch_micros());
        }
    }
    // Nobody can tell.
    Ok(true)
}

/// Where the state says that reading had come to: for all partitions together, where there are
/// any.
fn reached(cursor: &OpenCursor, parts: &Parts, state: &Value) -> Option<DateTime> {
    let state = if parts.routers.is_empty() {
        state
    } else {
        state.get("state")?
    };
    Progress::date_of(cursor, state).ok()
}
