//! Behaviour of the worker as a whole, one module per behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

mod support;
