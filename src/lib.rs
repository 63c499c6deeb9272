//! The universal worker: brings events out of any SaaS API and into Redis Streams.
//!
//! Read it in the direction data flows. A command loads the configuration and hands it to the
//! [`supervisor`], which runs one [`poller`] per connector. A poller holds a lease and repeats one
//! cycle of the [`pipeline`]: fetch pages from a [`source`], detect changes, and commit signals,
//! versions and cursor to the [`store`] in one fenced write. A module uses only those listed below
//! it; [`registry`] and [`telemetry`] stand beside, [`server`] holds only handles. [`cassette`]
//! plays a manifest offline.

pub mod airbyte;
pub mod cassette;
pub mod cli;
pub mod commands;
pub mod config;
pub mod server;
pub mod supervisor;

pub mod poller;

pub mod pipeline;

pub mod source;
pub mod webhook;

pub mod client;
pub mod store;

pub mod connector;
pub mod signal;

pub mod registry;
pub mod telemetry;

pub mod clock;
pub mod document;
pub mod hex;
pub mod json;
pub mod os_signal;
