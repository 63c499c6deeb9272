//! `JsonItemsDecoder`: the elements of a list within one large JSON document.

use bytes::Bytes;

use super::{DecodeError, Documents};
use crate::document::{Node, Problem};
use crate::json::{Pointer, elements, get};
use crate::source::manifest::fields::{self, problem};

/// The part of a path that stands for every element of a list.
const EVERY: &str = "item";

/// Where the list stands.
#[derive(Debug, Clone)]
pub struct JsonItems {
    path: Vec<String>,
}

impl JsonItems {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let path = fields::required(node, "items_path")?;
        let text = fields::text(node, "items_path")?.unwrap_or_default();
        if text.is_empty() {
            return Err(problem(
                path.at,
                "items_path is empty",
                "name the keys that lead to the list, as in data.items",
            ));
        }
        let encoding = fields::text(node, "encoding")?.unwrap_or("utf-8");
        if !matches!(
            &*encoding.to_lowercase().replace('_', "-"),
            "utf-8" | "utf8" | "ascii"
        ) {
            return Err(problem(
                fields::required(node, "encoding")?.at,
                format!("the encoding {encoding} is not supported"),
                "JSON is sent as utf-8",
            ));
        }
        Ok(Self {
            path: text.split('.').map(str::to_owned).collect(),
        })
    }

    /// The elements; none where no list stands at the path.
    pub(super) fn decode(
        &self,
        body: &Bytes,
        documents: &mut Documents,
    ) -> Result<(), DecodeError> {
        let body = body.slice_ref(body.trim_ascii());
        // Once for the whole document: `get` below trusts it.
        elements(&body, &[]).map_err(DecodeError::Json)?;
        below(&body, &self.path, documents)
    }
}

fn below(at: &Bytes, path: &[String], documents: &mut Documents) -> Result<(), DecodeError> {
    let is_list = at.first() == Some(&b'[');
    let (part, rest) = match path.split_first() {
        Some((part, rest)) => (part, rest),
        None if is_list => {
            return each(at, &mut |item| documents.add(item));
        }
        None => return Ok(()),
    };
    if is_list && part == EVERY {
        return each(at, &mut |item| below(&item, rest, documents));
    }
    if at.first() != Some(&b'{') {
        return Ok(());
    }
    match get(at, &Pointer::of([part.as_str()])) {
        Some(value) => below(&at.slice_ref(value.trim_ascii()), rest, documents),
        None => Ok(()),
    }
}

fn each(
    list: &Bytes,
    found: &mut dyn FnMut(Bytes) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let ranges = elements(list, &[]).map_err(DecodeError::Json)?;
    for range in ranges.unwrap_or_default() {
        found(list.slice(range))?;
    }
    Ok(())
}
