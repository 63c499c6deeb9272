//! Who may try, and who may write: acquire, renew, release, and what operators do to leases.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::connection::RESPONSE_TIMEOUT;
use super::reply::{self, Verdict};
use super::{RedisStore, announce, scripts};
use crate::store::{Acquired, Lease, LeaseInfo, Owner, Renewed, STATE_SCHEMA, StoreError};

/// Lease keys asked for at a time; each call blocks Redis for well under a millisecond.
const SCAN_COUNT: usize = 1000;

impl RedisStore {
    pub(super) async fn acquire_lease(
        &self,
        connector: &str,
        owner: &Owner,
        previous: Option<&Owner>,
        ttl: Duration,
    ) -> Result<Acquired, StoreError> {
        let keys = &self.keys;
        let mut command = scripts::ACQUIRE.call(&[
            &keys.lease(connector),
            &keys.state(connector),
            &keys.versions(connector),
        ]);
        command
            .arg(owner.as_str())
            .arg(previous.map_or("", Owner::as_str))
            .arg(millis(ttl))
            .arg(STATE_SCHEMA);
        let answer = self
            .shared
            .run(&scripts::ACQUIRE, &command, RESPONSE_TIMEOUT)
            .await
            .and_then(Verdict::read);
        let mut answer = self.checked(answer)?;
        match &*answer.word {
            "HELD" => {
                let versions = self.checked(answer.next())?;
                let pairs = self.checked(answer.next())?;
                let state = reply::state(pairs, versions)?;
                let lease = Lease {
                    connector: connector.into(),
                    epoch: state.epoch,
                    owner: owner.clone(),
                    ttl,
                };
                Ok(Acquired::Held(lease, state))
            }
            "BUSY" => {
                let holder = self.checked(answer.next())?;
                let left: i64 = self.checked(answer.next())?;
                Ok(Acquired::Busy {
                    holder,
                    // A key without an expiry was set by hand: look again after one TTL.
                    remaining: u64::try_from(left).map_or(ttl, Duration::from_millis),
                })
            }
            "SCHEMA" => {
                let schema: String = self.checked(answer.next())?;
                Err(StoreError::Misconfigured(format!(
                    "the state of {connector} has layout {schema}, this release knows {STATE_SCHEMA}; \
                     use the release that wrote it or reset the state"
                )))
            }
            other => Err(unexpected("acquire", other)),
        }
    }

    pub(super) async fn renew_lease(
        &self,
        lease: &Lease,
        applied: u64,
    ) -> Result<Renewed, StoreError> {
        let keys = &self.keys;
        let mut command =
            scripts::RENEW.call(&[&keys.lease(&lease.connector), &keys.state(&lease.connector)]);
        command
            .arg(lease.epoch)
            .arg(lease.owner.as_str())
            .arg(applied)
            .arg(millis(lease.ttl));
        // Two tries and a missing script fit into a third of the TTL, when the next renewal is due.
        let patience = (lease.ttl / 8).clamp(Duration::from_millis(200), Duration::from_secs(5));
        let answer = self
            .renewals
            .run(&scripts::RENEW, &command, patience)
            .await
            .and_then(reply::from::<String>);
        match &*self.checked(answer)? {
            "HELD" => Ok(Renewed::Held),
            "LOST" => Ok(Renewed::Lost),
            "FENCED" => Ok(Renewed::Fenced),
            "GAP" => Ok(Renewed::Gap),
            other => Err(unexpected("renew", other)),
        }
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let keys = &self.keys;
        let mut command =
            scripts::RELEASE.call(&[&keys.lease(&lease.connector), &keys.state(&lease.connector)]);
        command
            .arg(lease.epoch)
            .arg(lease.owner.as_str())
            .arg(keys.released(&lease.connector));
        let answer = self
            .shared
            .run(&scripts::RELEASE, &command, RESPONSE_TIMEOUT)
            .await;
        // `FENCED`: somebody else has it, so there is nothing left to give up.
        self.checked(answer).map(|_| ())
    }

    pub(super) async fn wait_for_release(&self, connector: &str) -> Result<(), StoreError> {
        let listening = self.announcements.listen().await;
        let announcements = self.checked(listening)?;
        // Look only now: a release before the subscription was announced to nobody.
        let mut look = redis::cmd("EXISTS");
        look.arg(self.keys.lease(connector));
        let held: bool = self.ask(&look).await?;
        if held {
            announce::heard(announcements, &self.keys.released(connector)).await;
        }
        Ok(())
    }

    pub(super) async fn list_leases(&self) -> Result<Vec<LeaseInfo>, StoreError> {
        let mut leases = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(self.keys.lease_pattern())
                .arg("COUNT")
                .arg(SCAN_COUNT);
            let (next, found): (u64, Vec<String>) = self.ask(&scan).await?;
            let names: Vec<&str> = found
                .iter()
                .filter_map(|key| self.keys.connector_of_lease(key))
                .collect();
            for lease in self.describe_leases(&names).await? {
                leases.insert(lease.connector.clone(), lease);
            }
            if next == 0 {
                return Ok(leases.into_values().collect());
            }
            cursor = next;
        }
    }

    /// Those of `connectors` whose lease is still held.
    async fn describe_leases(&self, connectors: &[&str]) -> Result<Vec<LeaseInfo>, StoreError> {
        if connectors.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for connector in connectors {
            let key = self.keys.lease(connector);
            pipeline.cmd("GET").arg(&key);
            pipeline.cmd("PTTL").arg(&key);
            pipeline
                .cmd("HGET")
                .arg(self.keys.state(connector))
                .arg("epoch");
        }
        let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
        let mut answers = self.checked(answers)?.into_iter();
        let mut leases = Vec::new();
        for connector in connectors {
            let mut next = || answers.next().unwrap_or(Value::Nil);
            let owner: Option<String> = self.checked(reply::from(next()))?;
            let left: i64 = self.checked(reply::from(next()))?;
            let epoch: Option<u64> = self.checked(reply::from(next()))?;
            // The key may have expired since it was listed.
            if let Some(owner) = owner {
                leases.push(LeaseInfo {
                    connector: (*connector).to_owned(),
                    owner,
                    epoch: epoch.unwrap_or_default(),
                    remaining: u64::try_from(left).map_or(Duration::ZERO, Duration::from_millis),
                });
            }
        }
        Ok(leases)
    }

    pub(super) async fn take_away_lease(&self, connector: &str) -> Result<bool, StoreError> {
        let mut command = scripts::BREAK.call(&[&self.keys.lease(connector)]);
        command.arg(self.keys.released(connector));
        let answer = self
            .shared
            .run(&scripts::BREAK, &command, RESPONSE_TIMEOUT)
            .await
            .and_then(reply::from);
        self.checked(answer)
    }
}

/// For `PX`, which takes no fraction and no zero.
pub(super) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

pub(super) fn unexpected(script: &str, word: &str) -> StoreError {
    StoreError::Corrupt(format!("the {script} script answered {word:?}"))
}
