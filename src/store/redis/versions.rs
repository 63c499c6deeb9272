//! Kept versions: reading them all, reading some, forgetting them.

use super::connection::RESPONSE_TIMEOUT;
use super::lease::{millis, unexpected};
use super::reply::{self, RESERVED, Verdict};
use super::{RedisStore, scripts};
use crate::store::{
    Committed, KnownVersion, Lease, StoreError, is_state_field_of, is_version_field_of,
};

/// Versions asked for at a time when all are read: about 100 KB an answer, 2 ms of Redis.
const SCAN_COUNT: usize = 2000;

/// Small hashes read at a time when all versions are read.
const BUCKETS_AT_ONCE: usize = 32;

/// Fields of one reading or of one step of a reset.
const CHUNK: usize = 1000;

impl RedisStore {
    pub(super) async fn each_version(
        &self,
        connector: &str,
        each: &mut (dyn for<'a> FnMut(&'a [u8], KnownVersion) + Send),
    ) -> Result<(), StoreError> {
        let mut broken = None;
        self.scan_all(connector, |field, value| {
            match KnownVersion::decode(&value) {
                Some(known) => each(&field, known),
                None => broken = Some(field),
            }
        })
        .await?;
        match broken {
            None => Ok(()),
            Some(field) => Err(not_a_version(&field)),
        }
    }

    /// Every version, wherever it is kept.
    async fn scan_all(
        &self,
        connector: &str,
        mut each: impl FnMut(Vec<u8>, Vec<u8>) + Send,
    ) -> Result<(), StoreError> {
        let base = self.keys.versions(connector);
        // The one hash first: versions only ever move away from it.
        self.scan_hash(&base, &mut each).await?;
        let mut layout = redis::cmd("HGET");
        layout.arg(self.keys.state(connector)).arg("nb");
        let buckets: Option<u64> = self.ask(&layout).await?;
        let buckets: Vec<u64> = (0..buckets.unwrap_or_default()).collect();
        for some in buckets.chunks(BUCKETS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            for number in some {
                pipeline.cmd("HGETALL").arg(format!("{base}:{number}"));
            }
            let answers = self.shared.pipe(&pipeline, RESPONSE_TIMEOUT).await;
            for answer in self.checked(answers)? {
                let flat: Vec<Vec<u8>> = self.checked(reply::from(answer))?;
                each_pair(flat, &mut each);
            }
        }
        Ok(())
    }

    /// Every pair of a hash; one that changes meanwhile may come twice.
    async fn scan_hash(
        &self,
        key: &str,
        mut each: impl FnMut(Vec<u8>, Vec<u8>) + Send,
    ) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(key).arg(cursor).arg("COUNT").arg(SCAN_COUNT);
            let (next, flat): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            each_pair(flat, &mut each);
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    pub(super) async fn some_versions(
        &self,
        connector: &str,
        fields: &[Vec<u8>],
    ) -> Result<Vec<Option<KnownVersion>>, StoreError> {
        let keys = [self.keys.state(connector), self.keys.versions(connector)];
        let keys = keys.each_ref().map(String::as_str);
        let mut known = Vec::with_capacity(fields.len());
        for chunk in fields.chunks(CHUNK) {
            let mut command = scripts::VERSIONS.call(&keys);
            command.arg(chunk);
            let answer = self
                .shared
                .run(&scripts::VERSIONS, &command, RESPONSE_TIMEOUT)
                .await;
            let values: Vec<Option<Vec<u8>>> = self.checked(answer.and_then(reply::from))?;
            for (field, value) in chunk.iter().zip(values) {
                known.push(match value {
                    None => None,
                    Some(value) => {
                        Some(KnownVersion::decode(&value).ok_or_else(|| not_a_version(field))?)
                    }
                });
            }
        }
        Ok(known)
    }

    pub(super) async fn forget(
        &self,
        lease: &Lease,
        stream: Option<&str>,
    ) -> Result<Committed, StoreError> {
        let connector = &*lease.connector;
        let mut list = redis::cmd("HKEYS");
        list.arg(self.keys.state(connector));
        let mut fields: Vec<String> = self.ask(&list).await?;
        fields.retain(|field| {
            !RESERVED.contains(&&**field)
                && stream.is_none_or(|stream| is_state_field_of(field, stream))
        });
        if let Some(stream) = stream {
            let mut versions = Vec::new();
            self.scan_all(connector, |field, _| {
                if is_version_field_of(&field, stream) {
                    versions.push(field);
                }
            })
            .await?;
            // The state goes last, so that an interrupted reset can be seen and repeated.
            for chunk in versions.chunks(CHUNK) {
                let answer = self.forget_step(lease, Some(chunk), &[]).await?;
                if answer == Committed::Fenced {
                    return Ok(answer);
                }
            }
            self.forget_step(lease, Some(&[]), &fields).await
        } else {
            self.forget_step(lease, None, &fields).await
        }
    }

    /// `None`: all versions.
    async fn forget_step(
        &self,
        lease: &Lease,
        versions: Option<&[Vec<u8>]>,
        state: &[String],
    ) -> Result<Committed, StoreError> {
        let keys = &self.keys;
        let connector = &*lease.connector;
        let mut command = scripts::RESET.call(&[
            &keys.lease(connector),
            &keys.state(connector),
            &keys.versions(connector),
        ]);
        command
            .arg(lease.epoch)
            .arg(lease.owner.as_str())
            .arg(millis(lease.ttl));
        match versions {
            None => command.arg("*"),
            Some(fields) => command.arg(fields.len()).arg(fields),
        };
        command.arg(state);
        let answer = self
            .shared
            .run(&scripts::RESET, &command, RESPONSE_TIMEOUT)
            .await
            .and_then(Verdict::read);
        let mut answer = self.checked(answer)?;
        match &*answer.word {
            "OK" => Ok(Committed::Applied {
                lease_held: self.checked(answer.next())?,
            }),
            "FENCED" => Ok(Committed::Fenced),
            other => Err(unexpected("reset", other)),
        }
    }
}

fn each_pair(flat: Vec<Vec<u8>>, each: &mut impl FnMut(Vec<u8>, Vec<u8>)) {
    let mut flat = flat.into_iter();
    while let (Some(field), Some(value)) = (flat.next(), flat.next()) {
        each(field, value);
    }
}

fn not_a_version(field: &[u8]) -> StoreError {
    StoreError::Corrupt(format!(
        "the version of {:?}",
        String::from_utf8_lossy(field)
    ))
}
