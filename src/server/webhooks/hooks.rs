//! Which connectors take deliveries, and with which secrets; replaced as a whole by a reload.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use super::appender::Appender;
use super::issuer::Issuer;
use crate::connector::ConnectorConfig;
use crate::store::{QueueLimits, Store};
use crate::webhook::{Identity, Kept, KeySet, Scheme, Verifier, Webhooks};

/// Seconds between two log lines about refused deliveries of one connector.
const LOG_EVERY_SECONDS: i64 = 10;

/// One connector that takes deliveries.
#[derive(Debug)]
pub struct Hook {
    pub(super) config: Arc<ConnectorConfig>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) verifier: Verifier,
    pub(super) kept: Kept,
    /// Who signs the tokens that some deliveries carry.
    pub(super) issuer: Option<Issuer>,
    pub(super) appender: Appender,
    logged: AtomicI64,
}

impl Hook {
    /// Whether it is time to log a refusal again: strangers must not fill the log.
    pub(super) fn may_log(&self) -> bool {
        let now = Timestamp::now().as_second();
        let last = self.logged.load(Ordering::Relaxed);
        now - last >= LOG_EVERY_SECONDS
            && self
                .logged
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

type ByName = HashMap<Arc<str>, Arc<Hook>>;

/// All of them. Cheap to clone; clones see replacements.
#[derive(Debug, Clone)]
pub struct Hooks {
    store: Arc<dyn Store>,
    current: Arc<RwLock<Arc<ByName>>>,
}

impl Hooks {
    /// None yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            current: Arc::default(),
        }
    }

    /// Takes deliveries for exactly these connectors from now on. Those that did not change keep
    /// what they have.
    pub fn replace(&self, wanted: impl IntoIterator<Item = (Arc<ConnectorConfig>, Arc<Webhooks>)>) {
        let before = self.all();
        let mut hooks = HashMap::new();
        for (config, webhooks) in wanted {
            let name = config.name.clone();
            let kept = before.get(&name).filter(|hook| {
                hook.config.webhook == config.webhook
                    && hook.webhooks == webhooks
                    && hook.config.tenant == config.tenant
            });
            let hook = match kept {
                Some(hook) => hook.clone(),
                None => Arc::new(self.hook(config, webhooks)),
            };
            hooks.insert(name, hook);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hooks);
    }

    fn hook(&self, config: Arc<ConnectorConfig>, webhooks: Arc<Webhooks>) -> Hook {
        let settings = &config.webhook;
        let limits = QueueLimits {
            dedupe: settings.dedupe,
            max_ids: settings.max_ids,
            max_queued: settings.max_queued,
            max_bytes: settings.max_queued_bytes,
        };
        let identity = settings
            .identity
            .as_ref()
            .map(|(audience, sender)| Identity {
                audience: audience.clone(),
                sender: sender.clone(),
                keys: KeySet::default(),
            });
        let verifier = Verifier::with_identity(&webhooks, &settings.secrets, identity.as_ref());
        if !settings.secrets.is_empty() && !verifier.has_secret() {
            tracing::warn!(
                connector.id = &*config.name,
                "none of webhook.secrets has the form that the provider's signature needs: every delivery is refused"
            );
        }
        let published = webhooks.schemes.iter().find_map(|scheme| match scheme {
            Scheme::Oidc(oidc) => Some(oidc.keys.clone()),
            _ => None,
        });
        let issuer = identity.zip(published);
        Hook {
            verifier,
            kept: Kept::of(&webhooks),
            issuer: issuer.map(|(identity, url)| Issuer::new(url, identity.keys)),
            appender: Appender::start(self.store.clone(), config.name.clone(), limits),
            logged: AtomicI64::new(0),
            webhooks,
            config,
        }
    }

    fn all(&self) -> Arc<ByName> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Names in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.all().keys().cloned().collect();
        names.sort();
        names
    }

    /// The connector that `/webhooks/{name}` or `/webhooks/{tenant}/{name}` means.
    pub(super) fn find(&self, tenant: Option<&str>, name: &str) -> Option<Arc<Hook>> {
        let hook = self.all().get(name).cloned()?;
        let is_meant = tenant.is_none_or(|tenant| hook.config.tenant.as_deref() == Some(tenant));
        is_meant.then_some(hook)
    }
}
