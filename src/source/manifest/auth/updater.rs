//! `refresh_token_updater`: where a configuration keeps the tokens that a renewal replaces.

use jiff::Timestamp;

use super::super::datetime::DateTime;
use super::super::fields::{text, texts};
use crate::client::auth::Token;
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// `refresh_token_updater`
#[derive(Debug)]
pub(super) struct Updater {
    /// What the answer calls the new refresh token.
    pub(super) refresh_token_name: String,
    access_token_path: Vec<String>,
    refresh_token_path: Vec<String>,
    expires_path: Vec<String>,
}

impl Updater {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let path = |key: &str, default: &str| {
            let path = texts(node, key)?;
            Ok(if path.is_empty() {
                vec!["credentials".to_owned(), default.to_owned()]
            } else {
                path
            })
        };
        Ok(Self {
            refresh_token_name: text(node, "refresh_token_name")?
                .unwrap_or("refresh_token")
                .to_owned(),
            access_token_path: path("access_token_config_path", "access_token")?,
            refresh_token_path: path("refresh_token_config_path", "refresh_token")?,
            expires_path: path("token_expiry_date_config_path", "token_expiry_date")?,
        })
    }

    pub(super) fn access_token(&self, config: &Value) -> Option<String> {
        at(config, &self.access_token_path)
    }

    pub(super) fn refresh_token(&self, config: &Value) -> Option<String> {
        at(config, &self.refresh_token_path)
    }

    pub(super) fn expires(&self, config: &Value) -> Option<String> {
        at(config, &self.expires_path)
    }

    /// The configuration with these tokens in their places.
    pub(super) fn changed(&self, config: &Value, token: &Token, refresh: Option<&str>) -> Value {
        let mut config = config.clone();
        set(&mut config, &self.access_token_path, token.expose());
        if let Some(refresh) = refresh {
            set(&mut config, &self.refresh_token_path, refresh);
        }
        let expires = token.expires().unwrap_or(Timestamp::MAX);
        let expires = DateTime::from_timestamp(expires).isoformat('T');
        set(&mut config, &self.expires_path, &expires);
        config
    }
}

fn at(config: &Value, path: &[String]) -> Option<String> {
    let value = path.iter().try_fold(config, |at, part| at.get(part))?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// Sets a value, making the maps on the way to it.
fn set(config: &mut Value, path: &[String], text: &str) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = config;
    for part in parents.iter().map(Some).chain([None]) {
        if !matches!(at, Value::Object(_)) {
            *at = Map::new().into();
        }
        let Value::Object(map) = at else {
            return;
        };
        match part {
            Some(part) => at = map.entry(part.clone()).or_insert(Value::Null),
            None => {
                map.insert(last.clone(), text.into());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::set;
    use crate::json::parse;

    #[test]
    fn a_value_is_set_wherever_it_belongs() {
        let mut config = parse(br#"{"a":{"b":"old","c":1},"x":"y"}"#).unwrap();
        let path = |text: &str| -> Vec<String> { text.split('.').map(str::to_owned).collect() };
        set(&mut config, &path("a.b"), "new");
        set(&mut config, &path("d.e"), "made");
        set(&mut config, &path("x.z"), "over");
        assert_eq!(
            config.to_string(),
            r#"{"a":{"b":"new","c":1},"x":{"z":"over"},"d":{"e":"made"}}"#
        );
    }
}
