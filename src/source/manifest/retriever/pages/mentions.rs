//! What an answer says beyond its records: which of them are gone, and where changes go on.

use std::collections::HashMap;

use bytes::Bytes;

use super::Pages;
use crate::client::Response;
use crate::json::{Map, parse, text_of};
use crate::source::manifest::decode::Decoder;
use crate::source::manifest::errors::header_map;
use crate::source::manifest::expr::Expr;
use crate::source::manifest::feed::Deleted as Rule;
use crate::source::manifest::select::Selected;
use crate::source::manifest::template::{Binding, Context};
use crate::source::manifest::tree;
use crate::source::{Deleted, Record, Rejected, key_of};

/// Bytes of a token. Real ones have up to some thousand; it is part of the state.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// One thing that an answer says of a key.
enum Mention {
    Record(Record),
    Gone(Deleted),
}

impl Pages<'_> {
    /// Takes the records that say that they are gone out of `selected`. Of several mentions of a
    /// key in one answer the last counts.
    pub(super) fn sort_out(
        &self,
        selected: &mut Selected,
        documents: &[Bytes],
        context: &Context<'_>,
    ) -> Result<Vec<Deleted>, String> {
        let rule = self.parts.deleted.as_deref();
        if rule.is_none() && self.parts.marks.is_none() {
            return Ok(Vec::new());
        }
        let mut mentions = Mentions::default();
        for record in std::mem::take(&mut selected.records) {
            let is_gone = match rule.and_then(|rule| rule.when.as_ref()) {
                Some(when) => holds(when, &record, context)?,
                None => false,
            };
            let key = key_of(&record, &self.parts.key);
            // What a listing of everything does not show is gone anyway.
            if !is_gone
                && self.reads_changes()
                && let Some(rule) = rule
                && let Some(leaf) = &rule.leaf
                && let Ok(key) = &key
                && holds(leaf, &record, context)?
            {
                mentions.gone(Deleted {
                    key: key.clone(),
                    below: rule.below.clone(),
                    itself: false,
                });
            }
            match rule {
                Some(rule) if is_gone => match self.gone(rule, &record) {
                    Ok(deleted) => mentions.gone(deleted),
                    Err(reason) => selected.rejected.push(Rejected {
                        data: record.into_data(),
                        reason,
                    }),
                },
                // Without a key it is rejected where all records are told apart.
                _ => mentions.record(key.ok(), record),
            }
        }
        if let Some((rule, list)) = rule.and_then(|rule| Some((rule, rule.list.as_ref()?))) {
            let path = list.path(context).map_err(|error| error.to_string())?;
            for document in documents {
                for item in path
                    .slices(document, None)
                    .map_err(|error| error.to_string())?
                {
                    match self.gone(rule, &item) {
                        Ok(deleted) => mentions.gone(deleted),
                        Err(reason) => selected.rejected.push(Rejected {
                            data: item.into_data(),
                            reason,
                        }),
                    }
                }
            }
        }
        let (records, deleted) = mentions.parts();
        selected.records = records;
        Ok(deleted)
    }

    /// The deletion of what `item` names: an object with a key, or the key itself.
    fn gone(&self, rule: &Rule, item: &Bytes) -> Result<Deleted, String> {
        let key = match item.first() {
            Some(b'{') if rule.key.is_empty() => key_of(item, &self.parts.key)?,
            Some(b'{') => key_of(item, &rule.key)?,
            Some(b'[') | None => return Err("what is deleted is a list of its own".to_owned()),
            _ => text_of(item).into_owned(),
        };
        Ok(Deleted {
            key,
            below: rule.below.clone(),
            itself: true,
        })
    }

    /// The token from which changes go on after this answer, if it says so.
    pub(super) fn cursor_token(
        &self,
        response: &Response,
        documents: &[Bytes],
        context: &Context<'_>,
    ) -> Result<Option<String>, String> {
        match &self.parts.marks {
            Some(marks) => token_in(&marks.token, response, documents, context),
            None => Ok(None),
        }
    }
}

/// What the template `token` makes of an answer; `None` where that is nothing.
pub(in crate::source::manifest::retriever) fn token_in(
    token: &Expr,
    response: &Response,
    documents: &[Bytes],
    context: &Context<'_>,
) -> Result<Option<String>, String> {
    let body = match (token.template().paths("response"), documents.first()) {
        (_, None) => Map::new().into(),
        (Some(paths), Some(first)) => {
            tree::pruned_first(first, &paths).map_err(|error| error.to_string())?
        }
        (None, Some(_)) => Decoder::response(documents).map_err(|error| error.to_string())?,
    };
    let headers = header_map(&response.headers);
    let context = context
        .clone()
        .with("response", &body)
        .with("headers", Binding::Headers(&headers));
    // As it was rendered: a token of digits keeps its spelling.
    let text = token
        .verbatim(&context)
        .map_err(|error| format!("cannot tell the token: {error}"))?;
    if text.len() > MAX_TOKEN_BYTES {
        return Err(format!("the token is longer than {MAX_TOKEN_BYTES} bytes"));
    }
    Ok(Some(text).filter(|text| !text.is_empty() && text != "None"))
}

fn holds(when: &Expr, record: &[u8], context: &Context<'_>) -> Result<bool, String> {
    let tree = match when.template().paths("record") {
        Some(paths) => tree::pruned(record, &paths),
        None => parse(record),
    };
    let tree = tree.map_err(|error| error.to_string())?;
    when.boolean(&context.clone().with("record", &tree))
        .map_err(|error| format!("cannot tell whether a record is deleted: {error}"))
}

/// What an answer says of each key, in the order in which it says it.
#[derive(Default)]
struct Mentions {
    all: Vec<Option<Mention>>,
    last: HashMap<String, usize>,
}

impl Mentions {
    fn record(&mut self, key: Option<String>, record: Record) {
        if let Some(key) = key {
            self.supersede(key);
        }
        self.all.push(Some(Mention::Record(record)));
    }

    fn gone(&mut self, deleted: Deleted) {
        self.supersede(deleted.key.clone());
        if let Some(below) = &deleted.below {
            let prefix = format!("{}{below}", deleted.key);
            for (key, at) in &self.last {
                if key.starts_with(&prefix) {
                    self.all[*at] = None;
                }
            }
        }
        self.all.push(Some(Mention::Gone(deleted)));
    }

    fn supersede(&mut self, key: String) {
        if let Some(before) = self.last.insert(key, self.all.len()) {
            // What was below it stays gone.
            let keeps =
                matches!(&self.all[before], Some(Mention::Gone(gone)) if gone.below.is_some());
            if !keeps {
                self.all[before] = None;
            }
        }
    }

    fn parts(self) -> (Vec<Record>, Vec<Deleted>) {
        let mut records = Vec::new();
        let mut deleted = Vec::new();
        for mention in self.all.into_iter().flatten() {
            match mention {
                Mention::Record(record) => records.push(record),
                Mention::Gone(gone) => deleted.push(gone),
            }
        }
        (records, deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(says: &[(&str, bool)], below: Option<&str>) -> (Vec<String>, Vec<String>) {
        let mut mentions = Mentions::default();
        for (key, is_gone) in says {
            if *is_gone {
                mentions.gone(Deleted {
                    key: (*key).to_owned(),
                    below: below.map(Into::into),
                    itself: true,
                });
            } else {
                let record = Bytes::copy_from_slice(key.as_bytes());
                mentions.record(Some((*key).to_owned()), record.into());
            }
        }
        let (records, deleted) = mentions.parts();
        let text = |record: &Record| String::from_utf8(record.to_vec()).unwrap();
        (
            records.iter().map(text).collect(),
            deleted.into_iter().map(|gone| gone.key).collect(),
        )
    }

    fn owned<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).to_vec()
    }

    #[test]
    fn the_last_mention_counts() {
        let (records, deleted) = parts(
            &[("a", false), ("b", true), ("a", true), ("b", false)],
            None,
        );
        assert_eq!((records, deleted), (owned(["b"]), owned(["a"])));
    }

    #[test]
    fn what_lay_below_is_gone_unless_it_comes_later() {
        let says = [
            ("/d/1", false),
            ("/d", true),
            ("/d/2", false),
            ("/dd", false),
        ];
        let (records, deleted) = parts(&says, Some("/"));
        assert_eq!((records, deleted), (owned(["/d/2", "/dd"]), owned(["/d"])));
        let (records, deleted) = parts(&[("/d", true), ("/d", false)], Some("/"));
        assert_eq!((records, deleted), (owned(["/d"]), owned(["/d"])));
    }
}
