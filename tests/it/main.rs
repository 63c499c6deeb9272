//! Behaviour of the worker as a whole, one module per behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    unreachable_pub,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test fails by panicking, exports nothing, waits for real processes and prints its seed"
)]

mod airbyte;
mod airbyte_streams;
mod authenticators;
mod cli;
mod concurrent_pages;
mod crash;
mod credentials;
mod default_credentials;
mod demo;
mod documented_configurations;
mod generated;
mod guide;
mod hostile;
mod http_client;
mod http_environment;
mod http_limits;
mod one_file;
mod ops_http;
mod pipeline;
mod process;
mod providers;
mod redis_store;
mod reference;
mod reload;
mod resume;
mod secrets;
mod settings;
mod sqlite_crash;
mod sqlite_store;
mod store_contract;
mod supervisor;
mod support;
mod sweep;
mod webhooks;
