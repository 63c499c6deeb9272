//! Secrets that issuers give: never printed, and kept out of logs as long as somebody has them.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::telemetry::PassingSecret;

/// A token, of whatever kind.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    kept_out: Arc<PassingSecret>,
}

impl Secret {
    /// The secret itself, for a request.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// Keeps out of logs what a request shows of it.
    pub fn shown_as(&self, credential: &str) {
        // What holds it as it is, is kept out already.
        if !credential.contains(self.expose()) {
            self.kept_out.also(credential);
        }
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self {
            kept_out: Arc::new(PassingSecret::new(&value)),
            value: value.into(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
