//! The tokens of one credential: renewed in time, once, and stored before they are used.

mod shared;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::sealed::{Kept, Sealer};
use super::watchers::Watchers;
use super::{DEFAULT_LIFE, Grant, Issued, Secret, Token};
use crate::client::{Client, FetchError};
use crate::store::CredentialStore;

/// Share of a token's life after which it is renewed, and how far workers differ in it.
const RENEW_AFTER: f64 = 0.8;
const RENEW_JITTER: f64 = 0.05;

/// How long a token that is due, but could not be renewed, is used before the next try.
const NEXT_TRY: SignedDuration = SignedDuration::from_secs(30);

/// A token younger than this that is refused is not the reason: a new one would be refused too.
const YOUNG: SignedDuration = SignedDuration::from_secs(2);

/// Least time between two renewals that a refusal causes.
const BETWEEN_REPLACEMENTS: Duration = Duration::from_mins(1);

/// How long a refused credential is not tried again. Issuers lock clients that keep trying.
const REFUSED_FOR: Duration = Duration::from_secs(20);

/// Whose manners a keeper has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Renews ahead of time, shares and stores.
    Worker,
    /// As the format's reference: renews what has ended.
    Reference,
}

/// Keeps the tokens of one credential.
pub struct Keeper {
    sealer: Sealer,
    manners: Manners,
    client: Client,
    watchers: Arc<Watchers>,
    store: Option<Arc<dyn CredentialStore>>,
    renewals: TaskTracker,
    /// Names this keeper to the store's lock.
    owner: String,
    current: Mutex<Current>,
    /// Whoever renews.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    kept: Option<Kept>,
    /// When the token is due; `None`: never.
    due: Option<Timestamp>,
    /// Whether the token comes from an issuer, so that its age is known.
    is_issued: bool,
    /// When a refused token was last replaced.
    replaced: Option<Instant>,
    /// What the issuer said to the last try, if it refused it.
    refused: Option<(Instant, FetchError)>,
    /// Whether somebody is to be told of the token yet.
    is_news: bool,
    /// What is to be stored yet, and what it replaces.
    owed: Option<(u64, Kept)>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({})", self.sealer.id())
    }
}

impl Keeper {
    pub(super) fn new(
        sealer: Sealer,
        manners: Manners,
        client: &Client,
        store: Option<Arc<dyn CredentialStore>>,
        renewals: TaskTracker,
    ) -> Result<Self, FetchError> {
        let watchers = Arc::new(Watchers::default());
        watchers.add(client);
        Ok(Self {
            sealer,
            manners,
            client: client.patient(watchers.clone())?,
            watchers,
            store,
            renewals,
            owner: format!("{}/{:016x}", std::process::id(), rand::random::<u64>()),
            current: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// The connectors that use the credential.
    pub(super) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Starts with a token that the configuration holds.
    pub fn start_with(&self, token: Token) {
        let mut current = self.current();
        if current.kept.is_none() {
            current.due = self.due(&token);
            current.kept = Some(Kept {
                token,
                refresh: None,
            });
        }
    }

    /// Whether something is to be stored yet.
    pub(super) fn is_owing(&self) -> bool {
        self.current().owed.is_some()
    }

    /// The token, if it is not due for renewal.
    pub fn fresh(&self) -> Option<Token> {
        self.fresh_other_than(None)
    }

    /// The token, renewed where it is due. `grant` says how.
    pub async fn token(
        self: &Arc<Self>,
        grant: impl FnOnce() -> Result<Grant, FetchError>,
    ) -> Result<Token, FetchError> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        let error = match self.renewed(grant()?, None).await {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        // One that is due but not at its end still proves who asks.
        let mut current = self.current();
        let now = Timestamp::now();
        match &current.kept {
            Some(kept) if self.manners == Manners::Worker && !kept.token.is_expired(now) => {
                tracing::warn!(credential = self.sealer.id(), %error, "cannot renew a token that is due; using it until it ends");
                let token = kept.token.clone();
                let next = now.checked_add(NEXT_TRY).ok();
                current.due = match token.expires {
                    Some(expires) => next.map(|next| next.min(expires)),
                    None => next,
                };
                Ok(token)
            }
            _ => Err(error),
        }
    }

    /// Another token in place of one that the provider refused; `None` where another would be
    /// refused just the same, because this one was issued only now.
    pub async fn replacement(
        self: &Arc<Self>,
        grant: impl FnOnce() -> Result<Grant, FetchError>,
        refused: &Token,
    ) -> Result<Option<Token>, FetchError> {
        if let Some(token) = self.fresh_other_than(Some(refused)) {
            return Ok(Some(token));
        }
        let (is_issued, replaced) = {
            let current = self.current();
            (current.is_issued, current.replaced)
        };
        let age = Timestamp::now().duration_since(refused.obtained);
        let is_young = is_issued && age < YOUNG;
        let is_early = replaced.is_some_and(|at| at.elapsed() < BETWEEN_REPLACEMENTS);
        if self.manners == Manners::Worker && (is_young || is_early) {
            return Ok(None);
        }
        let token = self.renewed(grant()?, Some(refused.clone())).await?;
        self.current().replaced = Some(Instant::now());
        Ok(Some(token))
    }

    /// The token and the refresh token of a renewal, once.
    pub fn unannounced(&self) -> Option<(Token, Option<Secret>)> {
        let mut current = self.current();
        let is_news = std::mem::take(&mut current.is_news);
        let kept = current.kept.as_ref().filter(|_| is_news)?;
        Some((kept.token.clone(), kept.refresh.clone()))
    }

    /// Renews in a task of its own, which ends even if nobody waits for it any more.
    async fn renewed(
        self: &Arc<Self>,
        grant: Grant,
        refused: Option<Token>,
    ) -> Result<Token, FetchError> {
        let keeper = self.clone();
        let renewal = self
            .renewals
            .spawn(async move { keeper.renew(&grant, refused.as_ref()).await });
        match renewal.await {
            Ok(renewed) => renewed,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(FetchError::Unavailable("the worker is stopping".to_owned())),
        }
    }

    async fn renew(&self, grant: &Grant, refused: Option<&Token>) -> Result<Token, FetchError> {
        let _turn = self.turn.lock().await;
        self.client.begin_poll();
        // Whoever had the turn before may have done it.
        if let Some(token) = self.fresh_other_than(refused) {
            return Ok(token);
        }
        if let Some((at, error)) = &self.current().refused
            && self.manners == Manners::Worker
            && at.elapsed() < REFUSED_FOR
        {
            return Err(error.clone());
        }
        let renewed = match &self.store {
            Some(store) if !grant.is_local() => self.renew_in(&**store, grant, refused).await,
            _ => self.renew_alone(grant).await,
        };
        let mut current = self.current();
        current.refused = match &renewed {
            Err(error @ FetchError::Unauthorized(_)) => Some((Instant::now(), error.clone())),
            _ => None,
        };
        renewed
    }

    /// Without a store to share through.
    async fn renew_alone(&self, grant: &Grant) -> Result<Token, FetchError> {
        let refresh = self
            .kept_refresh()
            .or_else(|| grant.configured_refresh_token());
        let issued = grant.ask(&self.client, refresh.as_ref()).await?;
        let kept = self.kept(issued, self.kept_refresh());
        Ok(self.adopt(kept))
    }

    /// What to keep of an answer. The refresh token stays where the issuer sends no other. A token
    /// that is said to have ended already lives for an unknown time: whoever believed it would ask
    /// for one per request.
    fn kept(&self, issued: Issued, refresh: Option<Secret>) -> Kept {
        let now = Timestamp::now();
        let expires = match issued.expires {
            Some(expires) if self.manners == Manners::Worker && expires <= now => {
                let life = SignedDuration::try_from(DEFAULT_LIFE).unwrap_or_default();
                now.checked_add(life).ok()
            }
            expires => expires,
        };
        Kept {
            token: Token::new(issued.access, now, expires),
            refresh: issued.refresh.or(refresh),
        }
    }

    fn adopt(&self, kept: Kept) -> Token {
        let token = kept.token.clone();
        let mut current = self.current();
        current.due = self.due(&token);
        current.is_news = true;
        current.is_issued = true;
        current.kept = Some(kept);
        token
    }

    fn due(&self, token: &Token) -> Option<Timestamp> {
        match self.manners {
            Manners::Worker => {
                token.after(RENEW_AFTER + rand::random_range(-RENEW_JITTER..RENEW_JITTER))
            }
            Manners::Reference => token.expires,
        }
    }

    /// Whether a token that another worker stored is as good as a new one.
    fn is_usable(&self, token: &Token, refused: Option<&Token>) -> bool {
        !self.is_due(token) && refused.is_none_or(|refused| refused.expose() != token.expose())
    }

    fn is_due(&self, token: &Token) -> bool {
        let now = Timestamp::now();
        self.due(token).is_some_and(|due| now > due)
    }

    fn fresh_other_than(&self, refused: Option<&Token>) -> Option<Token> {
        let current = self.current();
        let token = &current.kept.as_ref()?.token;
        let now = Timestamp::now();
        let is_other = refused.is_none_or(|refused| refused.expose() != token.expose());
        (is_other && current.due.is_none_or(|due| now <= due)).then(|| token.clone())
    }

    fn kept_refresh(&self) -> Option<Secret> {
        self.current().kept.as_ref()?.refresh.clone()
    }

    fn owed(&self) -> Option<(u64, Kept)> {
        self.current().owed.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // Nothing panics while it is held.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
