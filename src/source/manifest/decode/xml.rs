//! `XmlDecoder`: XML as an object, as Python's `xmltodict` makes it.
//!
//! An element with neither attributes nor children is its text, or null without one. Others are
//! objects: attributes under `@name`, text under `#text`, children under their names, a list where
//! one comes again. Names keep their prefixes; comments and white space around text are dropped.
//! Entities are those of XML itself: a document cannot define more.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::DecodeError;
use crate::json::{Map, Value};

/// Levels of elements.
const MAX_DEPTH: usize = 200;

/// An element that is being read.
struct Open {
    name: String,
    object: Map,
    text: String,
}

/// The document as `{root: …}`.
pub(super) fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let text = &text_of(body)?;
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open {
        name: String::new(),
        object: Map::new(),
        text: String::new(),
    }];
    loop {
        let event = reader.read_event().map_err(|error| broken(&error))?;
        match event {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err(DecodeError::Xml("elements nest too deeply".to_owned()));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                let element = element(&start)?;
                close(element, &mut open);
            }
            Event::End(_) => {
                let element = open.pop();
                match element {
                    // The reader has matched it with its start.
                    Some(element) if !open.is_empty() => close(element, &mut open),
                    _ => return Err(DecodeError::Xml("an element ends twice".to_owned())),
                }
            }
            Event::Text(text) => push_text(&mut open, &text),
            Event::CData(text) => push_text(&mut open, &text),
            Event::GeneralRef(reference) => {
                let resolved = match reference
                    .resolve_char_ref()
                    .map_err(|error| broken(&error))?
                {
                    Some(char) => char.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference)
                        .ok_or_else(|| {
                            DecodeError::Xml(format!("unknown entity &{};", &*reference))
                        })?
                        .to_owned(),
                };
                push_text(&mut open, &resolved);
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    match open.pop() {
        Some(root) if open.is_empty() && !root.object.is_empty() => Ok(Value::Object(root.object)),
        _ => Err(DecodeError::Xml(
            "the document has no end, or no element".to_owned(),
        )),
    }
}

/// UTF-8, unless the document says that it is Latin-1.
fn text_of(body: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Ok(Cow::Borrowed(text.trim_start_matches('\u{feff}')));
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(200)]).to_lowercase();
    if head.contains("iso-8859-1") || head.contains("latin1") {
        return Ok(Cow::Owned(
            body.iter().map(|byte| char::from(*byte)).collect(),
        ));
    }
    Err(DecodeError::Encoding { encoding: "UTF-8" })
}

fn broken(error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::Xml(error.to_string())
}

fn element(start: &BytesStart<'_>) -> Result<Open, DecodeError> {
    let mut object = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| broken(&error))?;
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|error| broken(&error))?;
        object.insert(format!("@{}", attribute.key.0), Value::from(&*value));
    }
    Ok(Open {
        name: start.name().0.to_owned(),
        object,
        text: String::new(),
    })
}

fn push_text(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// Puts a finished element into the one around it.
fn close(element: Open, open: &mut [Open]) {
    let Open {
        name,
        mut object,
        text,
    } = element;
    let text = text.trim();
    let value = match (object.is_empty(), text.is_empty()) {
        (true, true) => Value::Null,
        (true, false) => Value::from(text),
        (false, true) => Value::Object(object),
        (false, false) => {
            add(&mut object, "#text".to_owned(), Value::from(text));
            Value::Object(object)
        }
    };
    if let Some(parent) = open.last_mut() {
        add(&mut parent.object, name, value);
    }
}

/// A name that comes again makes a list.
fn add(object: &mut Map, name: String, value: Value) {
    match object.get_mut(&name) {
        Some(Value::Array(items)) => items.push(value),
        Some(first) => {
            let first = std::mem::replace(first, Value::Null);
            object.insert(name, Value::Array(vec![first, value]));
        }
        None => {
            object.insert(name, value);
        }
    }
}
