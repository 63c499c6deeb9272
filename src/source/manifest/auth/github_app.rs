//! `GithubAppAuthenticator`, which the low-code format lacks.

use std::sync::Arc;

use url::Url;

use super::super::expr::Expr;
use super::super::options::RequestOption;
use super::super::retriever::Run;
use super::google::optional;
use super::issued::{Issued, Scheme};
use crate::client::FetchError;
use crate::client::auth::{GithubApp, Grant, Keeper, Manners};
use crate::document::{Node, Problem};

/// `GithubAppAuthenticator`
#[derive(Debug)]
pub(super) struct App {
    pub(super) option: RequestOption,
    base: Expr,
    id: Expr,
    private_key: Expr,
    installation: Option<Expr>,
    account: Option<Expr>,
}

pub(super) fn build(node: &Node) -> Result<Issued, Problem> {
    Ok(Issued::new(Scheme::GithubApp(Box::new(App {
        option: RequestOption::header("Authorization", node)?,
        base: Expr::required(node, "url_base")?,
        id: Expr::required(node, "app_id")?,
        private_key: Expr::required(node, "private_key")?,
        installation: Expr::field(node, "installation_id")?,
        account: Expr::field(node, "account")?,
    }))))
}

impl App {
    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<Arc<Keeper>, FetchError> {
        use secrecy::ExposeSecret as _;
        let app = self.app(run)?;
        let seed = [
            "github app",
            app.base.as_str(),
            &app.app_id,
            app.private_key.expose_secret(),
            app.installation.as_deref().unwrap_or_default(),
            app.account.as_deref().unwrap_or_default(),
        ];
        run.credentials.keeper(&seed, Manners::Worker, run.client)
    }

    pub(super) fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        Ok(Grant::GithubApp(self.app(run)?))
    }

    fn app(&self, run: &Run<'_>) -> Result<GithubApp, FetchError> {
        let context = run.context();
        let read = |expr: &Expr, what: &str| {
            let text = optional(run, Some(expr), &context, what)?;
            text.ok_or_else(|| run.misconfigured(format!("authenticator: {what} is empty")))
        };
        Ok(GithubApp {
            base: Url::parse(&read(&self.base, "url_base")?)
                .map_err(|_| run.misconfigured("authenticator: url_base is no address"))?,
            app_id: read(&self.id, "app_id")?,
            private_key: read(&self.private_key, "private_key")?.into(),
            installation: optional(run, self.installation.as_ref(), &context, "installation_id")?,
            account: optional(run, self.account.as_ref(), &context, "account")?,
        })
    }
}
