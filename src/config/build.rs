//! The settings of one entry, defaults filled in → [`ConnectorConfig`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::entry::Entry;
use super::fields::{self, Default as FieldDefault};
use super::settings::Checked;
use crate::connector::{
    ChangeDetection, ConnectorConfig, RetryConfig, WebhookConfig, WebhookSecret,
};
use crate::document::{Kind, Node};
use crate::telemetry::KeptOut;

impl Entry<'_> {
    fn flag(&self, path: &str) -> Option<bool> {
        match self.setting(path).map(|setting| &setting.value) {
            Some(Checked::Flag(flag)) => Some(*flag),
            _ => match fields::find(path)?.default {
                FieldDefault::Flag(flag) => Some(flag),
                _ => None,
            },
        }
    }

    /// A whole number; its default when it is absent. Negative ones do not pass the bounds.
    pub(super) fn integer(&self, path: &str) -> Option<u64> {
        let number = match self.setting(path).map(|setting| &setting.value) {
            Some(Checked::Integer(number)) => *number,
            _ => match fields::find(path)?.default {
                FieldDefault::Integer(number) => number,
                _ => return None,
            },
        };
        u64::try_from(number).ok()
    }

    fn small(&self, path: &str) -> Option<u32> {
        u32::try_from(self.integer(path)?).ok()
    }

    fn number(&self, path: &str) -> Option<f64> {
        match self.setting(path).map(|setting| &setting.value) {
            Some(Checked::Number(number)) => Some(*number),
            _ => match fields::find(path)?.default {
                FieldDefault::Number(number) => Some(number),
                _ => None,
            },
        }
    }

    fn text(&self, path: &str) -> Option<&str> {
        match self.setting(path).map(|setting| &setting.value) {
            Some(Checked::Text(text)) => Some(text),
            _ => match fields::find(path)?.default {
                FieldDefault::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    fn list(&self, path: &str) -> Vec<&str> {
        match self.setting(path).map(|setting| &setting.value) {
            Some(Checked::List(items)) => items.iter().map(|(text, _)| text.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    fn millis(&self, path: &str) -> Option<Duration> {
        self.integer(path).map(Duration::from_millis)
    }

    fn seconds(&self, path: &str) -> Option<Duration> {
        self.integer(path).map(Duration::from_secs)
    }

    fn retry(&self) -> Option<RetryConfig> {
        let (base, max) = ("retryConfig.baseDelayMs", "retryConfig.maxDelayMs");
        let mut retry = RetryConfig {
            base_delay: self.millis(base)?,
            max_delay: self.millis(max)?,
            jitter_ratio: self
                .number("retryConfig.jitterRatio")?
                .max(RetryConfig::LEAST_JITTER),
        };
        // Who shortens the longest wait alone wants no longer first one, and the reverse.
        if self.setting(base).is_none() {
            retry.base_delay = retry.base_delay.min(retry.max_delay);
        } else if self.setting(max).is_none() {
            retry.max_delay = retry.max_delay.max(retry.base_delay);
        }
        Some(retry)
    }

    /// The text of a field as it is written, for a connector that does not run.
    fn raw(&self, key: &str) -> Option<&str> {
        self.node.get(key).and_then(Node::as_str)
    }

    /// Puts everything together. Fields that were not looked up, because the connector does not
    /// run, get their defaults; its provider part and type stay as written.
    pub(super) fn build(&self, provider: Option<(Node, KeptOut)>) -> Option<ConnectorConfig> {
        let directory = self.context.sources.directory;
        let nothing = || (Node::synthetic(Kind::Map(Vec::new())), KeptOut::default());
        let (provider, kept_out) = provider.unwrap_or_else(nothing);
        Some(ConnectorConfig {
            name: self.text("name")?.into(),
            kind: self.text("type").or_else(|| self.raw("type"))?.into(),
            manifest: self
                .text("manifest")
                .map(|path| -> PathBuf { directory.join(path) }),
            enabled: self.flag("enabled")?,
            poll_interval: self.millis("pollIntervalMs"),
            request_timeout: self.millis("requestTimeoutMs")?,
            max_retries: self.small("maxRetries")?,
            retry: self.retry()?,
            output_stream: self.text("outputStream")?.into(),
            output_max_len: self.integer("outputMaxLen")?,
            lease_ttl: self.seconds("leaseTtlSeconds")?,
            streams: self.list("streams").into_iter().map(Into::into).collect(),
            tenant: self.text("tenantId").map(Into::into),
            change_detection: ChangeDetection {
                ignore: self
                    .list("changeDetection.ignore")
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                deletions: self.flag("changeDetection.deletions"),
                lookback: self.seconds("changeDetection.lookbackSeconds"),
                retention_days: self.small("changeDetection.retentionDays")?,
                max_keys: self.integer("changeDetection.maxKeys")?,
            },
            webhook: self.webhook()?,
            provider,
            kept_out,
        })
    }

    fn webhook(&self) -> Option<WebhookConfig> {
        // A single address is the network that holds nothing else.
        let network = |text: &str| {
            let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
            text.parse::<IpNet>().ok().or_else(address)
        };
        let secrets = self.list("webhook.secrets");
        let allowed = self.list("webhook.allowIps");
        let identity = self
            .text("webhook.audience")
            .zip(self.text("webhook.sender"));
        let signature = self.setting("webhook.signature");
        Some(WebhookConfig {
            secrets: secrets.into_iter().map(WebhookSecret::from).collect(),
            identity: identity.map(|(audience, sender)| (audience.into(), sender.into())),
            signature: signature.and_then(|setting| match &setting.value {
                Checked::Node(node) => Some(node.clone()),
                _ => None,
            }),
            allow_ips: allowed.into_iter().filter_map(network).collect(),
            dedupe: Duration::from_hours(24) * self.small("webhook.dedupeDays")?,
            max_ids: self.integer("webhook.maxIds")?,
            max_queued: self.integer("webhook.maxQueued")?,
            max_queued_bytes: self.integer("webhook.maxQueuedBytes")?,
        })
    }
}
