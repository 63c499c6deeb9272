//! `LegacySessionTokenAuthenticator`: a session token of the configuration, or one that a login
//! with name and password gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::super::expr::Expr;
use super::super::fields::{problem, required, text};
use super::super::options::RequestOption;
use super::super::retriever::Run;
use super::issued::{Issued, Scheme};
use crate::client::auth::{Grant, Keeper, Login, Manners, Token};
use crate::client::{FetchError, HttpJudge, Request, Response, set_header};
use crate::document::{Node, Problem};
use crate::json::{Map, Value, parse};

/// How long the reference keeps a token that a login gave.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// `LegacySessionTokenAuthenticator`
#[derive(Debug)]
pub(super) struct LegacySession {
    /// The header that holds the token.
    pub(super) option: RequestOption,
    header: Expr,
    base: Expr,
    login_path: Expr,
    validate_path: Expr,
    key: Expr,
    token: Option<Expr>,
    user: Option<Expr>,
    password: Option<Expr>,
    verbatim: bool,
    /// Whether the configured token was refused.
    refused: AtomicBool,
}

/// Builds a `LegacySessionTokenAuthenticator` of `requester`, whose address its paths continue.
pub(super) fn build(node: &Node, requester: &Node, verbatim: bool) -> Result<Issued, Problem> {
    let base = match Expr::field(requester, "url_base")? {
        Some(base) => base,
        None => Expr::required(requester, "url")?,
    };
    let name = text(node, "header")?.ok_or_else(|| {
        problem(
            node.at,
            "LegacySessionTokenAuthenticator has no header",
            "add the field header",
        )
    })?;
    required(node, "login_url")?;
    Ok(Issued::new(Scheme::LegacySession(Box::new(
        LegacySession {
            option: RequestOption::header(name, node)?,
            header: Expr::required(node, "header")?,
            base,
            login_path: Expr::required(node, "login_url")?,
            validate_path: Expr::required(node, "validate_session_url")?,
            key: Expr::required(node, "session_token_response_key")?,
            token: Expr::field(node, "session_token")?,
            user: Expr::field(node, "username")?,
            password: Expr::field(node, "password")?,
            verbatim,
            refused: AtomicBool::new(false),
        },
    ))))
}

impl LegacySession {
    /// The configured token. The reference asks before every request whether it is still good; the
    /// worker learns it from the answers.
    pub(super) async fn given(&self, run: &Run<'_>) -> Result<Option<Token>, FetchError> {
        let Some(token) = self.configured(run)? else {
            return Ok(None);
        };
        if self.verbatim {
            return Ok((!self.refused.load(Ordering::Relaxed)).then_some(token));
        }
        let mut headers = HeaderMap::new();
        set_header(&mut headers, &self.read(run, &self.header)?, token.expose())?;
        let request = Request {
            method: Method::GET,
            url: self.address(run, &self.validate_path)?,
            headers,
            body: None,
        };
        let judge = HttpJudge { clock: run.clock };
        match run.client.send(&request, &judge).await {
            Ok(_) => Ok(Some(token)),
            Err(FetchError::Unauthorized(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a login may do better than `refused`, the configured token or that of a login.
    pub(super) fn refuse_given(&self, run: &Run<'_>, refused: &Token) -> Result<bool, FetchError> {
        if self
            .configured(run)?
            .is_some_and(|token| token.expose() == refused.expose())
        {
            self.refused.store(true, Ordering::Relaxed);
        }
        Ok(self.name_and_password(run)?.is_some())
    }

    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<Arc<Keeper>, FetchError> {
        let address = self.address(run, &self.login_path)?;
        let (user, password) = self.name_and_password(run)?.unwrap_or_default();
        let seed = ["legacy session", address.as_str(), &user, &password];
        let manners = if self.verbatim {
            Manners::Worker
        } else {
            Manners::Reference
        };
        run.credentials.keeper(&seed, manners, run.client)
    }

    pub(super) fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        let Some((user, password)) = self.name_and_password(run)? else {
            return Err(FetchError::Unauthorized(
                "the session token is not valid, and there is no name and password to get another"
                    .to_owned(),
            ));
        };
        let mut body = Map::new();
        body.insert("username".to_owned(), user.into());
        body.insert("password".to_owned(), password.into());
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "content-type", "application/json")?;
        let key = self.read(run, &self.key)?;
        let find = move |response: &Response| {
            let answer = parse(&response.body).map_err(|_| "the answer is no JSON".to_owned())?;
            match answer.get(&key) {
                Some(Value::String(token)) if !token.is_empty() => Ok(token.clone()),
                _ => Err(format!("the answer has no {key}")),
            }
        };
        Ok(Grant::Login(Login {
            request: Request {
                method: Method::POST,
                url: self.address(run, &self.login_path)?,
                headers,
                body: Some(Value::from(body).to_json().into()),
            },
            judge: Arc::new(HttpJudge { clock: run.clock }),
            find: Arc::new(find),
            life: Some(LIFE),
        }))
    }

    fn configured(&self, run: &Run<'_>) -> Result<Option<Token>, FetchError> {
        let token = self.optional(run, self.token.as_ref())?;
        Ok(token.map(|token| Token::new(token.into(), Timestamp::now(), None)))
    }

    fn name_and_password(&self, run: &Run<'_>) -> Result<Option<(String, String)>, FetchError> {
        let user = self.optional(run, self.user.as_ref())?;
        let password = self.optional(run, self.password.as_ref())?;
        Ok(user.zip(password))
    }

    /// Base and path, joined as they stand.
    fn address(&self, run: &Run<'_>, path: &Expr) -> Result<Url, FetchError> {
        let text = format!("{}{}", self.read(run, &self.base)?, self.read(run, path)?);
        Url::parse(text.trim())
            .map_err(|_| run.misconfigured("authenticator: the address of the session is none"))
    }

    fn optional(&self, run: &Run<'_>, expr: Option<&Expr>) -> Result<Option<String>, FetchError> {
        let text = expr.map(|expr| self.read(run, expr)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn read(&self, run: &Run<'_>, expr: &Expr) -> Result<String, FetchError> {
        let context = run.context();
        let text = if self.verbatim {
            expr.verbatim(&context)
        } else {
            expr.text(&context)
        };
        text.map_err(|error| run.misconfigured(format!("authenticator: {error}")))
    }
}
