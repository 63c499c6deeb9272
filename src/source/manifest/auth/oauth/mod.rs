//! `OAuthAuthenticator`: tokens of an OAuth 2.0 token endpoint, for a refresh token, for the
//! client's own credentials, or for an assertion that this worker signs.

mod request;

use std::sync::Arc;

use jiff::Timestamp;

use super::super::datetime::DateTime;
use super::super::expr::{Expr, expr_map};
use super::super::fields::{flag, list, optional, problem, text, texts, type_of};
use super::super::options::RequestOption;
use super::super::retriever::Run;
use super::super::template::{Context, EvalError};
use super::issued::{Issued, Scheme};
use super::jwt::Jwt;
use super::updater::Updater;
use crate::client::FetchError;
use crate::client::auth::{Grant, Keeper, Manners, Rejection, Secret, Token};
use crate::document::{Kind, Node, Problem};

/// `OAuthAuthenticator`
#[derive(Debug)]
pub(super) struct OAuth {
    pub(super) option: RequestOption,
    verbatim: bool,
    endpoint: Option<Expr>,
    client_id_name: Expr,
    client_id: Option<Expr>,
    client_secret_name: Expr,
    client_secret: Option<Expr>,
    refresh_token_name: Expr,
    refresh_token: Option<Expr>,
    grant_type_name: Expr,
    grant_type: Expr,
    scopes: Vec<String>,
    body: Vec<(Expr, Expr)>,
    headers: Vec<(Expr, Expr)>,
    in_query: bool,
    access_token_name: Expr,
    access_token: Option<Expr>,
    expires_name: Expr,
    expires: Option<Expr>,
    is_instant: bool,
    assertion: Option<Assertion>,
    rejection: Rejection,
    updater: Option<Updater>,
}

/// A signed token that stands for the client.
#[derive(Debug)]
struct Assertion {
    jwt: Jwt,
    /// Whether it is used at all.
    condition: Expr,
}

/// Builds an `OAuthAuthenticator`.
pub(super) fn build(node: &Node, verbatim: bool) -> Result<Issued, Problem> {
    let named = |key: &str, default: &str| match Expr::field(node, key)? {
        Some(name) => Ok(name),
        None => Expr::constant(default, node),
    };
    let updater = optional(node, "refresh_token_updater")
        .map(Updater::build)
        .transpose()?;
    let assertion = match (
        optional(node, "profile_assertion"),
        Expr::field(node, "use_profile_assertion")?,
    ) {
        (Some(jwt), Some(condition)) => {
            if !matches!(type_of(jwt), Some("JwtAuthenticator")) {
                return Err(super::super::expr::unsupported(jwt));
            }
            Some(Assertion {
                jwt: Jwt::build(jwt, verbatim)?,
                condition,
            })
        }
        _ => None,
    };
    let oauth = OAuth {
        option: RequestOption::header("Authorization", node)?,
        verbatim,
        endpoint: Expr::field(node, "token_refresh_endpoint")?,
        client_id_name: named("client_id_name", "client_id")?,
        client_id: Expr::field(node, "client_id")?,
        client_secret_name: named("client_secret_name", "client_secret")?,
        client_secret: Expr::field(node, "client_secret")?,
        refresh_token_name: named("refresh_token_name", "refresh_token")?,
        refresh_token: Expr::field(node, "refresh_token")?,
        grant_type_name: named("grant_type_name", "grant_type")?,
        grant_type: named("grant_type", "refresh_token")?,
        scopes: texts(node, "scopes")?,
        body: expr_map(node, "refresh_request_body")?,
        headers: expr_map(node, "refresh_request_headers")?,
        in_query: flag(node, "send_refresh_request_as_query_params")?,
        access_token_name: named("access_token_name", "access_token")?,
        access_token: Expr::field(node, "access_token_value")?,
        expires_name: named("expires_in_name", "expires_in")?,
        expires: Expr::field(node, "token_expiry_date")?,
        is_instant: optional(node, "token_expiry_date_format").is_some(),
        assertion,
        rejection: rejection(node)?,
        updater,
    };
    if oauth.endpoint.is_none() && oauth.access_token.is_none() {
        return Err(problem(
            node.at,
            "OAuthAuthenticator has neither token_refresh_endpoint nor access_token_value",
            "add token_refresh_endpoint",
        ));
    }
    Ok(Issued::new(Scheme::OAuth(Box::new(oauth))))
}

/// `refresh_token_error_*`, which older manifests keep in `refresh_token_updater`.
fn rejection(node: &Node) -> Result<Rejection, Problem> {
    let within = optional(node, "refresh_token_updater");
    let has = |node: &Node| {
        ["status_codes", "key", "values"]
            .iter()
            .any(|part| optional(node, &format!("refresh_token_error_{part}")).is_some())
    };
    let owner = match within {
        Some(updater) if has(updater) && has(node) => {
            return Err(problem(
                updater.at,
                "refresh_token_error_* stands in OAuthAuthenticator and in refresh_token_updater",
                "keep it in OAuthAuthenticator",
            ));
        }
        Some(updater) if has(updater) => updater,
        _ => node,
    };
    let statuses = list(owner, "refresh_token_error_status_codes")?;
    Ok(Rejection {
        statuses: statuses.iter().filter_map(status).collect(),
        key: text(owner, "refresh_token_error_key")?
            .unwrap_or_default()
            .to_owned(),
        values: texts(owner, "refresh_token_error_values")?,
    })
}

fn status(node: &Node) -> Option<u16> {
    match &node.kind {
        Kind::Int(number) => u16::try_from(*number).ok(),
        Kind::String(text) => text.parse().ok(),
        _ => None,
    }
}

impl OAuth {
    /// A token that is used as it is, because there is nowhere to ask for another.
    pub(super) fn given(&self, run: &Run<'_>) -> Result<Option<Token>, FetchError> {
        if self.endpoint.is_some() {
            return Ok(None);
        }
        let context = run.context();
        let token = self.optional(
            run,
            "access_token_value",
            self.access_token.as_ref(),
            &context,
        )?;
        Ok(token.map(|token| Token::new(token.into(), Timestamp::now(), None)))
    }

    /// The keeper of these credentials, which starts with the token of the configuration.
    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<Arc<Keeper>, FetchError> {
        let context = run.context();
        let seed = self.seed(run, &context)?;
        let seed: Vec<&str> = seed.iter().map(String::as_str).collect();
        let keeper = match (self.verbatim, &self.updater) {
            (true, _) => run.credentials.keeper(&seed, Manners::Worker, run.client)?,
            // Streams share what is written back into the configuration, and nothing else.
            (false, Some(_)) => run
                .credentials
                .keeper(&seed, Manners::Reference, run.client)?,
            (false, None) => run.credentials.private_keeper(run.client)?,
        };
        if let Some(token) = self.configured_token(run, &context)? {
            keeper.start_with(token);
        }
        Ok(keeper)
    }

    /// Where tokens come from, for whom, and the secret that buys them. A rotated refresh token is
    /// another token of the same credential, a newly configured one another credential.
    fn seed(&self, run: &Run<'_>, context: &Context<'_>) -> Result<Vec<String>, FetchError> {
        let request = self.request(run, context)?;
        let mut seed = vec![request.url.to_string()];
        if let Some(name) = &request.refresh_field {
            let of = |name: &str| {
                let field = request.fields.iter().find(|(field, _)| field == name);
                field.map_or_else(String::new, |(_, value)| value.clone())
            };
            seed.push("refresh".to_owned());
            seed.push(self.read(run, "client_id_name", &self.client_id_name, context)?);
            seed.push(
                self.optional(run, "client_id", self.client_id.as_ref(), context)?
                    .unwrap_or_default(),
            );
            seed.push(of(name));
            return Ok(seed);
        }
        match self.assertion(run, context)? {
            Some(assertion) => {
                seed.push("assertion".to_owned());
                seed.extend(assertion.jwt.seed(context)?);
            }
            None => {
                seed.push("client".to_owned());
                let pairs = request.fields.into_iter().chain(request.headers);
                seed.extend(pairs.flat_map(|(name, value)| [name, value]));
            }
        }
        Ok(seed)
    }

    fn configured_token(
        &self,
        run: &Run<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Token>, FetchError> {
        let (token, expires) = match &self.updater {
            Some(updater) => (
                updater.access_token(run.config),
                updater.expires(run.config),
            ),
            None => (
                self.optional(
                    run,
                    "access_token_value",
                    self.access_token.as_ref(),
                    context,
                )?,
                self.optional(run, "token_expiry_date", self.expires.as_ref(), context)?,
            ),
        };
        let (Some(token), Some(expires)) = (token, expires) else {
            // Of unknown age: asked for anew.
            return Ok(None);
        };
        let expires = instant(&expires).ok_or_else(|| {
            run.misconfigured("authenticator: the token's expiry date is no date")
        })?;
        let now = Timestamp::now();
        Ok((expires > now).then(|| Token::new(token.into(), now, Some(expires))))
    }

    pub(super) fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        let request = self.request(run, &run.context())?;
        Ok(Grant::Endpoint(request))
    }

    fn assertion(
        &self,
        run: &Run<'_>,
        context: &Context<'_>,
    ) -> Result<Option<&Assertion>, FetchError> {
        let Some(assertion) = &self.assertion else {
            return Ok(None);
        };
        let is_used = assertion
            .condition
            .boolean(context)
            .map_err(|error| failed(run, "use_profile_assertion", &error))?;
        Ok(is_used.then_some(assertion))
    }

    /// Tells of a configuration that a renewal has changed, once per renewal.
    pub(super) fn tell(&self, run: &Run<'_>, keeper: &Keeper) {
        let (Some(updater), Some(tell)) = (&self.updater, run.credentials.tells_of_changes())
        else {
            return;
        };
        if let Some((token, refresh)) = keeper.unannounced() {
            let refresh = refresh.as_ref().map(Secret::expose);
            tell(&updater.changed(run.config, &token, refresh));
        }
    }

    fn read(
        &self,
        run: &Run<'_>,
        what: &str,
        expr: &Expr,
        context: &Context<'_>,
    ) -> Result<String, FetchError> {
        let text = if self.verbatim {
            expr.verbatim(context)
        } else {
            expr.text(context)
        };
        text.map_err(|error| failed(run, what, &error))
    }

    fn optional(
        &self,
        run: &Run<'_>,
        what: &str,
        expr: Option<&Expr>,
        context: &Context<'_>,
    ) -> Result<Option<String>, FetchError> {
        let text = expr.map(|expr| self.read(run, what, expr, context));
        Ok(text.transpose()?.filter(|text| !text.is_empty()))
    }
}

fn failed(run: &Run<'_>, what: &str, error: &EvalError) -> FetchError {
    run.misconfigured(format!("authenticator: {what}: {error}"))
}

/// An instant as the reference reads it: ISO 8601, or seconds since 1970.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    DateTime::parse_lenient(text)
        .ok()
        .map(|date| date.timestamp())
}
