//! From files to a source in reference mode.

use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::input::{self, INJECTED_MANIFEST};
use super::limits::Limits;
use super::message::Message;
use super::{Inputs, Settings, output};
use crate::client::auth::Credentials;
use crate::client::{Client, ClientConfig, Observer};
use crate::connector::{ChangeDetection, RetryConfig};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};
use crate::source::Source as _;
use crate::source::manifest::catalog::Manifest;
use crate::source::manifest::{ManifestSource, Mode};
use crate::telemetry::register_secret;

/// Longer than any sensible answer takes; the reference waits for ever.
const REQUEST_TIMEOUT: Duration = Duration::from_hours(1);
/// Longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_mins(10);
/// Largest body of an answer.
const MAX_BODY_BYTES: usize = 1 << 30;

/// A manifest together with the configuration that a command was given.
pub(super) struct Given {
    pub(super) manifest: Arc<Manifest>,
    pub(super) config: Map,
}

impl Given {
    /// Reads manifest and configuration, which is brought into its current shape.
    pub(super) fn load(inputs: &Inputs, settings: Settings) -> Result<Self, Failure> {
        let mut config = input::config(&inputs.config)?;
        let injected = config.shift_remove(INJECTED_MANIFEST);
        let manifest = match (&inputs.manifest, injected) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let path = path.display();
                    Failure::system(format!("cannot read the manifest {path}: {error}"))
                })?;
                Manifest::read(&path.display().to_string(), &text, "source")
            }
            (None, Some(manifest @ Value::Object(_))) => {
                Manifest::of_node(INJECTED_MANIFEST, &Node::of_value(&manifest), "source")
            }
            (None, Some(_)) => {
                return Err(Failure::system(format!("{INJECTED_MANIFEST} is no map")));
            }
            (None, None) => {
                return Err(Failure::system(format!(
                    "no manifest: give --manifest-path, or {INJECTED_MANIFEST} in the configuration"
                )));
            }
        };
        let manifest = manifest.map_err(|problems| Failure::system(told(&problems)))?;
        let migrated = manifest
            .migrated(config.clone(), settings.clock)
            .map_err(Failure::config)?;
        if migrated != config {
            // Whoever keeps the configuration shall keep it in its current shape.
            output::aside(&Message::control(&migrated.clone().into(), settings.clock));
        }
        Ok(Self {
            manifest: Arc::new(manifest),
            config: migrated,
        })
    }

    /// Checks the configuration against the manifest's specification.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        let spec = &self.manifest.spec;
        let mut config = self.config.clone();
        // Switches of acceptance tests, which no specification knows.
        config.retain(|key, _| !matches!(key.as_str(), "_limit" | "_page_size"));
        // The reference hands the manifest to its sources in here.
        config.insert(INJECTED_MANIFEST.to_owned(), Map::new().into());
        let config = serde_json::from_slice(&Value::from(config).to_json())
            .map_err(|error| Failure::system(format!("the configuration: {error}")))?;
        let validator = jsonschema::options()
            .should_validate_formats(false)
            .build(spec)
            .map_err(|error| Failure::system(format!("the specification: {error}")))?;
        match validator.validate(&config) {
            Ok(()) => Ok(()),
            Err(error) => {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "/" } else { &place };
                let words = error.masked().to_string();
                let words = format!("Config validation error: {place}: {words}");
                Err(Failure::config(words))
            }
        }
    }

    /// The source. Where the provider says which streams there are, it is asked.
    pub(super) async fn open(&self, settings: Settings) -> Result<ManifestSource, Failure> {
        let source = self.open_with(self.config.clone(), settings, None)?;
        Ok(source.with_asked_streams().await?)
    }

    /// The source with another configuration, without the streams that the provider says;
    /// opens no connection. `limits` hears of waits.
    pub(super) fn open_with(
        &self,
        config: Map,
        settings: Settings,
        limits: Option<Arc<Limits>>,
    ) -> Result<ManifestSource, Failure> {
        let client = Client::new(ClientConfig {
            request_timeout: REQUEST_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            max_body_bytes: MAX_BODY_BYTES,
            // The manifest's error handlers count.
            max_retries: u32::MAX,
            max_wait: Duration::MAX,
            retry: RetryConfig {
                jitter_ratio: 0.0,
                ..RetryConfig::default()
            },
            max_backoff: settings.max_backoff,
            observer: limits.map(|limits| limits as Arc<dyn Observer>),
            ..ClientConfig::default()
        })?;
        let source = ManifestSource::of_config(
            self.manifest.clone(),
            config.into(),
            ChangeDetection::default(),
            client,
            settings.clock,
            Mode::Reference,
        );
        let clock = settings.clock;
        let source = source.with_credentials(Credentials::telling(Arc::new(move |config| {
            output::aside(&Message::control(config, clock));
        })));
        for secret in source.secrets() {
            register_secret(secret);
        }
        Ok(source)
    }
}

/// The index of a stream.
pub(super) fn index_of(source: &ManifestSource, name: &str) -> Option<usize> {
    source
        .streams()
        .iter()
        .position(|stream| *stream.name == *name)
}

fn told(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("the manifest cannot be used: {}", lines.join("; "))
}
