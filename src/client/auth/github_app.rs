//! A GitHub App: a token that this worker signs buys one of an installation, for an hour.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Issued;
use super::jws::{self, Algorithm};
use crate::client::{Client, FetchError, HttpJudge, Request, Response, set_header, without_query};
use crate::json::{Map, Value, parse};

/// GitHub accepts ten minutes; its clock and ours may differ.
const SIGNED_FOR: i64 = 540;
const CLOCK_DRIFT: i64 = 60;

/// An app, and which of its installations reads.
#[derive(Clone)]
pub struct GithubApp {
    /// `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server.
    pub base: Url,
    /// App id or client id.
    pub app_id: String,
    /// Private key in PEM form.
    pub private_key: SecretString,
    /// The installation; found where it is not named.
    pub installation: Option<String>,
    /// Organisation or user that the app is installed for.
    pub account: Option<String>,
}

impl fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GithubApp({})", self.app_id)
    }
}

impl GithubApp {
    pub(super) async fn ask(&self, client: &Client) -> Result<Issued, FetchError> {
        let signed = self.signed(Timestamp::now())?;
        let installation = match &self.installation {
            Some(id) => id.clone(),
            None => self.find(client, &signed).await?,
        };
        let path = format!("app/installations/{installation}/access_tokens");
        let response = self
            .send(client, Method::POST, &path, &signed)
            .await
            .map_err(|error| match error {
                FetchError::Rejected(what) => FetchError::Unauthorized(format!(
                    "{what}: the app has no installation {installation}; it may have been removed"
                )),
                FetchError::Forbidden(what) => FetchError::Unauthorized(format!(
                    "{what}: the installation {installation} is suspended"
                )),
                other => other,
            })?;
        let answer = answer(&response)?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let Some(token) = text("token").filter(|token| !token.is_empty()) else {
            return Err(unusable(&response, "the answer holds no token"));
        };
        let now = Timestamp::now();
        // Where this machine's clock is ahead, every request would buy a token of its own.
        let expires = text("expires_at")
            .and_then(|at| at.parse::<Timestamp>().ok())
            .filter(|end| *end > now);
        let in_an_hour = || now.checked_add(SignedDuration::from_hours(1)).ok();
        Ok(Issued {
            access: token.to_owned().into(),
            refresh: None,
            expires: expires.or_else(in_an_hour),
        })
    }

    /// The token that says: I am this app.
    fn signed(&self, now: Timestamp) -> Result<String, FetchError> {
        let now = now.as_second();
        let map = |pairs: [(&str, Value); 3]| -> Value {
            let pairs = pairs.into_iter();
            pairs
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map>()
                .into()
        };
        let claims = map([
            ("iat", Value::Int(now - CLOCK_DRIFT)),
            ("exp", Value::Int(now + SIGNED_FOR)),
            ("iss", self.app_id.clone().into()),
        ]);
        let mut header = Map::new();
        header.insert("alg".to_owned(), Algorithm::RS256.name().into());
        header.insert("typ".to_owned(), "JWT".into());
        let key = self.private_key.expose_secret();
        let signed = jws::sign(Algorithm::RS256, key, None, &header.into(), &claims);
        signed.map_err(|error| FetchError::Misconfigured(format!("the GitHub App: {error}")))
    }

    /// The installation for the account, or the only one that there is.
    async fn find(&self, client: &Client, signed: &str) -> Result<String, FetchError> {
        if let Some(account) = &self.account {
            let mut refused = None;
            for kind in ["orgs", "users"] {
                let path = format!("{kind}/{account}/installation");
                match self.send(client, Method::GET, &path, signed).await {
                    Ok(response) => return id_of(&answer(&response)?, &response),
                    Err(FetchError::Rejected(what)) => refused = Some(what),
                    Err(error) => return Err(error),
                }
            }
            let what = refused.unwrap_or_default();
            return Err(FetchError::Unauthorized(format!(
                "{what}: the app is not installed for {account}"
            )));
        }
        let path = "app/installations?per_page=2";
        let response = self.send(client, Method::GET, path, signed).await?;
        match answer(&response)?.as_array().unwrap_or_default() {
            [only] => id_of(only, &response),
            [] => Err(FetchError::Unauthorized(
                "the GitHub App is not installed anywhere: install it for the organisation"
                    .to_owned(),
            )),
            _ => Err(FetchError::Misconfigured(
                "the GitHub App is installed more than once: say which installation".to_owned(),
            )),
        }
    }

    async fn send(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        signed: &str,
    ) -> Result<Response, FetchError> {
        let mut base = self.base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let url = base
            .join(path)
            .map_err(|_| FetchError::Misconfigured("the GitHub App: no address".to_owned()))?;
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "accept", "application/vnd.github+json")?;
        set_header(&mut headers, "authorization", &format!("Bearer {signed}"))?;
        let body = (method == Method::POST).then(|| Bytes::from_static(b"{}"));
        let request = Request {
            method,
            url,
            headers,
            body,
        };
        let sent = client.send(&request, &HttpJudge::default()).await;
        sent.map_err(|error| match error {
            FetchError::Unauthorized(what) => FetchError::Unauthorized(format!(
                "{what}: the id of the GitHub App or its private key is wrong, or this machine's \
                 clock is off"
            )),
            other => other,
        })
    }
}

fn answer(response: &Response) -> Result<Value, FetchError> {
    parse(&response.body).map_err(|_| unusable(response, "the answer is no JSON"))
}

fn id_of(installation: &Value, response: &Response) -> Result<String, FetchError> {
    match installation.get("id") {
        Some(id @ Value::Int(_)) => Ok(id.to_string()),
        _ => Err(unusable(response, "the answer names no installation")),
    }
}

fn unusable(response: &Response, what: &str) -> FetchError {
    FetchError::Unusable(format!("{}: {what}", without_query(&response.url)))
}
