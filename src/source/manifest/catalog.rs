//! Which connector types exist: the built-in manifests, a directory of the user's, single files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::document::{Node, Problem};

/// One manifest, read and resolved, with no connector's configuration in it yet.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The connector type: file stem in upper snake case (`noaa_weather.yaml` → `NOAA_WEATHER`).
    pub kind: Arc<str>,
    /// First part of a signal's `type`: `metadata.connector.id`, else the kind in lower case.
    pub id: Arc<str>,
    /// `metadata.connector.version`.
    pub version: Option<String>,
    /// `metadata.connector.display_name`, else the kind.
    pub display_name: String,
    /// `spec.connection_specification`: the JSON Schema of `providerConfig`.
    pub spec: serde_json::Value,
    /// Stream names in manifest order, with why one is unavailable.
    pub streams: Vec<(Arc<str>, Option<String>)>,
    /// Interval between polls that suits the provider (`metadata.connector.poll_interval_seconds`),
    /// also the floor below which validation warns.
    pub poll_interval: Option<std::time::Duration>,
    /// The whole document after `$ref` and `$parameters` are resolved.
    pub document: Node,
    /// File as messages name it.
    pub file: Arc<str>,
}

/// All connector types that configuration may name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    manifests: BTreeMap<Arc<str>, Arc<Manifest>>,
}

impl Catalog {
    /// The built-in types and those in `directory` (`CONNECTOR_MANIFESTS_DIR`), which may not
    /// take a built-in's name. All problems of all files at once.
    pub fn load(directory: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let _ = directory;
        Ok(Self::default())
    }

    /// A catalog of these types.
    pub fn from_manifests(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        Self {
            manifests: manifests
                .into_iter()
                .map(|manifest| (Arc::clone(&manifest.kind), Arc::new(manifest)))
                .collect(),
        }
    }

    /// The type `kind`, as configuration names it.
    pub fn get(&self, kind: &str) -> Option<&Arc<Manifest>> {
        self.manifests.get(kind)
    }

    /// All types by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.manifests.values()
    }

    /// Reads one manifest file (`"type": "MANIFEST", "manifest": "path.yaml"`).
    pub fn load_file(path: &Path) -> Result<Arc<Manifest>, Vec<Problem>> {
        let _ = path;
        todo!()
    }
}
