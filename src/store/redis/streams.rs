//! Output streams as their readers see them: following, the newest entry, trimming.

use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::time::timeout;

use super::connection::{RESPONSE_TIMEOUT, silent};
use super::{RedisStore, reply, scripts};
use crate::store::{StoreError, StreamEntry, StreamLevel};

/// Entries that one call of the trim script removes at most, about: 3 ms of Redis.
const TRIM_STEP: usize = 5000;

/// Calls of the trim script in a row, so that one janitor round ends whatever consumers do.
const TRIM_STEPS: usize = 400;

impl RedisStore {
    pub(super) async fn follow(
        &self,
        stream: &str,
        after: Option<&str>,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        // `BLOCK 0` would wait for ever.
        if wait >= Duration::from_millis(1) {
            command
                .arg("BLOCK")
                .arg(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        }
        command
            .arg("STREAMS")
            .arg(self.keys.output(stream))
            .arg(after.unwrap_or("0"));

        // A connection of its own: a blocking call holds up everything behind it.
        let connection = match self.take_reader() {
            Some(connection) => Ok(connection),
            None => self.endpoint.connect(None).await,
        };
        let mut connection = self.checked(connection)?;
        let answer: RedisResult<Value> = timeout(
            wait + RESPONSE_TIMEOUT,
            command.query_async(&mut connection),
        )
        .await
        .unwrap_or_else(|_| Err(silent()));
        let answer = self.checked(answer)?;
        self.put_reader(connection);
        let streams: Vec<(Value, Vec<RawEntry>)> = match answer {
            Value::Nil => Vec::new(),
            answer => self.checked(reply::from(answer))?,
        };
        let entries = streams.into_iter().flat_map(|(_, entries)| entries);
        Ok(entries.map(entry).collect())
    }

    /// A reading connection that no other call uses now.
    fn take_reader(&self) -> Option<MultiplexedConnection> {
        self.reader.lock().ok()?.take()
    }

    fn put_reader(&self, connection: MultiplexedConnection) {
        if let Ok(mut reader) = self.reader.lock() {
            *reader = Some(connection);
        }
    }

    pub(super) async fn newest(&self, stream: &str) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg(self.keys.output(stream))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let entries: Vec<RawEntry> = self.ask(&command).await?;
        Ok(entries.into_iter().next().map(|(id, _)| id))
    }

    pub(super) async fn trim_read(&self, stream: &str) -> Result<StreamLevel, StoreError> {
        let key = self.keys.output(stream);
        let mut level = StreamLevel::default();
        for _ in 0..TRIM_STEPS {
            let mut command = scripts::TRIM.call(&[&key]);
            command.arg(TRIM_STEP);
            let answer = self
                .shared
                .run(&scripts::TRIM, &command, RESPONSE_TIMEOUT)
                .await
                .and_then(reply::from);
            let (length, groups, trimmed): (u64, u64, u64) = self.checked(answer)?;
            level.length = length;
            level.groups = groups;
            level.trimmed += trimmed;
            if trimmed == 0 {
                break;
            }
        }
        Ok(level)
    }
}

/// Id, and names and values in turn.
pub(super) type RawEntry = (String, Vec<Vec<u8>>);

fn entry((id, flat): RawEntry) -> StreamEntry {
    let mut flat = flat.into_iter();
    let mut fields = Vec::with_capacity(flat.len() / 2);
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        // Foreign entries may have any bytes as names; ours are text.
        let name = String::from_utf8_lossy(&name).into_owned();
        fields.push((name, Bytes::from(value)));
    }
    StreamEntry { id, fields }
}
