//! Credentials that are asked for: the token of the moment, and where it goes in a request.

use std::sync::{Arc, OnceLock};

use super::super::options::{RequestOption, RequestOptions};
use super::super::retriever::Run;
use super::super::template::Literal;
use super::github_app::App;
use super::google::Google;
use super::legacy_session::LegacySession;
use super::oauth::OAuth;
use super::session::Session;
use crate::client::FetchError;
use crate::client::auth::{Grant, Keeper, Token};

/// An authenticator whose token somebody issues.
pub(in crate::source::manifest) struct Issued {
    scheme: Scheme,
    /// Made at the first request: no connection is set up for a stream that is never read.
    keeper: OnceLock<Arc<Keeper>>,
}

/// Who issues, and how the token is shown.
#[derive(Debug)]
pub(super) enum Scheme {
    /// `OAuthAuthenticator`
    OAuth(Box<OAuth>),
    /// `SessionTokenAuthenticator`
    Session(Box<Session>),
    /// `LegacySessionTokenAuthenticator`
    LegacySession(Box<LegacySession>),
    /// `GithubAppAuthenticator`
    GithubApp(Box<App>),
    /// `GoogleServiceAccountAuthenticator`, `GoogleDefaultAuthenticator`
    Google(Box<Google>),
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scheme.fmt(f)
    }
}

impl Issued {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            keeper: OnceLock::new(),
        }
    }

    /// The token for a request that is about to be sent.
    pub(in crate::source::manifest) async fn token(
        &self,
        run: &Run<'_>,
    ) -> Result<Token, FetchError> {
        if let Scheme::OAuth(oauth) = &self.scheme
            && let Some(token) = oauth.given(run)?
        {
            return Ok(token);
        }
        if let Scheme::LegacySession(session) = &self.scheme
            && let Some(token) = session.given(run).await?
        {
            return Ok(token);
        }
        let keeper = self.keeper(run)?;
        let token = keeper.token(|| self.grant(run)).await?;
        self.tell(run, keeper);
        Ok(token)
    }

    /// Another token in place of `refused`; `None` where none would do better.
    pub(in crate::source::manifest) async fn replacement(
        &self,
        run: &Run<'_>,
        refused: &Token,
    ) -> Result<Option<Token>, FetchError> {
        if let Scheme::OAuth(oauth) = &self.scheme
            && oauth.given(run)?.is_some()
        {
            return Ok(None);
        }
        if let Scheme::LegacySession(session) = &self.scheme
            && !session.refuse_given(run, refused)?
        {
            return Ok(None);
        }
        let keeper = self.keeper(run)?;
        let token = keeper.replacement(|| self.grant(run), refused).await?;
        self.tell(run, keeper);
        Ok(token)
    }

    /// What the token adds to a request.
    pub(in crate::source::manifest) fn options(
        &self,
        run: &Run<'_>,
        token: &Token,
    ) -> Result<RequestOptions, FetchError> {
        let context = run.context();
        let mut options = RequestOptions::default();
        let (option, credential): (&RequestOption, String) = match &self.scheme {
            Scheme::OAuth(oauth) => (&oauth.option, format!("Bearer {}", token.expose())),
            Scheme::Session(session) => (&session.option, session.shown(run, token)?),
            Scheme::LegacySession(session) => (&session.option, token.expose().to_owned()),
            Scheme::GithubApp(app) => (&app.option, format!("Bearer {}", token.expose())),
            Scheme::Google(google) => (&google.option, format!("Bearer {}", token.expose())),
        };
        token.shown_as(&credential);
        option
            .inject(&mut options, Literal::Str(credential), &context)
            .map_err(|error| run.misconfigured(format!("authenticator: {error}")))?;
        Ok(options)
    }

    pub(super) fn keeper(&self, run: &Run<'_>) -> Result<&Arc<Keeper>, FetchError> {
        if let Some(keeper) = self.keeper.get() {
            return Ok(keeper);
        }
        let keeper = match &self.scheme {
            Scheme::OAuth(oauth) => oauth.keeper(run)?,
            Scheme::Session(session) => session.keeper(run)?,
            Scheme::LegacySession(session) => session.keeper(run)?,
            Scheme::GithubApp(app) => app.keeper(run)?,
            Scheme::Google(google) => google.keeper(run)?,
        };
        Ok(self.keeper.get_or_init(|| keeper))
    }

    fn grant(&self, run: &Run<'_>) -> Result<Grant, FetchError> {
        match &self.scheme {
            Scheme::OAuth(oauth) => oauth.grant(run),
            Scheme::Session(session) => session.grant(run),
            Scheme::LegacySession(session) => session.grant(run),
            Scheme::GithubApp(app) => app.grant(run),
            Scheme::Google(google) => google.grant(run),
        }
    }

    /// Tells of a configuration that the token's renewal has changed.
    fn tell(&self, run: &Run<'_>, keeper: &Keeper) {
        if let Scheme::OAuth(oauth) = &self.scheme {
            oauth.tell(run, keeper);
        }
    }
}
