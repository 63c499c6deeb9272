//! From a manifest and a connector's configuration to a source.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::catalog::{Manifest, describe};
use super::declared::{self, Declared, Given, Values};
use super::errors::Secrets;
use super::metadata::SignalMetadata;
use super::mode::Mode;
use super::reference::ResponseCache;
use super::stream::{self, Builder};
use super::template::{Context, Template};
use super::{Built, Made, ManifestSource, budget, configuration};
use crate::client::Client;
use crate::client::auth::Credentials;
use crate::clock::Clock;
use crate::connector::{ChangeDetection, ConnectorConfig};
use crate::document::{Kind, Node};
use crate::json::{Map, Value};
use crate::source::{SignalRule, StreamSpec};

/// What a source is put together from.
pub(super) struct Assembly {
    pub(super) manifest: Arc<Manifest>,
    pub(super) config: Value,
    /// Why the configuration cannot be used.
    pub(super) no_config: Option<String>,
    /// What of it must not be shown, wherever it stood before it was changed.
    pub(super) hidden: Vec<String>,
    pub(super) detection: ChangeDetection,
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) mode: Mode,
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
            let nothing = Node::synthetic(Kind::Null);
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
        let hidden = configuration::secrets(&config, &manifest.spec);
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
            hidden,
            detection,
            client,
            clock,
            mode,
        };
        Self::assemble(given, &Values::new())
    }

    /// The source of a configuration in its current shape.
    pub(super) fn assemble(given: Assembly, values: &Values) -> Self {
        let Assembly {
            manifest,
            config,
            no_config,
            mut hidden,
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
            // Reading faster than the manifest allows may get the account banned.
            let hindrances = [&stream.unavailable, &no_config, &no_budget];
            let hindrance = hindrances.into_iter().flatten().next();
            let (spec, built) = build_one(&manifest, &builder, &stream, hindrance);
            specs.push(spec);
            streams.push(built);
            if let (Some(template), Cow::Owned(node)) = (stream.template, stream.node) {
                made.insert(stream.name, Made { node, template });
            }
        }
        let mut parents = HashSet::new();
        for built in streams.iter().flatten() {
            built.parts.parents(&mut parents);
        }
        hidden.extend(configuration::secrets(&config, &manifest.spec));
        let secrets = Secrets::new(hidden);
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
}

/// One stream, or why it cannot be read.
fn build_one(
    manifest: &Manifest,
    builder: &Builder<'_>,
    stream: &Declared<'_>,
    hindrance: Option<&String>,
) -> (StreamSpec, Option<Built>) {
    let (name, node) = (&stream.name, &*stream.node);
    let signal = manifest.metadata.signals.get(name);
    // The reference knows nothing of it.
    let rules = match builder.mode {
        Mode::Worker => manifest.metadata.streams.get(name).map(|rules| &**rules),
        Mode::Reference => None,
    };
    let parts = match hindrance {
        Some(reason) => Err(reason.clone()),
        None => builder
            .stream(node, signal, rules)
            .map_err(|problem| describe(&problem)),
    };
    let reason = parts
        .as_ref()
        .err()
        .map(|why| format!("{}: {why}", manifest.file));
    let spec = stream::spec(name, node, signal, rules, reason);
    let shape = || match builder.mode {
        Mode::Worker => configuration::shape_hash(
            &manifest.metadata.auth.without_fields(builder.config),
            &manifest.spec,
            &match rules {
                Some(rules) => Value::Array(vec![node.to_value(), rules.value.clone()]),
                None => node.to_value(),
            },
            manifest.version.as_deref(),
        ),
        // Its state says nothing of what was read.
        Mode::Reference => String::new(),
    };
    let built = parts.ok().map(|parts| Built {
        parts,
        shape: shape(),
    });
    (spec, built)
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
            within: signal.within.clone(),
            ordered: signal.ordered,
        },
        lists_everything: false,
        later_counts: false,
        asks_for_missing: false,
        unavailable: None,
    }
}
