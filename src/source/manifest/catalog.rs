//! Which connector types exist: the built-in manifests, a directory of the user's, single files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::configuration::ConfigRules;
use super::declared;
use super::fields::{optional, problem, text, type_of, with_file};
use super::metadata::{self, Metadata};
use super::resolve::resolve;
use super::support::first_unsupported;
use crate::clock::Clock;
use crate::document::{Node, Problem, parse_yaml};
use crate::json::Map;

/// The built-in manifests: file name and text. A provider is one line here and one file there.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    (
        "datadog.yaml",
        include_str!("../../../config/connectors/datadog.yaml"),
    ),
    (
        "dropbox.yaml",
        include_str!("../../../config/connectors/dropbox.yaml"),
    ),
    (
        "github.yaml",
        include_str!("../../../config/connectors/github.yaml"),
    ),
    (
        "gitlab.yaml",
        include_str!("../../../config/connectors/gitlab.yaml"),
    ),
    (
        "gmail.yaml",
        include_str!("../../../config/connectors/gmail.yaml"),
    ),
    (
        "jira.yaml",
        include_str!("../../../config/connectors/jira.yaml"),
    ),
    (
        "linear.yaml",
        include_str!("../../../config/connectors/linear.yaml"),
    ),
    (
        "noaa_weather.yaml",
        include_str!("../../../config/connectors/noaa_weather.yaml"),
    ),
    (
        "onedrive.yaml",
        include_str!("../../../config/connectors/onedrive.yaml"),
    ),
    (
        "plane.yaml",
        include_str!("../../../config/connectors/plane.yaml"),
    ),
    (
        "slack.yaml",
        include_str!("../../../config/connectors/slack.yaml"),
    ),
    (
        "stripe.yaml",
        include_str!("../../../config/connectors/stripe.yaml"),
    ),
    (
        "vertex_ai.yaml",
        include_str!("../../../config/connectors/vertex_ai.yaml"),
    ),
    (
        "webhook.yaml",
        include_str!("../../../config/connectors/webhook.yaml"),
    ),
];

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
    /// Names of the streams that it lists, in its order, with why one is unavailable.
    pub streams: Vec<(Arc<str>, Option<String>)>,
    /// Whether it makes more of them for a configuration: their names are known only then.
    pub makes_streams: bool,
    /// Interval between polls that suits the provider (`metadata.connector.poll_interval_seconds`),
    /// also the floor below which validation warns.
    pub poll_interval: Option<std::time::Duration>,
    /// `metadata.connector`.
    pub metadata: Metadata,
    /// The whole document after `$ref` and `$parameters` are resolved.
    pub document: Node,
    /// File as messages name it.
    pub file: Arc<str>,
}

/// All connector types that configuration may name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    types: BTreeMap<Arc<str>, Listed>,
    /// Files that configuration named, each read once in a catalog's life.
    files: Arc<Mutex<HashMap<PathBuf, LoadedFile>>>,
}

/// One type. A built-in one is read when it is first needed: reading all of them would be most of
/// what the worker does before its first request.
#[derive(Debug, Clone, Default)]
struct Listed {
    /// File and text of a built-in type.
    built_in: (&'static str, &'static str),
    read: OnceLock<Arc<Manifest>>,
}

impl Listed {
    fn manifest(&self) -> &Arc<Manifest> {
        self.read.get_or_init(|| {
            let (file, text) = self.built_in;
            match Manifest::read(file, text, &name_of(Path::new(file))) {
                Ok(manifest) => Arc::new(manifest),
                Err(problems) => unreachable!("a test reads every built-in type: {problems:?}"),
            }
        })
    }
}

impl From<Arc<Manifest>> for Listed {
    fn from(manifest: Arc<Manifest>) -> Self {
        Self {
            built_in: ("", ""),
            read: OnceLock::from(manifest),
        }
    }
}

type LoadedFile = Result<Arc<Manifest>, Vec<Problem>>;

impl Catalog {
    /// The built-in types and those in `directory` (`CONNECTOR_MANIFESTS_DIR`), which may not
    /// take a built-in's name. All problems of all files at once.
    pub fn load(directory: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let mut catalog = Self::default();
        let mut problems = Vec::new();
        for built_in in BUILT_IN {
            let kind = name_of(Path::new(built_in.0)).to_ascii_uppercase();
            let listed = Listed {
                built_in: *built_in,
                read: OnceLock::new(),
            };
            catalog.types.insert(kind.into(), listed);
        }
        for path in directory.map_or_else(|| Ok(Vec::new()), files_in)? {
            match Self::load_file(&path) {
                Ok(manifest) if catalog.types.contains_key(&manifest.kind) => {
                    problems.push(Problem {
                        file: manifest.file.clone(),
                        at: None,
                        message: format!("the connector type {} exists already", manifest.kind),
                        fix: Some("rename the file: its name is the type's".to_owned()),
                    });
                }
                Ok(manifest) => catalog.insert(manifest),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(catalog)
        } else {
            Err(problems)
        }
    }

    /// A catalog of these types.
    pub fn from_manifests(manifests: impl IntoIterator<Item = Manifest>) -> Self {
        let mut catalog = Self::default();
        for manifest in manifests {
            catalog.insert(Arc::new(manifest));
        }
        catalog
    }

    /// The manifest in a file (`"type": "MANIFEST", "manifest": "path.yaml"`); connectors that
    /// name the same file share it.
    pub fn file(&self, path: &Path) -> Result<Arc<Manifest>, Vec<Problem>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = files.entry(path.to_owned());
        loaded.or_insert_with(|| Self::load_file(path)).clone()
    }

    /// The type `kind`, as configuration names it.
    pub fn get(&self, kind: &str) -> Option<&Arc<Manifest>> {
        self.types.get(kind).map(Listed::manifest)
    }

    /// All types by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.types.values().map(Listed::manifest)
    }

    /// The names of all types.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(|kind| &**kind)
    }

    /// Reads one manifest file.
    pub fn load_file(path: &Path) -> Result<Arc<Manifest>, Vec<Problem>> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![unreadable(
                &file,
                "manifest",
                &error,
                "check the path and its permissions",
            )]
        })?;
        Manifest::read(&file, &text, &name_of(path)).map(Arc::new)
    }

    fn insert(&mut self, manifest: Arc<Manifest>) {
        self.types.insert(manifest.kind.clone(), manifest.into());
    }
}

fn unreadable(file: &str, what: &str, error: &std::io::Error, fix: &str) -> Problem {
    Problem {
        file: file.into(),
        at: None,
        message: format!("cannot read the {what}: {error}"),
        fix: Some(fix.to_owned()),
    }
}

/// The manifests of a directory in the order of their names.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let failed = |error: &std::io::Error| {
        let name = directory.display().to_string();
        let fix = "CONNECTOR_MANIFESTS_DIR must name a directory that can be read";
        vec![unreadable(&name, "directory of manifests", error, fix)]
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| failed(&error))? {
        let path = entry.map_err(|error| failed(&error))?.path();
        let is_manifest = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_manifest && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A manifest's name in snake case: its file's, or the directory's where the file is called
/// `manifest.yaml`, as in a repository of connectors.
pub fn name_of(path: &Path) -> String {
    let stem = |path: &Path| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let own = stem(path).unwrap_or_default();
    let name = if own.eq_ignore_ascii_case("manifest") {
        path.parent().and_then(stem).unwrap_or(own)
    } else {
        own
    };
    let name = name.strip_prefix("source-").unwrap_or(&name);
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}

impl Manifest {
    /// Reads a manifest's text. `name` is what the file is called, in snake case.
    pub fn read(file: &str, text: &str, name: &str) -> Result<Self, Vec<Problem>> {
        let document = parse_yaml(file, text).map_err(|problem| vec![problem])?;
        Self::of_node(file, &document, name)
    }

    /// As [`read`](Self::read), of a document that was read before.
    pub fn of_node(file: &str, document: &Node, name: &str) -> Result<Self, Vec<Problem>> {
        let document = resolve(file, document).map_err(|problem| vec![with_file(file, problem)])?;
        Self::of(file, document, name).map_err(|problems| {
            problems
                .into_iter()
                .map(|problem| with_file(file, problem))
                .collect()
        })
    }

    /// The streams that a connector reads: those that its entry names, else the manifest's choice.
    /// Empty means all.
    pub fn chosen_streams(&self, named: Vec<Arc<str>>) -> Vec<Arc<str>> {
        if named.is_empty() {
            self.metadata.default_streams.clone()
        } else {
            named
        }
    }

    /// Whether the stream may keep a cursor: it, or a stream that it is read through, is read from
    /// where the last read ended.
    pub fn keeps_cursor(&self, stream: &str) -> bool {
        let rules = self.metadata.streams.get(stream);
        rules.is_some_and(|rules| rules.cursor.is_some() || rules.sweep.is_some())
            || self
                .stream(stream)
                .is_none_or(|node| mentions(node, "incremental_sync"))
    }

    /// What becomes of a configuration before it is used. The error is for people.
    pub(super) fn rules(&self) -> Result<ConfigRules, String> {
        ConfigRules::build(&self.document).map_err(|problem| describe(&problem))
    }

    /// A configuration in its current shape. The error is for people.
    pub fn migrated(&self, config: Map, clock: Clock) -> Result<Map, String> {
        self.rules()?
            .migrate(config, clock)
            .map_err(|error| error.to_string())
    }

    /// The component of a stream.
    pub(super) fn stream(&self, name: &str) -> Option<&Node> {
        let listed = declared::listed(&self.document).unwrap_or_default();
        let nodes = listed.into_iter().map(|(node, _)| node);
        let is_it = |node: &&Node| node.get("name").and_then(Node::as_str) == Some(name);
        nodes.into_iter().find(is_it)
    }

    fn of(file: &str, document: Node, name: &str) -> Result<Self, Vec<Problem>> {
        if type_of(&document) != Some("DeclarativeSource") {
            return Err(vec![problem(
                document.at,
                "this is no manifest: it has no type DeclarativeSource at the top",
                "a manifest in the low-code format begins with type: DeclarativeSource",
            )]);
        }
        let streams = streams(&document).map_err(|problem| vec![problem])?;
        let names: Vec<Arc<str>> = streams.iter().map(|(name, _)| name.clone()).collect();
        let metadata = metadata::read(&document, &names)?;
        let makes_streams = !declared::templates(&document).is_empty();
        if streams.is_empty() && !makes_streams && metadata.pushed.is_empty() {
            return Err(vec![problem(
                document.at,
                "the manifest has no streams that this worker can read",
                "add a DeclarativeStream under streams, or streams that are delivered under \
                 metadata.connector.webhooks",
            )]);
        }
        two_cursors(&document, &metadata)?;
        let mut document = document;
        metadata.auth.extend(&mut document);
        let kind = name.to_ascii_uppercase();
        let spec = document
            .get("spec")
            .and_then(|spec| spec.get("connection_specification"))
            .map(|spec| spec.to_value().to_json())
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_else(|| serde_json::json!({"type": "object", "additionalProperties": true}));
        Ok(Self {
            id: metadata.id.clone().unwrap_or_else(|| name.into()),
            version: metadata.version.clone(),
            display_name: metadata
                .display_name
                .clone()
                .unwrap_or_else(|| kind.clone()),
            kind: kind.into(),
            spec,
            streams,
            makes_streams,
            poll_interval: metadata.poll_interval,
            metadata,
            document,
            file: file.into(),
        })
    }
}

fn mentions(node: &Node, key: &str) -> bool {
    let mut entries = node.entries().iter();
    entries.any(|entry| entry.key == key || mentions(&entry.value, key))
        || node.items().iter().any(|item| mentions(item, key))
}

/// A stream is read by dates or by a token, not by both.
fn two_cursors(document: &Node, metadata: &Metadata) -> Result<(), Vec<Problem>> {
    let streams = declared::listed(document).map_err(|problem| vec![problem])?;
    let problems: Vec<Problem> = streams
        .into_iter()
        .map(|(node, _)| node)
        .filter(|node| optional(node, "incremental_sync").is_some())
        .filter_map(|node| {
            let rules = metadata.streams.get(text(node, "name").ok()??)?;
            Some(problem(
                rules.cursor.as_ref()?.at,
                "the stream has incremental_sync as well as a cursor of metadata.connector",
                "remove one of them",
            ))
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// A stream's name, with why it cannot be read.
type Named = (Arc<str>, Option<String>);

fn streams(document: &Node) -> Result<Vec<Named>, Problem> {
    let mut streams: Vec<Named> = Vec::new();
    for (node, _) in declared::listed(document)? {
        let Some(name) = text(node, "name")?.filter(|name| !name.is_empty()) else {
            return Err(problem(
                node.at,
                "a stream has no name",
                "add the field name",
            ));
        };
        if streams.iter().any(|(other, _)| **other == *name) {
            return Err(problem(
                node.at,
                format!("two streams are called {name}"),
                "give each a name of its own",
            ));
        }
        let unavailable = first_unsupported(node).map(|problem| describe(&problem));
        streams.push((name.into(), unavailable));
    }
    Ok(streams)
}

/// A problem in a sentence of its own: what is wrong, and where.
pub(super) fn describe(problem: &Problem) -> String {
    match problem.at {
        Some(at) => format!("{} (line {})", problem.message, at.line),
        None => problem.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_types_are_complete() {
        let catalog = Catalog::load(None).unwrap();
        let kinds: Vec<&str> = catalog.kinds().map(|manifest| &*manifest.kind).collect();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/connectors");
        let files = files_in(&directory).unwrap();
        let named: Vec<String> = files
            .iter()
            .map(|file| name_of(file).to_uppercase())
            .collect();
        assert_eq!(kinds, named);
        for manifest in catalog.kinds() {
            assert!(manifest.version.is_some() && manifest.poll_interval.is_some());
            assert!(manifest.spec["properties"].is_object());
            for (name, unavailable) in &manifest.streams {
                assert_eq!(*unavailable, None, "{name}");
                assert!(manifest.metadata.signals.contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn the_documented_manifest_works() {
        let page = include_str!("../../../docs/creating-connectors.md");
        let (_, rest) = page.split_once("```yaml title=my-crm.yaml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let manifest = Manifest::read("my-crm.yaml", text, "my_crm").unwrap();
        assert_eq!(manifest.streams, [("contacts".into(), None)]);
        assert_eq!(&*manifest.id, "my_crm");
    }

    #[test]
    fn a_directory_adds_types_and_every_problem_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let good = "type: DeclarativeSource\nstreams:\n- type: DeclarativeStream\n  name: things\n  retriever:\n    type: AsyncRetriever\n";
        write("my-crm.yaml", good);
        write("source-shop/manifest.yaml", good);
        let catalog = Catalog::load(Some(directory.path())).unwrap();
        let manifest = catalog.get("MY_CRM").unwrap();
        assert_eq!(&*manifest.id, "my_crm");
        assert_eq!(
            manifest.streams,
            [(
                "things".into(),
                Some("needs AsyncRetriever, which is not supported (line 6)".to_owned())
            )]
        );
        let path = directory.path().join("source-shop/manifest.yaml");
        assert_eq!(&*Catalog::load_file(&path).unwrap().kind, "SHOP");

        write("jira.yaml", good);
        write("broken.yaml", "type: [");
        write("other.yml", "a: 1");
        let problems = Catalog::load(Some(directory.path())).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(Catalog::load(Some(&directory.path().join("nowhere"))).is_err());
    }
}
