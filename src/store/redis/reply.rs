//! Reading answers: what a script or a hash sends, as the types of the store.

use std::collections::BTreeMap;

use redis::{FromRedisValue, RedisError, RedisResult, Value};

use crate::store::{State, StoreError};

/// State fields that belong to the store and not to commits.
pub(super) const RESERVED: [&str; 6] = ["schema", "epoch", "owner", "seq", "last", "nb"];

/// What a script answered: a word, and values.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) word: String,
    values: std::vec::IntoIter<Value>,
}

impl Verdict {
    /// Reads `{word, value…}` or a plain word.
    pub(super) fn read(answer: Value) -> RedisResult<Self> {
        let mut values = match answer {
            Value::Array(values) => values.into_iter(),
            single => vec![single].into_iter(),
        };
        let word = from(values.next().unwrap_or_default())?;
        Ok(Self { word, values })
    }

    /// The next value.
    pub(super) fn next<T: FromRedisValue>(&mut self) -> RedisResult<T> {
        from(self.values.next().unwrap_or_default())
    }
}

/// Converts, with the one error type that callers handle.
pub(super) fn from<T: FromRedisValue>(value: Value) -> RedisResult<T> {
    redis::from_redis_value(value).map_err(RedisError::from)
}

/// A state hash as the store's callers see it.
pub(super) fn state(pairs: Vec<(String, String)>, versions: u64) -> Result<State, StoreError> {
    let mut state = State {
        versions,
        ..State::default()
    };
    let mut fields = BTreeMap::new();
    for (name, value) in pairs {
        match &*name {
            "schema" => state.schema = number(&name, &value)?,
            "epoch" => state.epoch = number(&name, &value)?,
            "seq" => state.sequence = number(&name, &value)?,
            _ if RESERVED.contains(&&*name) => {}
            _ => {
                fields.insert(name, value);
            }
        }
    }
    state.fields = fields;
    Ok(state)
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, StoreError> {
    value
        .parse()
        .map_err(|_| StoreError::Corrupt(format!("state field {name} is not a number: {value:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_state_keeps_its_own_fields_apart_from_those_of_commits() {
        let state = state(
            pairs(&[
                ("schema", "1"),
                ("epoch", "7"),
                ("owner", "h/1/2"),
                ("seq", "41"),
                ("last", "1-0"),
                ("cursor:issues", "2026"),
            ]),
            3,
        )
        .unwrap();
        assert_eq!((state.epoch, state.sequence, state.versions), (7, 41, 3));
        assert_eq!(state.schema, 1);
        assert_eq!(
            state.fields.into_iter().collect::<Vec<_>>(),
            pairs(&[("cursor:issues", "2026")])
        );
    }

    #[test]
    fn a_sequence_that_is_no_number_is_named() {
        let error = state(pairs(&[("seq", "many")]), 0).unwrap_err();
        assert!(error.to_string().contains("seq"), "{error}");
    }
}
