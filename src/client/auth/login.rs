//! A login whose answer holds a session token.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Issued;
use crate::client::{Client, FetchError, Judge, Request, Response, without_query};

/// Finds the token in the answer to a login; `Err` says in words why there is none.
type FindToken = dyn Fn(&Response) -> Result<String, String> + Send + Sync;

/// A login.
#[derive(Clone)]
pub struct Login {
    /// The request, complete.
    pub request: Request,
    /// What its answers mean.
    pub judge: Arc<dyn Judge>,
    /// Where its answer holds the token.
    pub find: Arc<FindToken>,
    /// How long the token counts; `None`: until it is refused.
    pub life: Option<SignedDuration>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.request)
    }
}

impl Login {
    pub(super) async fn ask(&self, client: &Client) -> Result<Issued, FetchError> {
        let response = client.send(&self.request, &*self.judge).await?;
        let token = (self.find)(&response).map_err(|what| {
            FetchError::Unusable(format!("login at {}: {what}", without_query(&response.url)))
        })?;
        let expires = match self.life {
            None => None,
            Some(life) => Some(Timestamp::now().checked_add(life).map_err(|_| {
                FetchError::Misconfigured("a session token cannot live so long".to_owned())
            })?),
        };
        Ok(Issued {
            access: token.into(),
            refresh: None,
            expires,
        })
    }
}
