//! Streams whose templates are filled by requests (`HttpComponentsResolver`).

use std::sync::Arc;

use super::slices::{Cached, Slices};
use crate::client::FetchError;
use crate::document::{Entry, Kind, Node};
use crate::json::{Value, parse};
use crate::source::manifest::ManifestSource;
use crate::source::manifest::assemble::Assembly;
use crate::source::manifest::declared::{self, Values};
use crate::source::manifest::resolve::resolve_made;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::stream::{Builder, Parts};
use crate::source::manifest::template::Context;

impl ManifestSource {
    /// The same source, with the streams that are made from what the provider lists: it is asked.
    pub async fn with_asked_streams(self) -> Result<Self, FetchError> {
        let mut values = Values::new();
        for template in declared::templates(&self.manifest.document) {
            if let Some(resolver) = template.asks() {
                let found = self.ask(&template.name, resolver).await?;
                values.insert(template.name, found);
            }
        }
        if values.is_empty() {
            return Ok(self);
        }
        let credentials = self.credentials.clone();
        let hidden = self.secrets().map(str::to_owned).collect();
        let given = Assembly {
            manifest: self.manifest,
            config: self.config,
            no_config: None,
            hidden,
            detection: self.detection,
            client: self.client,
            clock: self.clock,
            mode: self.mode,
        };
        Ok(Self {
            credentials,
            ..Self::assemble(given, &values)
        })
    }

    /// Indices of the streams that were made from a template.
    pub fn made_from(&self, template: &str) -> Vec<usize> {
        let is_of = |name: &Arc<str>| {
            let made = self.made.get(name);
            made.is_some_and(|made| *made.template == *template)
        };
        let specs = self.specs.iter().enumerate();
        specs
            .filter(|(_, spec)| is_of(&spec.name))
            .map(|(index, _)| index)
            .collect()
    }

    /// Names of the templates that make streams.
    pub fn templates(&self) -> Vec<Arc<str>> {
        let templates = declared::templates(&self.manifest.document);
        templates
            .into_iter()
            .map(|template| template.name)
            .collect()
    }

    /// What reads the records of the retriever in `owner`.
    pub(super) fn parts_asking(&self, name: &str, owner: &Node) -> Result<Parts, FetchError> {
        let run = self.run(name);
        let node = resolve_made(asking(name, owner), true);
        let node = node.map_err(|problem| run.misconfigured(problem))?;
        let builder = Builder {
            ahead: 1,
            context: Context::new(self.clock)
                .with("config", &self.config)
                .with("parameters", &self.no_parameters),
            config: &self.config,
            mode: self.mode,
            signals: &self.manifest.metadata.signals,
        };
        let parts = builder.parts(&node, None);
        parts.map_err(|problem| run.misconfigured(problem))
    }

    async fn ask(
        &self,
        name: &str,
        resolver: &Node,
    ) -> Result<Vec<(Value, StreamSlice)>, FetchError> {
        let run = self.run(name);
        let parts = self.parts_asking(name, resolver)?;
        let cached = Cached {
            own: Some(&self.cache),
            parents: &self.cache,
        };
        let mut slices = Slices::open(run, &parts, None, cached)?;
        let mut values = Vec::new();
        while let Some(slice) = slices.next().await? {
            let mut pages = slices.pages(&slice)?;
            while let Some(records) = pages.next().await? {
                for record in &records {
                    let value = parse(record).map_err(|error| run.misconfigured(error))?;
                    values.push((value, (*slice.view).clone()));
                }
            }
        }
        Ok(values)
    }
}

/// The stream that the retriever in `owner` would be.
fn asking(name: &str, owner: &Node) -> Node {
    let entry = |key: &str, kind: Kind| Entry {
        key: key.to_owned(),
        key_at: owner.at,
        value: Node { kind, at: owner.at },
    };
    let mut entries = vec![
        entry("type", Kind::String("DeclarativeStream".to_owned())),
        entry("name", Kind::String(name.to_owned())),
    ];
    if let Some(retriever) = owner.get("retriever") {
        entries.push(Entry {
            value: retriever.clone(),
            ..entry("retriever", Kind::Null)
        });
    }
    Node {
        kind: Kind::Map(entries),
        at: owner.at,
    }
}
