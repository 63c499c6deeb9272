//! `demo`: the whole worker against a sandbox, offline, with nothing to set up.

pub mod sandbox;
