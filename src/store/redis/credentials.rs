//! What issuers gave, and who asks them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::RedisStore;
use super::connection::RESPONSE_TIMEOUT;
use super::lease::{millis, unexpected};
use super::reply::Verdict;
use super::scripts::{self, Script};
use crate::store::rate::{ALONE_FOR, LONGEST_BACKLOG, REMEMBERED_FOR, micros};
use crate::store::{
    CredentialLock, CredentialStore, Saved, StoreError, StoredCredential, Turn, TurnRequest,
};

impl RedisStore {
    async fn run_credential(
        &self,
        script: &Script,
        command: &redis::Cmd,
    ) -> Result<Verdict, StoreError> {
        let answer = self.shared.run(script, command, RESPONSE_TIMEOUT).await;
        self.checked(answer.and_then(Verdict::read))
    }
}

#[async_trait]
impl CredentialStore for RedisStore {
    async fn load_credential(&self, id: &str) -> Result<StoredCredential, StoreError> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(self.keys.credential(id))
            .arg("revision")
            .arg("sealed");
        let (revision, sealed): (Option<u64>, Option<Vec<u8>>) = self.ask(&command).await?;
        Ok(StoredCredential {
            revision: revision.unwrap_or_default(),
            sealed: sealed.unwrap_or_default().into(),
        })
    }

    async fn lock_credential(
        &self,
        id: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<CredentialLock, StoreError> {
        let mut command = scripts::CREDENTIAL_LOCK.call(&[&self.keys.credential(id)]);
        command.arg(owner).arg(millis(ttl));
        let mut answer = self
            .run_credential(&scripts::CREDENTIAL_LOCK, &command)
            .await?;
        match &*answer.word {
            "HELD" => {
                let revision = self.checked(answer.next())?;
                let sealed: Vec<u8> = self.checked(answer.next())?;
                Ok(CredentialLock::Held(StoredCredential {
                    revision,
                    sealed: Bytes::from(sealed),
                }))
            }
            "BUSY" => Ok(CredentialLock::Busy {
                remaining: Duration::from_millis(self.checked(answer.next())?),
            }),
            word => Err(unexpected("credential lock", word)),
        }
    }

    async fn save_credential(
        &self,
        id: &str,
        owner: &str,
        revision: u64,
        sealed: &[u8],
        expires: Option<Duration>,
    ) -> Result<Saved, StoreError> {
        let mut command = scripts::CREDENTIAL_SAVE.call(&[&self.keys.credential(id)]);
        command.arg(owner).arg(revision).arg(sealed);
        match expires {
            Some(life) => command.arg(millis(life)),
            None => command.arg(""),
        };
        let answer = self
            .run_credential(&scripts::CREDENTIAL_SAVE, &command)
            .await?;
        match &*answer.word {
            "SAVED" => Ok(Saved::Yes),
            "OUTDATED" => Ok(Saved::Outdated),
            word => Err(unexpected("credential save", word)),
        }
    }

    async fn unlock_credential(&self, id: &str, owner: &str) -> Result<(), StoreError> {
        let mut command = scripts::CREDENTIAL_UNLOCK.call(&[&self.keys.credential(id)]);
        command.arg(owner);
        self.run_credential(&scripts::CREDENTIAL_UNLOCK, &command)
            .await
            .map(drop)
    }

    async fn make_credential_wait(&self, id: &str, wait: Duration) -> Result<(), StoreError> {
        let mut command = scripts::CREDENTIAL_WAIT.call(&[&self.keys.credential_wait(id)]);
        command.arg(millis(wait).max(1));
        self.run_credential(&scripts::CREDENTIAL_WAIT, &command)
            .await
            .map(drop)
    }

    async fn wait_of_credential(&self, id: &str) -> Result<Option<Duration>, StoreError> {
        let mut command = redis::cmd("PTTL");
        command.arg(self.keys.credential_wait(id));
        let left: i64 = self.ask(&command).await?;
        // Below zero: there is none.
        let left = u64::try_from(left).ok().filter(|left| *left > 0);
        Ok(left.map(Duration::from_millis))
    }

    async fn take_turn(&self, id: &str, request: &TurnRequest<'_>) -> Result<Turn, StoreError> {
        let mut command = scripts::TAKE_TURN.call(&[&self.keys.credential_rate(id)]);
        command.arg(request.process);
        for duration in [
            request.cost,
            request.ahead,
            request.backlog,
            ALONE_FOR,
            REMEMBERED_FOR,
            LONGEST_BACKLOG,
        ] {
            command.arg(micros(duration));
        }
        let mut answer = self.run_credential(&scripts::TAKE_TURN, &command).await?;
        if answer.word != "TURN" {
            return Err(unexpected("turn", &answer.word));
        }
        Ok(Turn {
            backlog: Duration::from_micros(self.checked(answer.next())?),
            alone_for: Duration::from_micros(self.checked(answer.next())?),
            processes: self.checked(answer.next())?,
        })
    }
}
