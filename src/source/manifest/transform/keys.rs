//! Transformations of keys. Of two keys that become the same the later one wins.

use super::super::fields;
use super::super::template::{Context, Template};
use super::{MAX_KEY_BYTES, TransformError, failed};
use crate::document::{Node, Problem};
use crate::json::{Map, Value};

/// `KeysToLower`: top-level keys in lower case.
pub fn keys_to_lower(record: &mut Map) {
    *record = std::mem::take(record)
        .into_iter()
        .map(|(key, value)| (key.to_lowercase(), value))
        .collect();
}

/// `KeysToSnakeCase`: `camelCase` → `camel_case`, in nested objects too but not inside lists.
///
/// Letters outside ASCII separate words: they are not transliterated.
pub fn keys_to_snake_case(record: &mut Map) {
    rename(record, &snake_case);
}

/// `KeysReplace`: `old` → `new` in every key, in nested objects too but not inside lists.
#[derive(Debug, Clone)]
pub struct KeysReplace {
    old: Template,
    new: Template,
    parameters: Map,
}

impl KeysReplace {
    /// From a component of type `KeysReplace`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        Ok(Self {
            old: fields::required_template(node, "old")?,
            new: fields::required_template(node, "new")?,
            parameters: fields::parameters(node),
        })
    }

    pub(super) fn apply(
        &self,
        record: &mut Map,
        context: &Context<'_>,
    ) -> Result<(), TransformError> {
        let (old, new) = {
            let context = context
                .clone()
                .with("parameters", &self.parameters)
                .with("record", &*record);
            (
                self.old.text(&context).map_err(failed("old"))?,
                self.new.text(&context).map_err(failed("new"))?,
            )
        };
        if replaced_bytes(record, &old, &new) > MAX_KEY_BYTES {
            return Err(TransformError::TooLarge);
        }
        rename(record, &|key| key.replace(&old, &new));
        Ok(())
    }
}

/// Upper bound of the keys' length after replacing.
fn replaced_bytes(map: &Map, old: &str, new: &str) -> usize {
    map.iter()
        .map(|(key, value)| {
            let most = key.len() / old.len().max(1) + 1;
            let inside = match value {
                Value::Object(inner) => replaced_bytes(inner, old, new),
                _ => 0,
            };
            key.len() + most.saturating_mul(new.len()).saturating_add(inside)
        })
        .fold(0, usize::saturating_add)
}

fn rename(map: &mut Map, new_name: &impl Fn(&str) -> String) {
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, mut value)| {
            if let Value::Object(inner) = &mut value {
                rename(inner, new_name);
            }
            (new_name(&key), value)
        })
        .collect();
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Upper,
    Lower,
    Digit,
    Other,
}

fn kind(char: char) -> Kind {
    match char {
        'A'..='Z' => Kind::Upper,
        'a'..='z' => Kind::Lower,
        '0'..='9' => Kind::Digit,
        _ => Kind::Other,
    }
}

/// Words are runs of upper-case letters with the lower-case ones after them, of lower-case
/// letters, or of digits. A leading or trailing separator leaves its underscore, and a leading
/// digit gets one.
fn snake_case(key: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut previous = None;
    for char in key.chars() {
        let now = kind(char);
        let goes_on = previous == Some(now) || (previous, now) == (Some(Kind::Upper), Kind::Lower);
        if !goes_on {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && now != Kind::Other
        {
            word.push(char);
        }
        previous = Some(now);
    }
    if words.len() >= 3 {
        let last = words.len() - 1;
        let mut at = 0;
        words.retain(|word| {
            at += 1;
            at == 1 || at == last + 1 || !word.is_empty()
        });
    }
    if words
        .first()
        .is_some_and(|word| word.starts_with(|char: char| char.is_ascii_digit()))
    {
        words.insert(0, String::new());
    }
    words.join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn keys_become_snake_case() {
        let cases = [
            ("camelCase", "camel_case"),
            ("HTTPServer", "httpserver"),
            ("userID2", "user_id_2"),
            ("Mixed Case-Key", "mixed_case_key"),
            ("_private", "_private"),
            ("trailing!", "trailing_"),
            ("2nd", "_2_nd"),
            ("", ""),
        ];
        for (key, expected) in cases {
            assert_eq!(snake_case(key), expected, "{key}");
        }
    }
}
