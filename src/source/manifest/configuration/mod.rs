//! What a manifest makes of a connector's `providerConfig`: how older shapes become current, what
//! must hold, which values are secret, and which shape what is read.

mod changes;
mod rules;
mod shape;
mod validate;

pub(super) use rules::ConfigRules;
pub(super) use shape::{secrets, shape_hash};
