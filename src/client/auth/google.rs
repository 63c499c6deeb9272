//! Google's key files: a service account signs for a token, an authorised user refreshes one.
//! <https://developers.google.com/identity/protocols/oauth2/service-account>

use jiff::Timestamp;
use url::Url;

use super::Grant;
use super::answer::{AnswerNames, Expiry};
use super::endpoint::{Rejection, TokenRequest};
use super::jws::{self, Algorithm};
use crate::client::FetchError;
use crate::json::{Map, Value, parse};

/// Where tokens are issued, unless the key file says it.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Google accepts an hour; its clock and ours may differ.
const SIGNED_FOR: i64 = 3600;
const CLOCK_DRIFT: i64 = 30;

/// Largest key file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A key file.
#[derive(Clone)]
pub struct GoogleKey {
    file: Value,
}

impl std::fmt::Debug for GoogleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GoogleKey({})", self.text("type").unwrap_or("?"))
    }
}

impl GoogleKey {
    /// A key file that is JSON already.
    pub fn new(file: Value) -> Result<Self, FetchError> {
        let key = Self { file };
        match key.text("type") {
            Some("service_account" | "authorized_user") => Ok(key),
            Some(other) => Err(misconfigured(&format!(
                "credentials of the type {other} are not supported; use a service account key"
            ))),
            None => Err(misconfigured("the key file has no type")),
        }
    }

    /// The text of a key file.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let file = parse(text.trim().as_bytes());
        Self::new(file.map_err(|_| misconfigured("the key file is no JSON"))?)
    }

    /// A key file on this machine.
    pub fn load(path: &std::path::Path) -> Result<Self, FetchError> {
        let shown = path.display();
        let size = std::fs::metadata(path).map(|file| file.len());
        if size.is_ok_and(|size| size > MAX_FILE_BYTES) {
            return Err(misconfigured(&format!(
                "{shown} is too large for a key file"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            misconfigured(&format!("cannot read the key file {shown}: {error}"))
        })?;
        Self::parse(&text)
    }

    /// Identifies who asks for what; holds secrets.
    pub fn seed(&self, scopes: &str, subject: Option<&str>) -> [String; 4] {
        [
            "google".to_owned(),
            self.file.to_string(),
            scopes.to_owned(),
            subject.unwrap_or_default().to_owned(),
        ]
    }

    /// How to ask. `subject`: the user in whose name, where the account may act for a domain.
    pub fn grant(&self, scopes: &str, subject: Option<&str>) -> Result<Grant, FetchError> {
        let url = match self.text("token_uri") {
            Some(uri) => uri,
            None => TOKEN_URL,
        };
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| misconfigured("token_uri of the key file is no address"))?;
        let mut refresh_field = None;
        let fields = if self.text("type") == Some("authorized_user") {
            refresh_field = Some("refresh_token".to_owned());
            vec![
                ("grant_type", "refresh_token".to_owned()),
                ("client_id", self.required("client_id")?),
                ("client_secret", self.required("client_secret")?),
                ("refresh_token", self.required("refresh_token")?),
            ]
        } else {
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
            let assertion = self.assertion(url, scopes, subject)?;
            vec![("grant_type", grant_type), ("assertion", assertion)]
        };
        Ok(Grant::Endpoint(TokenRequest {
            url: parsed,
            headers: Vec::new(),
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            refresh_field,
            in_query: false,
            names: AnswerNames {
                access_token: "access_token".to_owned(),
                expires: "expires_in".to_owned(),
                expiry: Expiry::Seconds,
                refresh_token: "refresh_token".to_owned(),
                is_strict: false,
            },
            rejection: Rejection::default(),
            plain: false,
        }))
    }

    fn assertion(
        &self,
        audience: &str,
        scopes: &str,
        subject: Option<&str>,
    ) -> Result<String, FetchError> {
        let now = Timestamp::now().as_second();
        let mut header = Map::new();
        header.insert("alg".to_owned(), Algorithm::RS256.name().into());
        header.insert("typ".to_owned(), "JWT".into());
        if let Some(id) = self.text("private_key_id") {
            header.insert("kid".to_owned(), id.into());
        }
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), self.required("client_email")?.into());
        claims.insert("scope".to_owned(), scopes.into());
        claims.insert("aud".to_owned(), audience.into());
        if let Some(subject) = subject {
            claims.insert("sub".to_owned(), subject.into());
        }
        claims.insert("iat".to_owned(), Value::Int(now - CLOCK_DRIFT));
        let ends = now - CLOCK_DRIFT + SIGNED_FOR;
        claims.insert("exp".to_owned(), Value::Int(ends));
        let key = self.required("private_key")?;
        jws::sign(Algorithm::RS256, &key, None, &header.into(), &claims.into())
            .map_err(|error| misconfigured(&error.to_string()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.file
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    fn required(&self, name: &str) -> Result<String, FetchError> {
        let text = self.text(name).map(str::to_owned);
        text.ok_or_else(|| misconfigured(&format!("the key file has no {name}")))
    }
}

pub(super) fn misconfigured(what: &str) -> FetchError {
    FetchError::Misconfigured(format!("Google credentials: {what}"))
}
