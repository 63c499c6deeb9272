//! Authenticators: how requests prove who sends them.
//!
//! Some need no request of their own: key, bearer token, name and password, signed token. What an
//! [`Issued`] one adds must be asked for first; it goes into a request just before that is sent,
//! so that no request waits with a token that ends meanwhile.

mod basic;
mod bearer;
mod github_app;
mod google;
mod issued;
mod jwt;
mod key;
mod legacy_session;
mod oauth;
mod select;
mod session;
mod shown;
mod updater;

use std::sync::Arc;

use self::basic::Basic;
use self::bearer::Bearer;
use self::issued::Issued;
use self::jwt::Jwt;
use self::key::Key;
use super::expr::{Expr, unsupported};
use super::fields::type_of;
use super::options::RequestOptions;
use super::retriever::Run;
use super::template::{Context, EvalError, Literal};
use crate::client::FetchError;
use crate::client::auth::Keeper;
use crate::document::{Node, Problem};
use crate::json::Value;

/// How requests prove who sends them.
#[derive(Debug, Clone)]
pub(super) enum Authenticator {
    /// Not at all.
    None,
    /// A key, wherever the provider wants it.
    Key(Key),
    /// `Authorization: Bearer …`
    Bearer(Bearer),
    /// `Authorization: Basic …`
    Basic(Basic),
    /// A token that this worker signs.
    Jwt(Arc<Jwt>),
    /// A token that somebody issues.
    Issued(Arc<Issued>),
}

/// Tells credentials apart, to find one again within a poll.
pub(super) enum Proof {
    /// What requests show.
    Shown(Box<RequestOptions>),
    /// How it is signed anew each time.
    Signed(String),
    /// Who keeps its tokens.
    Kept(Arc<Keeper>),
}

impl std::fmt::Debug for Proof {
    /// Nothing of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof")
    }
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shown(one), Self::Shown(other)) => one == other,
            (Self::Signed(one), Self::Signed(other)) => one == other,
            (Self::Kept(one), Self::Kept(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Reads a template as a credential.
type Read<'r> = &'r dyn Fn(&Expr) -> Result<String, EvalError>;

/// Why an authenticator adds nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthError {
    /// A template has no value.
    #[error("authenticator: {0}")]
    Template(#[from] EvalError),
    /// Anything else that is wrong with the configuration.
    #[error("authenticator: {0}")]
    Configuration(String),
}

impl From<AuthError> for FetchError {
    fn from(error: AuthError) -> Self {
        Self::Misconfigured(error.to_string())
    }
}

impl Authenticator {
    /// Builds `authenticator` of `requester`. `config` selects among several; `verbatim` keeps
    /// credentials as they are spelled, where the reference reads the token `12e4` as a number and
    /// sends `120000.0`.
    pub(super) fn build(
        node: &Node,
        requester: &Node,
        config: &Value,
        verbatim: bool,
    ) -> Result<Self, Problem> {
        let issued = |issued| Self::Issued(Arc::new(issued));
        Ok(match type_of(node) {
            Some("NoAuth") => Self::None,
            Some("ApiKeyAuthenticator") => Self::Key(Key::build(node)?),
            Some("BearerAuthenticator") => Self::Bearer(Bearer::build(node)?),
            Some("BasicHttpAuthenticator") => Self::Basic(Basic::build(node)?),
            Some("JwtAuthenticator") => Self::Jwt(Arc::new(Jwt::build(node, verbatim)?)),
            Some("OAuthAuthenticator") => issued(oauth::build(node, verbatim)?),
            Some("SessionTokenAuthenticator") => issued(session::build(node, config, verbatim)?),
            Some("LegacySessionTokenAuthenticator") => {
                issued(legacy_session::build(node, requester, verbatim)?)
            }
            Some("GithubAppAuthenticator") => issued(github_app::build(node)?),
            Some("GoogleServiceAccountAuthenticator" | "GoogleDefaultAuthenticator") => {
                issued(google::build(node)?)
            }
            Some("SelectiveAuthenticator") => {
                return select::select(node, requester, config, verbatim);
            }
            _ => return Err(unsupported(node)),
        })
    }

    /// What it adds to a request while that is made; nothing if it must be issued first.
    pub(super) fn options(
        &self,
        context: &Context<'_>,
        verbatim: bool,
    ) -> Result<RequestOptions, AuthError> {
        let read: Read<'_> = &|expr: &Expr| {
            if verbatim {
                expr.verbatim(context)
            } else {
                expr.text(context)
            }
        };
        let mut options = RequestOptions::default();
        let (option, shown, credential) = match self {
            Self::None | Self::Issued(_) => return Ok(options),
            Self::Key(key) => match key.credential(read)? {
                // An empty key is none: providers answer it as a wrong one.
                key if key.is_empty() && verbatim => return Ok(options),
                credential => (&key.option, &key.shown, credential),
            },
            Self::Bearer(bearer) => (&bearer.option, &bearer.shown, bearer.credential(read)?),
            Self::Basic(basic) => (&basic.option, &basic.shown, basic.credential(read)?),
            // It keeps what it signs out of logs, as long as that is used.
            Self::Jwt(jwt) => {
                let credential = Literal::Str(jwt.credential(context)?);
                jwt.option().inject(&mut options, credential, context)?;
                return Ok(options);
            }
        };
        shown.keep_out_of_logs(&credential);
        option.inject(&mut options, Literal::Str(credential), context)?;
        Ok(options)
    }

    /// What tells it from other credentials of the same configuration.
    pub(super) fn proof(&self, run: &Run<'_>) -> Option<Proof> {
        Some(match self {
            Self::Jwt(jwt) => Proof::Signed(format!("{jwt:?}")),
            Self::Issued(issued) => Proof::Kept(issued.keeper(run).ok()?.clone()),
            _ => Proof::Shown(Box::new(self.options(&run.context(), true).ok()?)),
        })
    }

    /// What must be issued first, if this is such a one.
    pub(super) fn issued(&self) -> Option<&Issued> {
        match self {
            Self::Issued(issued) => Some(issued),
            _ => None,
        }
    }
}
