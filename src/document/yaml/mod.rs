//! YAML with the position of every value, typed as YAML 1.1 (the manifests' reference reads 1.1).
//!
//! The tree is built from parser events, so nothing recurses on the input's nesting before it is
//! bounded. Aliases and merge keys are expanded here; what they may expand to is bounded too.

mod merge;
mod problems;
mod scalar;
mod size;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Kind, Node, Position, Problem};
use merge::{members, merge};
use size::{Size, measure};

/// Lists and maps inside each other. Recursive code below a parsed document may rely on it.
const MAX_DEPTH: usize = 128;
/// Values after aliases are expanded.
const MAX_NODES: usize = 1_000_000;
/// Bytes of text after aliases are expanded.
const MAX_TEXT: usize = 64 << 20;

/// Parses one YAML document; an empty text is `null`.
///
/// Scalars are typed as `safe_load` of `PyYAML` types them (`yes` is true, `1_000` and `0x10` are
/// numbers, `012` is ten), except that dates, `.inf` and `.nan` stay text. Of a repeated key the
/// last value counts. A key that is no text (`404:`) is read as it is spelled.
pub fn parse_yaml(file: &str, text: &str) -> Result<Node, Problem> {
    Reader {
        file: file.into(),
        frames: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        text: 0,
    }
    .read(text)
}

struct Reader {
    file: Arc<str>,
    /// Open lists and maps, outermost first.
    frames: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    text: usize,
}

struct Frame {
    at: Position,
    anchor: usize,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map {
        /// Members in source order.
        own: IndexMap<String, (Position, Node)>,
        /// What `<<` brings in: members of the map that `own` may override.
        merged: IndexMap<String, (Position, Node)>,
        /// A key whose value has not come yet.
        key: Option<(Key, Position)>,
    },
}

enum Key {
    Text(String),
    Merge,
}

/// A value with an anchor, ready to stand in for an alias, and what each use costs.
struct Anchored {
    node: Node,
    key: Option<String>,
    size: Size,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<Node, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        self.refuse_control_characters(text)?;
        let mut documents = 0;
        let end_is_open = (!text.ends_with('\n')).then(|| text.chars().count());
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            let at = position(span.start);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.problem(
                            at,
                            "a second document starts here",
                            "keep one document per file: remove the line ---",
                        ));
                    }
                }
                Event::Alias(anchor) => self.alias(anchor, at)?,
                Event::Scalar(mut value, style, anchor, tag) => {
                    // A block at the end of a file without a last line break has none either;
                    // the parser adds one.
                    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    if is_block && end_is_open == Some(span.end.index()) && value.ends_with('\n') {
                        value.to_mut().pop();
                    }
                    self.scalar(&value, style, anchor, tag.as_deref(), at)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.expect_tag(tag.as_deref(), "seq", at)?;
                    self.open(Open::List(Vec::new()), anchor, at)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.expect_tag(tag.as_deref(), "map", at)?;
                    let map = Open::Map {
                        own: IndexMap::new(),
                        merged: IndexMap::new(),
                        key: None,
                    };
                    self.open(map, anchor, at)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        let start = Position { line: 1, column: 1 };
        Ok(self.root.unwrap_or(Node {
            kind: Kind::Null,
            at: start,
        }))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Problem> {
        let plain = style == ScalarStyle::Plain;
        let kind = match tag {
            // The non-specific tag `!` says: no guessing.
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => {
                Kind::String(text.to_owned())
            }
            Some(tag) if tag.is_yaml_core_schema() => {
                scalar::tagged(&tag.suffix, text).ok_or_else(|| self.unknown_tag(tag, at))?
            }
            Some(tag) => return Err(self.unknown_tag(tag, at)),
            None if plain => scalar::plain(text),
            None => Kind::String(text.to_owned()),
        };
        let size = Size {
            nodes: 1,
            text: text.len(),
            depth: 0,
        };
        self.charge(size, at)?;
        let node = Node { kind, at };
        if anchor > 0 {
            // Charged again because the anchor keeps a copy.
            self.charge(size, at)?;
            let anchored = Anchored {
                node: node.clone(),
                key: Some(text.to_owned()),
                size,
            };
            self.anchors.insert(anchor, anchored);
        }
        let merges = plain && tag.is_none() && text == "<<";
        self.place(node, Some(text), merges)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.problem(
                at,
                "this alias stands inside the value it names",
                "an anchor can be used only after its value ends",
            ));
        };
        let (size, key) = (anchored.size, anchored.key.clone());
        if self.frames.len() + size.depth > MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.charge(size, at)?;
        let node = self.anchors[&anchor].node.clone();
        self.place(node, key.as_deref(), false)
    }

    fn open(&mut self, open: Open, anchor: usize, at: Position) -> Result<(), Problem> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.charge(
            Size {
                nodes: 1,
                ..Size::default()
            },
            at,
        )?;
        self.frames.push(Frame { at, anchor, open });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Frame { at, anchor, open }) = self.frames.pop() else {
            return Ok(());
        };
        let kind = match open {
            Open::List(items) => Kind::List(items),
            Open::Map { own, merged, .. } => Kind::Map(members(merged, own)),
        };
        let node = Node { kind, at };
        if anchor > 0 {
            let size = measure(&node);
            self.charge(size, at)?;
            let anchored = Anchored {
                node: node.clone(),
                key: None,
                size,
            };
            self.anchors.insert(anchor, anchored);
        }
        self.place(node, None, false)
    }

    /// Puts a finished value where the innermost open list or map expects one.
    ///
    /// `spelling` is how it reads as a key, when it can be one; `merges`: it is the key `<<`.
    fn place(&mut self, node: Node, spelling: Option<&str>, merges: bool) -> Result<(), Problem> {
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { own, merged, key } => match key.take() {
                None => {
                    let Some(spelling) = spelling else {
                        return Err(self.problem(
                            node.at,
                            "a list or map cannot be a key",
                            "write the key as plain text",
                        ));
                    };
                    let text = Key::Text(spelling.to_owned());
                    *key = Some((if merges { Key::Merge } else { text }, node.at));
                }
                Some((Key::Text(text), key_at)) => {
                    own.insert(text, (key_at, node));
                }
                Some((Key::Merge, _)) => {
                    let at = node.at;
                    if !merge(merged, node) {
                        return Err(self.problem(
                            at,
                            "<< merges maps only",
                            "give an alias of a map, or a list of such aliases",
                        ));
                    }
                }
            },
        }
        Ok(())
    }

    fn charge(&mut self, size: Size, at: Position) -> Result<(), Problem> {
        self.nodes += size.nodes;
        self.text += size.text;
        if self.nodes > MAX_NODES || self.text > MAX_TEXT {
            return Err(self.problem(
                at,
                &format!(
                    "the document is too large: with aliases expanded it holds more than \
                     {MAX_NODES} values or {} MiB of text",
                    MAX_TEXT >> 20
                ),
                "use fewer aliases of large values",
            ));
        }
        Ok(())
    }
}

fn position(marker: Marker) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position {
        line: number(marker.line()),
        column: number(marker.col()).saturating_add(1),
    }
}
