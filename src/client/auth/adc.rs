//! Application default credentials: what a machine of Google's, or a developer's, has anyway.
//! <https://cloud.google.com/docs/authentication/application-default-credentials>

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::Issued;
use super::answer::{AnswerNames, Expiry};
use super::google::{GoogleKey, misconfigured};
use crate::client::{FetchError, install_crypto_provider};

/// The metadata server, the only one that this worker ever asks, and the only place where it does.
const METADATA_HOST: &str = "169.254.169.254";

/// It stands on the same machine: one that takes longer is not there.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// Largest answer of the metadata server.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where this process may find credentials; read from the environment once.
#[derive(Debug, Clone, Default)]
pub struct GoogleSurroundings {
    /// `GOOGLE_APPLICATION_CREDENTIALS`
    pub key_file: Option<PathBuf>,
    /// The file that `gcloud auth application-default login` writes.
    pub well_known_file: Option<PathBuf>,
    /// `GCE_METADATA_HOST`
    pub metadata_host: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub enum GoogleDefault {
    /// A key file.
    Key(GoogleKey),
    /// The account of the machine itself.
    Machine(MetadataServer),
}

/// The server that tells a machine who it is.
#[derive(Debug, Clone)]
pub struct MetadataServer {
    host: String,
    scopes: String,
}

impl GoogleSurroundings {
    /// The first that there is: the file that the environment names, that of gcloud, the machine.
    pub fn find(&self, scopes: &str) -> Result<GoogleDefault, FetchError> {
        if let Some(path) = &self.key_file {
            return GoogleKey::load(path).map(GoogleDefault::Key);
        }
        if let Some(path) = self.well_known_file.as_ref().filter(|path| path.is_file()) {
            return GoogleKey::load(path).map(GoogleDefault::Key);
        }
        Ok(GoogleDefault::Machine(MetadataServer {
            host: self
                .metadata_host
                .clone()
                .unwrap_or_else(|| METADATA_HOST.to_owned()),
            scopes: scopes.replace(' ', ","),
        }))
    }
}

impl MetadataServer {
    pub(super) async fn ask(&self) -> Result<Issued, FetchError> {
        let mut url = Url::parse(&format!(
            "http://{}/computeMetadata/v1/instance/service-accounts/default/token",
            self.host
        ))
        .map_err(|_| misconfigured("GCE_METADATA_HOST is no host"))?;
        if !self.scopes.is_empty() {
            url.query_pairs_mut().append_pair("scopes", &self.scopes);
        }
        install_crypto_provider();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(METADATA_TIMEOUT)
            .build()
            .map_err(|error| misconfigured(&error.without_url().to_string()))?;
        let asked = client.get(url).header("Metadata-Flavor", "Google").send();
        let nothing = || {
            FetchError::Unauthorized(
                "no application default credentials: GOOGLE_APPLICATION_CREDENTIALS is not set, \
                 gcloud has none, and this machine has no metadata server"
                    .to_owned(),
            )
        };
        let mut response = asked.await.map_err(|error| {
            tracing::debug!(error = %error.without_url(), "the metadata server does not answer");
            nothing()
        })?;
        // Anything else on this address is no metadata server.
        if response
            .headers()
            .get("metadata-flavor")
            .is_none_or(|flavor| flavor != "Google")
        {
            return Err(nothing());
        }
        let status = response.status();
        if !status.is_success() {
            let words = format!("the metadata server answered {status}");
            return Err(if status.is_server_error() {
                FetchError::Unavailable(words)
            } else {
                FetchError::Unauthorized(format!("{words}: the machine has no service account"))
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| {
            FetchError::Unavailable(format!("the metadata server: {}", error.without_url()))
        })? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(FetchError::Bound("the metadata server's answer".to_owned()));
            }
        }
        let names = AnswerNames {
            access_token: "access_token".to_owned(),
            expires: "expires_in".to_owned(),
            expiry: Expiry::Seconds,
            refresh_token: "refresh_token".to_owned(),
            is_strict: false,
        };
        names
            .read(&body, Timestamp::now())
            .map_err(|what| FetchError::Unusable(format!("the metadata server: {what}")))
    }
}
