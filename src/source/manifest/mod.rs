//! The declarative engine: reads streams as a manifest in Airbyte's low-code format describes.

mod assemble;
mod auth;
mod authorise;
mod budget;
pub mod catalog;
mod check;
mod configuration;
pub mod cursor;
pub mod datetime;
mod declared;
pub mod decode;
pub mod dpath;
mod errors;
mod expr;
pub mod extract;
mod feed;
pub mod fields;
pub mod filter;
pub mod format;
pub mod lint;
pub mod metadata;
pub mod methods;
mod mode;
#[cfg(test)]
mod mutation_tests;
pub mod normalize;
mod options;
mod paginate;
pub mod partition;
mod push;
pub(crate) mod rate_limits;
pub mod reference;
mod refused;
mod requester;
pub mod resolve;
mod retriever;
pub mod select;
pub mod slice;
mod slice_options;
mod stream;
mod support;
pub mod template;
pub mod transform;
mod tree;
#[cfg(test)]
mod vectors_tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;

use self::catalog::Manifest;
use self::errors::Secrets;
pub use self::mode::Mode;
use self::reference::ResponseCache;
use self::refused::Refused;
use self::retriever::{ParentCache, Retriever, Run, look_up};
use self::stream::Parts;
use self::template::Template;
use super::{CheckReport, Event, Events, Outcome, ReadState, Record, Source, Stopped, StreamSpec};
use crate::client::auth::Credentials;
use crate::client::{Client, FetchError};
use crate::clock::Clock;
use crate::connector::ChangeDetection;
use crate::document::Node;
use crate::json::{Map, Value};
use crate::webhook::Webhooks;

/// The streams of one connector, read as its manifest describes.
pub struct ManifestSource {
    mode: Mode,
    manifest: Arc<Manifest>,
    client: Client,
    credentials: Credentials,
    clock: Clock,
    /// `providerConfig`, as templates see it.
    config: Value,
    secrets: Secrets,
    detection: ChangeDetection,
    specs: Vec<StreamSpec>,
    pushed: Vec<StreamSpec>,
    webhooks: Option<Arc<Webhooks>>,
    /// What their `select` says, or why it says nothing.
    select: Option<Result<Template, String>>,
    streams: Vec<Option<Built>>,
    /// Streams that were made from a template, by their names.
    made: HashMap<Arc<str>, Made>,
    /// Streams that `check` tries; empty: all.
    checked: Vec<Arc<str>>,
    no_parameters: Map,
    /// Streams whose records are partitions of others.
    parents: HashSet<Arc<str>>,
    /// Answers of parents, in reference mode.
    cache: ResponseCache,
}

/// A stream that can be read.
struct Built {
    parts: Parts,
    /// Identifies what it reads.
    shape: String,
}

/// A stream that was made from a template.
struct Made {
    node: Node,
    /// Name of the template.
    template: Arc<str>,
}

impl ManifestSource {
    /// The same, with tokens that are kept and shared as `credentials` say.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// The component of a stream.
    fn node(&self, name: &str) -> Option<&Node> {
        let made = self.made.get(name).map(|made| &made.node);
        made.or_else(|| self.manifest.stream(name))
    }

    /// Values of the configuration that must not be shown.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.values()
    }

    fn run<'r>(&'r self, stream: &'r str) -> Run<'r> {
        Run {
            stream,
            mode: self.mode,
            client: &self.client,
            credentials: &self.credentials,
            config: &self.config,
            clock: self.clock,
            secrets: &self.secrets,
            refusals: &self.manifest.metadata.refusals,
            lookback: None,
            no_parameters: &self.no_parameters,
            refused: None,
            hashing: None,
        }
    }

    /// Indices of the streams to read, in the order in which they are asked for. Streams that
    /// cannot be read are left out unless they are named.
    fn wanted(&self, names: &[Arc<str>]) -> Vec<usize> {
        let index_of = |name: &Arc<str>| self.specs.iter().position(|spec| spec.name == *name);
        if names.is_empty() {
            (0..self.specs.len())
                .filter(|index| self.streams[*index].is_some())
                .collect()
        } else {
            names.iter().filter_map(index_of).collect()
        }
    }
}

impl std::fmt::Debug for ManifestSource {
    /// No value of the configuration.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestSource")
            .field("manifest", &self.manifest.kind)
            .field("streams", &self.specs)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for ManifestSource {
    fn streams(&self) -> &[StreamSpec] {
        &self.specs
    }

    fn provider(&self) -> &str {
        &self.manifest.id
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.manifest.poll_interval
    }

    fn pushed(&self) -> &[StreamSpec] {
        &self.pushed
    }

    fn webhooks(&self) -> Option<&Arc<Webhooks>> {
        self.webhooks.as_ref()
    }

    fn wants(&self, delivery: &Bytes) -> Result<bool, String> {
        self.wants_delivery(delivery)
    }

    async fn fetch(
        &self,
        stream: &str,
        record: &Bytes,
        delivery: &Bytes,
    ) -> Result<Option<Bytes>, FetchError> {
        self.fetch_detail(stream, record, delivery).await
    }

    async fn look_up(&self, stream: &str, key: &str) -> Result<Option<Record>, FetchError> {
        let index = self.specs.iter().position(|spec| *spec.name == *stream);
        match index.and_then(|index| self.streams[index].as_ref()) {
            Some(built) => look_up(&self.run(stream), &built.parts, key).await,
            None => Ok(None),
        }
    }

    fn select(&self, stream: &str, record: Bytes) -> Result<Option<Bytes>, String> {
        self.select_pushed(stream, record)
    }

    async fn read(&self, state: &ReadState, events: &Events) -> Result<(), Stopped> {
        self.client.begin_poll();
        if self.client.wants_probe() {
            // One small request tells whether the provider is back; the streams' own then fail at
            // once or go through.
            check::probe(self).await;
        }
        let (parents, refused) = (ParentCache::default(), Refused::default());
        for index in self.wanted(&state.streams) {
            let spec = &self.specs[index];
            let Some(built) = &self.streams[index] else {
                let why = spec.unavailable.clone().unwrap_or_default();
                let error = FetchError::Misconfigured(format!("stream {}: {why}", spec.name));
                let end = Event::End {
                    stream: index,
                    outcome: Outcome::Incomplete(error),
                    state: Vec::new(),
                };
                events.send(end).await?;
                continue;
            };
            let has_state = state.fields.contains_key(&format!("cursor:{}", spec.name));
            let retriever = Retriever {
                run: Run {
                    refused: Some(&refused),
                    hashing: state.hashing.get(&spec.name).map(|ignored| &**ignored),
                    ..self.run(&spec.name)
                },
                parts: built.parts.as_of(has_state),
                index,
                shape: &built.shape,
                detection: &self.detection,
                lists_everything: spec.lists_everything,
                parents: &parents,
            };
            retriever.read(state, events).boxed().await?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<CheckReport, FetchError> {
        check::check(self).await
    }
}
