//! Options every command has.

use std::path::PathBuf;

use clap::Args;

use crate::store::StoreAddress;
use crate::telemetry::LogFormat;

/// Options every command has.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Configuration file [default: ./connectors.json]
    #[arg(
        long,
        global = true,
        env = "CONNECTORS_CONFIG_PATH",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,

    /// Where leases, state and signals live: redis://HOST:PORT, rediss://…,
    /// redis+sentinel://HOST:PORT/SERVICE, sqlite:PATH, memory:
    /// [default: $REDIS_URL, else sqlite:./.connector-worker/store.db]
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_STORE",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    pub store: Option<StoreAddress>,

    /// Prepended to every key in the store
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_KEY_PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub key_prefix: String,

    /// Accept a Redis that may evict keys: state or signals can then disappear
    #[arg(long, global = true)]
    pub allow_eviction: bool,

    /// Folder with more manifests, one connector type each
    #[arg(
        long,
        global = true,
        env = "CONNECTOR_MANIFESTS_DIR",
        value_name = "DIR"
    )]
    pub manifests_dir: Option<PathBuf>,

    /// How log lines look (they go to stderr; RUST_LOG chooses which)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}
