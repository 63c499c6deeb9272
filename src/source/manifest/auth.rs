//! Authenticators that need no request of their own: key, bearer token, name and password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::expr::{Expr, unsupported};
use super::fields::{optional, problem, required, text, texts, type_of};
use super::options::{RequestOption, RequestOptions};
use super::template::{Context, EvalError, Literal};
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
}

impl Authenticator {
    /// Builds `authenticator` of a requester. `config` selects among several.
    pub(super) fn build(node: &Node, config: &Value) -> Result<Self, Problem> {
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
            Some("SelectiveAuthenticator") => return select(node, config),
            _ => return Err(unsupported(node)),
        })
    }

    /// What it adds to a request. `verbatim` keeps credentials as they are spelled; the reference
    /// reads the token `12e4` as a number and sends `120000.0`.
    pub(super) fn options(
        &self,
        context: &Context<'_>,
        verbatim: bool,
    ) -> Result<RequestOptions, EvalError> {
        let read = |expr: &Expr| {
            if verbatim {
                expr.verbatim(context)
            } else {
                expr.text(context)
            }
        };
        let mut options = RequestOptions::default();
        let (option, credential) = match self {
            Self::None => return Ok(options),
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
        };
        keep_out_of_logs(&credential);
        option.inject(&mut options, Literal::Str(credential), context)?;
        Ok(options)
    }
}

/// A credential made of secrets is one itself, with or without the scheme before it.
fn keep_out_of_logs(credential: &str) {
    register_secret(credential);
    if let Some((_scheme, rest)) = credential.split_once(' ') {
        register_secret(rest);
    }
}

/// The authenticator that a value of the configuration names.
fn select(node: &Node, config: &Value) -> Result<Authenticator, Problem> {
    let path = texts(node, "authenticator_selection_path")?;
    let chosen = path
        .iter()
        .try_fold(config, |at, part| at.get(part))
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    let Some(chosen) = chosen else {
        return Err(problem(
            node.at,
            format!("the configuration has no {}", path.join(".")),
            "set it: it chooses the way to authenticate",
        ));
    };
    let authenticators = required(node, "authenticators")?;
    match optional(authenticators, &chosen) {
        Some(authenticator) => Authenticator::build(authenticator, config),
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
