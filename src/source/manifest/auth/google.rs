//! `GoogleServiceAccountAuthenticator` and `GoogleDefaultAuthenticator`, which the low-code format
//! lacks: keys as Google hands them out, and what a machine has anyway.

use std::path::Path;
use std::sync::Arc;

use super::super::expr::Expr;
use super::super::fields::{texts, type_of};
use super::super::options::RequestOption;
use super::super::retriever::Run;
use super::super::template::{Context, EvalError, Literal};
use super::issued::{Issued, Scheme};
use crate::client::auth::{GoogleDefault, GoogleKey, Grant, Keeper, Manners};
use crate::client::{AddressPolicy, FetchError};
use crate::document::{Node, Problem};
use crate::json::Value;

/// Either of the two.
#[derive(Debug)]
pub(super) struct Google {
    pub(super) option: RequestOption,
    /// The key file: its text, its contents, or where it is. `None`: what the machine has.
    key: Option<Expr>,
    subject: Option<Expr>,
    scopes: String,
}

pub(super) fn build(node: &Node) -> Result<Issued, Problem> {
    let key = match type_of(node) {
        Some("GoogleDefaultAuthenticator") => None,
        _ => Some(Expr::required(node, "key")?),
    };
    super::super::fields::required(node, "scopes")?;
    Ok(Issued::new(Scheme::Google(Box::new(Google {
        option: RequestOption::header("Authorization", node)?,
        key,
        subject: Expr::field(node, "subject")?,
        scopes: texts(node, "scopes")?.join(" "),
    }))))
}

impl Google {
    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<Arc<Keeper>, FetchError> {
        let subject = self.subject(run)?;
        let seed = match self.find(run)? {
            GoogleDefault::Key(key) => key.seed(&self.scopes, subject.as_deref()).to_vec(),
            GoogleDefault::Machine(_) => vec!["machine".to_owned(), self.scopes.clone()],
        };
        let seed: Vec<&str> = seed.iter().map(String::as_str).collect();
        run.credentials.keeper(&seed, Manners::Worker, run.client)
    }

    pub(super) fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        match self.find(run)? {
            GoogleDefault::Key(key) => key.grant(&self.scopes, self.subject(run)?.as_deref()),
            GoogleDefault::Machine(server) => Ok(Grant::Metadata(server)),
        }
    }

    fn find(&self, run: &Run<'_>) -> Result<GoogleDefault, FetchError> {
        let is_operators = run.client.address_policy() == AddressPolicy::Trusted;
        let mine = |what: &str| {
            FetchError::Misconfigured(format!("{what} of this machine are not for tenants"))
        };
        let Some(expr) = &self.key else {
            if !is_operators {
                return Err(mine("application default credentials"));
            }
            return run.credentials.google().find(&self.scopes);
        };
        let context = run.context();
        let failed = |error: EvalError| run.misconfigured(format!("authenticator: key: {error}"));
        // A key file that the configuration holds as an object.
        if let Ok(value @ Value::Object(_)) = expr.value(&context).map(Literal::into_json) {
            return GoogleKey::new(value).map(GoogleDefault::Key);
        }
        let text = expr.verbatim(&context).map_err(failed)?;
        let text = text.trim();
        if text.is_empty() {
            return Err(run.misconfigured("authenticator: key is empty"));
        }
        let key = if text.starts_with('{') {
            GoogleKey::parse(text)?
        } else if is_operators {
            GoogleKey::load(Path::new(text))?
        } else {
            return Err(mine("files"));
        };
        Ok(GoogleDefault::Key(key))
    }

    fn subject(&self, run: &Run<'_>) -> Result<Option<String>, FetchError> {
        optional(run, self.subject.as_ref(), &run.context(), "subject")
    }
}

/// A template that may come out empty.
pub(super) fn optional(
    run: &Run<'_>,
    expr: Option<&Expr>,
    context: &Context<'_>,
    what: &str,
) -> Result<Option<String>, FetchError> {
    let text = expr.map(|expr| expr.verbatim(context)).transpose();
    let text =
        text.map_err(|error| run.misconfigured(format!("authenticator: {what}: {error}")))?;
    Ok(text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty()))
}
