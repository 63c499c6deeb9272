//! A directory for one demonstration: its configuration and its store, gone when it ends.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::NAMES;
use super::sandbox::{API_TOKEN, EMAIL};

/// Removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    pub(super) fn create() -> io::Result<Self> {
        let name = format!("connector-worker-demo-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a `connectors.json` as a user would, for a provider at `base_url`.
    pub(super) fn write_configuration(&self, base_url: &str) -> io::Result<PathBuf> {
        let [weather, jira] = NAMES;
        let configuration = json!({ "connectors": [
            {
                "name": weather, "type": "NOAA_WEATHER", "pollIntervalMs": 1000,
                "providerConfig": { "baseUrl": base_url },
            },
            {
                "name": jira, "type": "JIRA", "pollIntervalMs": 1000,
                "providerConfig": {
                    "baseUrl": base_url, "email": EMAIL, "apiToken": API_TOKEN,
                    "jql": "project in (EE, K5)",
                },
            },
        ] });
        let path = self.path("connectors.json");
        std::fs::write(&path, format!("{configuration:#}\n"))?;
        Ok(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        tracing::debug!(%error, "cannot remove the demonstration's directory");
    }
}
