//! Files and environment → validated connectors, all problems at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::connector::ConnectorConfig;
use crate::document::Problem;
use crate::source::manifest::catalog::Catalog;

/// The process environment, read once in `main` and passed down.
pub type Environment = BTreeMap<String, String>;

/// Where the configuration is and which part of it this process runs.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config` / `CONNECTORS_CONFIG_PATH`; `None`: `./connectors.json`, else environment mode.
    pub file: Option<PathBuf>,
    /// `--name`; empty: every enabled connector. Only these have their `${…}` resolved.
    pub names: Vec<String>,
    /// The environment.
    pub environment: Environment,
    /// Connector types.
    pub catalog: Arc<Catalog>,
    /// Treat the disabled connectors among [`names`](Self::names) as if they were to run, so that
    /// `check`, `preview` and `poll` can try one before it is enabled.
    pub include_disabled: bool,
    /// A name that is not in the file is no problem: set on a reload, which may have removed it.
    pub allow_unknown_names: bool,
}

/// A configuration without a problem.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The connectors this process is about, in file order, disabled ones included.
    pub connectors: Vec<Arc<ConnectorConfig>>,
    /// Every connector name in the file, for messages and for names removed by a reload.
    pub all_names: Vec<String>,
    /// What works but will disappoint.
    pub warnings: Vec<Problem>,
    /// Where it came from, as messages name it: a path, or `environment`.
    pub origin: String,
}

/// Reads, parses, substitutes and validates; gives every problem there is, in file order.
pub fn load(options: &LoadOptions) -> Result<Loaded, Vec<Problem>> {
    let _ = options;
    todo!()
}
