//! Authenticators: how requests prove who sends them.
//!
//! Some need no request of their own: key, bearer token, name and password, signed token. What an
//! [`Issued`] one adds must be asked for first; it goes into a request just before that is sent,
//! so that no request waits with a token that ends meanwhile.

mod github_app;
mod google;
mod issued;
mod jwt;
mod legacy_session;
mod oauth;
mod session;
mod updater;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use self::issued::Issued;
use self::jwt::Jwt;
use super::expr::{Expr, unsupported};
use super::fields::{optional, problem, required, text, texts, type_of};
use super::options::{RequestOption, RequestOptions};
use super::template::{Context, EvalError, Literal};
use crate::client::FetchError;
use crate::document::{Node, Problem};
use crate::json::Value;
use crate::telemetry::register_secret;

/// How requests prove who sends them.
#[derive(Debug, Clone)]
pub(super) enum Authenticator {
    /// Not at all.
    None,
    /// A token, wherever the provider wants it.
    Key { option: RequestOption, token: Expr },
    /// `Authorization: Bearer …`
    Bearer { option: RequestOption, token: Expr },
    /// `Authorization: Basic …`
    Basic {
        option: RequestOption,
        user: Expr,
        password: Option<Expr>,
    },
    /// A token that this worker signs.
    Jwt(Arc<Jwt>),
    /// A token that somebody issues.
    Issued(Arc<Issued>),
}

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
            Some("ApiKeyAuthenticator") => {
                let option = match (optional(node, "inject_into"), text(node, "header")?) {
                    (Some(option), None) => RequestOption::build(option)?,
                    (None, Some(name)) => RequestOption::header(name, node)?,
                    _ => {
                        return Err(problem(
                            node.at,
                            "ApiKeyAuthenticator has not exactly one of inject_into and header",
                            "keep inject_into",
                        ));
                    }
                };
                let token = Expr::required(node, "api_token")?;
                Self::Key { option, token }
            }
            Some("BearerAuthenticator") => Self::Bearer {
                option: RequestOption::header("Authorization", node)?,
                token: Expr::required(node, "api_token")?,
            },
            Some("BasicHttpAuthenticator") => Self::Basic {
                option: RequestOption::header("Authorization", node)?,
                user: Expr::required(node, "username")?,
                password: Expr::field(node, "password")?,
            },
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
            Some("SelectiveAuthenticator") => return select(node, requester, config, verbatim),
            _ => return Err(unsupported(node)),
        })
    }

    /// What it adds to a request while that is made; nothing if it must be issued first.
    pub(super) fn options(
        &self,
        context: &Context<'_>,
        verbatim: bool,
    ) -> Result<RequestOptions, AuthError> {
        let read = |expr: &Expr| {
            if verbatim {
                expr.verbatim(context)
            } else {
                expr.text(context)
            }
        };
        let mut options = RequestOptions::default();
        let (option, credential) = match self {
            Self::None | Self::Issued(_) => return Ok(options),
            Self::Key { option, token } => {
                let token = read(token)?;
                // An empty key is none: providers answer it as a wrong one.
                if token.is_empty() && verbatim {
                    return Ok(options);
                }
                (option, token)
            }
            Self::Bearer { option, token } => (option, format!("Bearer {}", read(token)?)),
            Self::Basic {
                option,
                user,
                password,
            } => {
                let password = password.as_ref().map(read).transpose()?.unwrap_or_default();
                let pair = format!("{}:{password}", read(user)?);
                (option, format!("Basic {}", BASE64.encode(pair)))
            }
            // It keeps what it signs out of logs, as long as that is used.
            Self::Jwt(jwt) => {
                let credential = Literal::Str(jwt.credential(context)?);
                jwt.option().inject(&mut options, credential, context)?;
                return Ok(options);
            }
        };
        keep_out_of_logs(&credential);
        option.inject(&mut options, Literal::Str(credential), context)?;
        Ok(options)
    }

    /// What must be issued first, if this is such a one.
    pub(super) fn issued(&self) -> Option<&Issued> {
        match self {
            Self::Issued(issued) => Some(issued),
            _ => None,
        }
    }
}

/// A credential made of secrets is one itself, with or without the scheme before it.
fn keep_out_of_logs(credential: &str) {
    register_secret(credential);
    if let Some((_scheme, rest)) = credential.split_once(' ') {
        register_secret(rest);
    }
}

/// Where the configuration does not name the way: the one that is called like a field that it has.
fn by_what_is_given(
    node: &Node,
    path: &[String],
    authenticators: &Node,
    config: &Value,
) -> Result<String, Problem> {
    let is_given = |name: &str| match config.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let names = || authenticators.entries().iter().map(|entry| &*entry.key);
    let given: Vec<&str> = names().filter(|name| is_given(name)).collect();
    match given[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(problem(
            node.at,
            format!("the configuration has no {}", path.join(".")),
            format!(
                "set it, or give one of {}: it chooses the way to authenticate",
                names().collect::<Vec<_>>().join(", ")
            ),
        )),
        _ => Err(problem(
            node.at,
            format!(
                "the configuration has {}, which contradict each other",
                given.join(" and ")
            ),
            "keep one: it chooses the way to authenticate",
        )),
    }
}

/// The authenticator that a value of the configuration names.
fn select(
    node: &Node,
    requester: &Node,
    config: &Value,
    verbatim: bool,
) -> Result<Authenticator, Problem> {
    let path = texts(node, "authenticator_selection_path")?;
    let chosen = path
        .iter()
        .try_fold(config, |at, part| at.get(part))
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    let authenticators = required(node, "authenticators")?;
    let chosen = match chosen {
        Some(chosen) => chosen,
        None => by_what_is_given(node, &path, authenticators, config)?,
    };
    match optional(authenticators, &chosen) {
        Some(authenticator) => Authenticator::build(authenticator, requester, config, verbatim),
        None => {
            let known: Vec<&str> = authenticators
                .entries()
                .iter()
                .map(|entry| &*entry.key)
                .collect();
            Err(problem(
                authenticators.at,
                format!("{} chooses no known way to authenticate", path.join(".")),
                format!("use one of: {}", known.join(", ")),
            ))
        }
    }
}
