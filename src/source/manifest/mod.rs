//! The declarative engine: reads streams as a manifest in Airbyte's low-code format describes.

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
mod rate_limits;
pub mod reference;
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

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;

use self::catalog::{Manifest, describe};
use self::declared::{Given, Values};
use self::errors::Secrets;
use self::metadata::SignalMetadata;
pub use self::mode::Mode;
use self::reference::ResponseCache;
use self::retriever::{ParentCache, Retriever, Run};
use self::stream::{Builder, Parts};
use self::template::{Context, Template};
use super::{
    CheckReport, Event, Events, Outcome, ReadState, SignalRule, Source, Stopped, StreamSpec,
};
use crate::client::auth::Credentials;
use crate::client::{Client, FetchError};
use crate::clock::Clock;
use crate::connector::{ChangeDetection, ConnectorConfig};
use crate::document::{self, Node};
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

/// What a source is put together from.
struct Assembly {
    manifest: Arc<Manifest>,
    config: Value,
    /// Why the configuration cannot be used.
    no_config: Option<String>,
    detection: ChangeDetection,
    client: Client,
    clock: Clock,
    mode: Mode,
}

/// A stream that was made from a template.
struct Made {
    node: Node,
    /// Name of the template.
    template: Arc<str>,
}

impl ManifestSource {
    /// Builds the streams for one connector; opens no connection. A stream that cannot be built
    /// is unavailable and says why; the others work.
    ///
    /// Tokens that are issued to it live in this source alone; see
    /// [`with_credentials`](Self::with_credentials).
    pub fn build(
        manifest: Arc<Manifest>,
        connector: &ConnectorConfig,
        client: Client,
        clock: Clock,
        mode: Mode,
    ) -> Self {
        let config = connector.provider.to_value();
        let detection = connector.change_detection.clone();
        let source = Self::of_config(manifest, config, detection, client, clock, mode);
        let webhooks = source.manifest.webhooks(&connector.webhook);
        let select = webhooks
            .as_ref()
            .and_then(|webhooks| webhooks.select.as_deref());
        let compile = |text| Template::compile(text).map_err(|error| error.to_string());
        Self {
            select: select.map(compile),
            webhooks,
            checked: connector.streams.clone(),
            ..source
        }
        .with_missing(&connector.streams)
    }

    /// The same, with those of the streams `names` that the configuration does not make.
    fn with_missing(mut self, names: &[Arc<str>]) -> Self {
        for name in names {
            if self.specs.iter().any(|spec| spec.name == *name) {
                continue;
            }
            let why = format!(
                "{}: no stream of this name is made for this configuration",
                self.manifest.file
            );
            let nothing = Node::synthetic(document::Kind::Null);
            self.specs
                .push(stream::spec(name, &nothing, None, None, Some(why)));
            self.streams.push(None);
        }
        self
    }

    /// As [`build`](Self::build), from what templates see as `config`.
    pub fn of_config(
        manifest: Arc<Manifest>,
        config: Value,
        detection: ChangeDetection,
        client: Client,
        clock: Clock,
        mode: Mode,
    ) -> Self {
        let mut config = config;
        if mode == Mode::Worker {
            config = manifest.metadata.auth.filled_in(config);
        }
        let normalised = manifest.rules().and_then(|rules| match &config {
            Value::Object(map) => {
                let map = rules.apply(map.clone(), clock);
                map.map(Value::Object).map_err(|error| error.to_string())
            }
            _ => Ok(config.clone()),
        });
        let no_config = normalised.as_ref().err().cloned();
        let config = normalised.unwrap_or(config);
        let given = Assembly {
            manifest,
            config,
            no_config,
            detection,
            client,
            clock,
            mode,
        };
        Self::assemble(given, &Values::new())
    }

    /// The source of a configuration in its current shape.
    fn assemble(given: Assembly, values: &Values) -> Self {
        let Assembly {
            manifest,
            config,
            no_config,
            detection,
            client,
            clock,
            mode,
        } = given;
        let no_parameters = Map::new();
        let context = Context::new(clock)
            .with("config", &config)
            .with("parameters", &no_parameters);
        // The reference's own waits are not waited for: it is asked what it reads.
        let budget = match mode {
            Mode::Worker => budget::build(&manifest.document, &context),
            Mode::Reference => Ok(None),
        };
        let (budget, no_budget) = match budget {
            Ok(budget) => (budget, None),
            Err(problem) => (None, Some(describe(&problem))),
        };
        let builder = Builder {
            ahead: match mode {
                Mode::Worker => stream::concurrency(&manifest.document, &context),
                Mode::Reference => 1,
            },
            context,
            config: &config,
            mode,
            signals: &manifest.metadata.signals,
        };
        let mut specs = Vec::new();
        let mut streams: Vec<Option<Built>> = Vec::new();
        let mut made = HashMap::new();
        let declared = declared::streams(
            &manifest,
            &Given {
                context: &builder.context,
                config: &config,
                mode,
                values,
            },
        );
        for stream in declared {
            let (name, node) = (&stream.name, &*stream.node);
            let signal = manifest.metadata.signals.get(name);
            // The reference knows nothing of it.
            let rules = match mode {
                Mode::Worker => manifest.metadata.streams.get(name).map(|rules| &**rules),
                Mode::Reference => None,
            };
            // Reading faster than the manifest allows may get the account banned.
            let hindrances = [&stream.unavailable, &no_config, &no_budget];
            let parts = match hindrances.into_iter().flatten().next() {
                Some(reason) => Err(reason.clone()),
                None => builder
                    .stream(node, signal, rules)
                    .map_err(|problem| describe(&problem)),
            };
            let reason = parts
                .as_ref()
                .err()
                .map(|why| format!("{}: {why}", manifest.file));
            specs.push(stream::spec(name, node, signal, rules, reason));
            let version = manifest.version.as_deref();
            streams.push(parts.ok().map(|parts| Built {
                parts,
                shape: match mode {
                    Mode::Worker => configuration::shape_hash(
                        &manifest.metadata.auth.without_fields(&config),
                        &manifest.spec,
                        &match rules {
                            Some(rules) => Value::Array(vec![node.to_value(), rules.value.clone()]),
                            None => node.to_value(),
                        },
                        version,
                    ),
                    // Its state says nothing of what was read.
                    Mode::Reference => String::new(),
                },
            }));
            if let (Some(template), Cow::Owned(node)) = (stream.template, stream.node) {
                made.insert(stream.name, Made { node, template });
            }
        }
        let mut parents = HashSet::new();
        for built in streams.iter().flatten() {
            built.parts.parents(&mut parents);
        }
        let secrets = Secrets::new(configuration::secrets(&config, &manifest.spec));
        let delivered = manifest.metadata.pushed.iter().map(pushed).collect();
        let webhooks = manifest.metadata.webhooks.clone();
        Self {
            mode,
            manifest,
            client: client.within(budget),
            credentials: Credentials::default(),
            clock,
            config,
            secrets,
            detection,
            specs,
            pushed: delivered,
            webhooks,
            select: None,
            streams,
            made,
            checked: Vec::new(),
            no_parameters,
            parents,
            cache: ResponseCache::default(),
        }
    }

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
            no_parameters: &self.no_parameters,
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

/// A stream that is only delivered: its events are no listing, and each is one of its own.
fn pushed((name, signal): &(Arc<str>, SignalMetadata)) -> StreamSpec {
    StreamSpec {
        name: name.clone(),
        signal: SignalRule {
            subject: signal.subject.clone().unwrap_or_default(),
            time: signal.time.clone(),
            version: signal.version.clone(),
            ignore: signal.ignore.clone(),
            ordered: signal.ordered,
        },
        lists_everything: false,
        later_counts: false,
        unavailable: None,
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
        let parents = ParentCache::default();
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
                run: self.run(&spec.name),
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
