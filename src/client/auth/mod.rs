//! Credentials that must be asked for: who issues a token, how long it lives, who shares it.
//!
//! A [`Grant`] says how to ask. A [`Keeper`] keeps what came back, for all requests of one
//! credential: it renews a token before it ends, asks once however many wait, and remembers a
//! rotated refresh token in the store before anybody uses what came with it. What a manifest says
//! of all this is the source's business.

mod adc;
mod answer;
mod credentials;
mod endpoint;
mod form;
mod github_app;
mod google;
mod jws;
mod keeper;
mod login;
mod pem;
mod refusal;
mod sealed;
mod secret;
mod watchers;

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use adc::{GoogleDefault, GoogleSurroundings, MetadataServer};
pub use answer::{AnswerNames, Expiry};
pub use credentials::{ConfigurationChanged, Credentials};
pub use endpoint::{Rejection, TokenRequest};
pub use form::encode as encode_form;
pub use github_app::GithubApp;
pub use google::GoogleKey;
pub use jws::{Algorithm, UnknownAlgorithm, sign};
pub use keeper::{Keeper, Manners};
pub use login::Login;
pub use pem::KeyError;
pub use refusal::lacks_scope;
pub use secret::Secret;

use super::{Client, FetchError};

/// How long a token counts whose issuer does not say it.
const DEFAULT_LIFE: Duration = Duration::from_hours(1);

/// A token that proves who asks.
#[derive(Clone)]
pub struct Token {
    value: Secret,
    obtained: Timestamp,
    expires: Option<Timestamp>,
}

impl Token {
    /// A token that was issued at `obtained`.
    pub fn new(value: Secret, obtained: Timestamp, expires: Option<Timestamp>) -> Self {
        Self {
            value,
            obtained,
            expires,
        }
    }

    /// The token itself, for a request.
    pub fn expose(&self) -> &str {
        self.value.expose()
    }

    /// Keeps out of logs what a request shows of it.
    pub fn shown_as(&self, credential: &str) {
        self.value.shown_as(credential);
    }

    /// When its issuer stops accepting it.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// The instant after `share` of its life; `None` if it does not end.
    fn after(&self, share: f64) -> Option<Timestamp> {
        let life = self.expires?.duration_since(self.obtained);
        let used = SignedDuration::try_from_secs_f64(life.as_secs_f64() * share).ok()?;
        self.obtained.checked_add(used).ok()
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now > expires)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(until {:?})", self.expires)
    }
}

/// What an issuer answered.
#[derive(Debug)]
struct Issued {
    access: Secret,
    /// Replaces the refresh token that was sent.
    refresh: Option<Secret>,
    expires: Option<Timestamp>,
}

/// How a token is asked for.
#[derive(Debug, Clone)]
pub enum Grant {
    /// One request to an OAuth 2.0 token endpoint.
    Endpoint(TokenRequest),
    /// A login, whose answer holds a session token.
    Login(Login),
    /// An installation of a GitHub App.
    GithubApp(GithubApp),
    /// The account of the machine.
    Metadata(MetadataServer),
}

impl Grant {
    /// Asks. `refresh` is the refresh token to send, where the grant has one. `client` decides how
    /// patiently.
    async fn ask(&self, client: &Client, refresh: Option<&Secret>) -> Result<Issued, FetchError> {
        match self {
            Self::Endpoint(request) => request.ask(client, refresh).await,
            Self::Login(login) => login.ask(client).await,
            Self::GithubApp(app) => app.ask(client).await,
            Self::Metadata(server) => server.ask().await,
        }
    }

    /// The refresh token of the configuration, where the grant needs one.
    fn configured_refresh_token(&self) -> Option<Secret> {
        match self {
            Self::Endpoint(request) => request.refresh_token(),
            Self::Login(_) | Self::GithubApp(_) | Self::Metadata(_) => None,
        }
    }

    /// Whether its token is of no use to other machines.
    fn is_local(&self) -> bool {
        matches!(self, Self::Metadata(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn nothing_that_holds_a_secret_prints_it() {
        let canary = || "c4nary-debug".to_owned();
        let address = || {
            "https://issuer.test/token?key=c4nary-debug"
                .parse()
                .unwrap()
        };
        let names = AnswerNames {
            access_token: "access_token".to_owned(),
            expires: "expires_in".to_owned(),
            expiry: Expiry::Seconds,
            refresh_token: "refresh_token".to_owned(),
            is_strict: false,
        };
        let endpoint = Grant::Endpoint(TokenRequest {
            url: address(),
            headers: vec![("Authorization".to_owned(), canary())],
            fields: vec![("refresh_token".to_owned(), canary())],
            refresh_field: Some("refresh_token".to_owned()),
            in_query: false,
            names,
            rejection: Rejection::default(),
            plain: false,
        });
        let app = Grant::GithubApp(GithubApp {
            base: address(),
            app_id: "1".to_owned(),
            private_key: canary().into(),
            installation: None,
            account: None,
        });
        let file = r#"{"type": "service_account", "private_key": "c4nary-debug"}"#;
        let key = GoogleKey::new(parse(file.as_bytes()).unwrap()).unwrap();
        let token = Token::new(canary().into(), Timestamp::UNIX_EPOCH, None);
        let issued = Issued {
            access: canary().into(),
            refresh: Some(canary().into()),
            expires: None,
        };
        let printed = format!("{endpoint:?} {app:?} {key:?} {token:?} {issued:?}");
        assert!(!printed.contains("c4nary-debug"), "{printed}");
    }
}
