//! Records that failed: listing and removing them. Commits write them.

use bytes::Bytes;

use super::RedisStore;
use super::streams::RawEntry;
use crate::store::{DeadLetter, DeadLetterEntry, StoreError};

impl RedisStore {
    pub(super) async fn list_dead_letters(
        &self,
        connector: &str,
        after: Option<&str>,
        count: usize,
    ) -> Result<Vec<DeadLetterEntry>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("XRANGE");
        command
            .arg(self.keys.dead_letters(connector))
            .arg(after.map_or("-".to_owned(), |id| format!("({id}")))
            .arg("+")
            .arg("COUNT")
            .arg(count);
        let entries: Vec<RawEntry> = self.ask(&command).await?;
        Ok(entries.into_iter().map(dead_letter).collect())
    }

    pub(super) async fn remove_dead_letters(
        &self,
        connector: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let key = self.keys.dead_letters(connector);
        self.remove_entries(&key, ids).await
    }

    /// Removes these entries of a stream, or all; answers how many.
    pub(super) async fn remove_entries(
        &self,
        key: &str,
        ids: Option<&[String]>,
    ) -> Result<u64, StoreError> {
        let command = match ids {
            Some([]) => return Ok(0),
            Some(ids) => {
                let mut command = redis::cmd("XDEL");
                command.arg(key).arg(ids);
                command
            }
            // Not DEL: the stream keeps its last id, so that no id is handed out twice.
            None => {
                let mut command = redis::cmd("XTRIM");
                command.arg(key).arg("MAXLEN").arg(0);
                command
            }
        };
        self.ask(&command).await
    }
}

fn dead_letter((id, flat): RawEntry) -> DeadLetterEntry {
    let mut entry = DeadLetterEntry {
        id,
        time: String::new(),
        letter: DeadLetter {
            stream: String::new(),
            reason: String::new(),
            data: Bytes::new(),
        },
    };
    let mut flat = flat.into_iter();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match &*name {
            b"time" => entry.time = text(&value),
            b"stream" => entry.letter.stream = text(&value),
            b"reason" => entry.letter.reason = text(&value),
            b"data" => entry.letter.data = value.into(),
            _ => {}
        }
    }
    entry
}
