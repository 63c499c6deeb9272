//! YAML with the position of every value, typed as YAML 1.1 (the manifests' reference reads 1.1).
//!
//! The tree is built from parser events, so nothing recurses on the input's nesting before it is
//! bounded. Aliases and merge keys are expanded here; what they may expand to is bounded too.

mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::{Entry, Kind, Node, Position, Problem};

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

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
    depth: usize,
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

    fn refuse_control_characters(&self, text: &str) -> Result<(), Problem> {
        let mut at = Position { line: 1, column: 1 };
        for char in text.chars() {
            match char {
                '\n' => {
                    at.line += 1;
                    at.column = 0;
                }
                '\t'
                | '\r'
                | ' '..='~'
                | '\u{85}'
                | '\u{a0}'..='\u{fefe}'
                | '\u{ff00}'..='\u{fffd}'
                | '\u{10000}'.. => {}
                _ => {
                    return Err(self.problem(
                        at,
                        &format!(
                            "the character U+{:04X} is not allowed here",
                            u32::from(char)
                        ),
                        "remove it, or write it as an escape in a double-quoted text",
                    ));
                }
            }
            at.column += 1;
        }
        Ok(())
    }

    /// Refuses tags of lists and maps that say anything but what stands there.
    fn expect_tag(&self, tag: Option<&Tag>, name: &str, at: Position) -> Result<(), Problem> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == name) => {
                Err(self.unknown_tag(tag, at))
            }
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, tag: &Tag, at: Position) -> Problem {
        let spelled = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        self.problem(
            at,
            &format!("the value cannot be read as {spelled}"),
            "remove the tag, or use one of !!str, !!int, !!float, !!bool, !!null on a value of \
             that kind",
        )
    }

    fn too_deep(&self, at: Position) -> Problem {
        self.problem(
            at,
            &format!("lists and maps are nested more than {MAX_DEPTH} levels deep"),
            "flatten the document",
        )
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let what = error.info();
        let fix = if what.contains("recursion limit") {
            return self.too_deep(position(*error.marker()));
        } else if what.contains("tab") {
            "indent with spaces, not tabs"
        } else if what.contains("quoted scalar") && what.contains("end of stream") {
            "close the quotation mark"
        } else if what.contains("unknown anchor") {
            "define the anchor with & before it is used with *"
        } else if what.contains("flow mapping") || what.contains("flow sequence") {
            "close the bracket, separate the elements with commas, and put a template in quotation \
             marks"
        } else if what.contains("mapping values") || what.contains("simple key") {
            "put text that holds \": \" in quotation marks, and check the indentation"
        } else if what.contains("unexpected character") {
            "put text that starts with a special character in quotation marks"
        } else {
            "check the indentation of this line and the one before it"
        };
        self.problem(
            position(*error.marker()),
            &format!("not valid YAML: {what}"),
            fix,
        )
    }

    fn problem(&self, at: Position, message: &str, fix: &str) -> Problem {
        Problem {
            file: Arc::clone(&self.file),
            at: Some(at),
            message: message.to_owned(),
            fix: Some(fix.to_owned()),
        }
    }
}

/// The members of a map: those merged in stand first, own ones override them in place.
fn members(
    mut merged: IndexMap<String, (Position, Node)>,
    own: IndexMap<String, (Position, Node)>,
) -> Vec<Entry> {
    merged.extend(own);
    merged
        .into_iter()
        .map(|(key, (key_at, value))| Entry { key, key_at, value })
        .collect()
}

/// Adds what `<<: value` brings in; false when the value holds anything but maps.
///
/// Of a list the first map that has a key wins; of two `<<` in one map the last.
fn merge(merged: &mut IndexMap<String, (Position, Node)>, value: Node) -> bool {
    let maps = match value.kind {
        Kind::Map(entries) => vec![entries],
        Kind::List(items) => {
            let maps: Option<Vec<_>> = items
                .into_iter()
                .rev()
                .map(|item| match item.kind {
                    Kind::Map(entries) => Some(entries),
                    _ => None,
                })
                .collect();
            match maps {
                Some(maps) => maps,
                None => return false,
            }
        }
        _ => return false,
    };
    for Entry { key, key_at, value } in maps.into_iter().flatten() {
        merged.insert(key, (key_at, value));
    }
    true
}

fn measure(node: &Node) -> Size {
    let children: Vec<Size> = match &node.kind {
        Kind::List(items) => items.iter().map(measure).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| {
                let mut size = measure(&entry.value);
                size.text += entry.key.len();
                size
            })
            .collect(),
        Kind::String(text) => {
            return Size {
                nodes: 1,
                text: text.len(),
                depth: 0,
            };
        }
        _ => Vec::new(),
    };
    let nested = usize::from(matches!(node.kind, Kind::List(_) | Kind::Map(_)));
    Size {
        nodes: 1 + children.iter().map(|size| size.nodes).sum::<usize>(),
        text: children.iter().map(|size| size.text).sum(),
        depth: nested + children.iter().map(|size| size.depth).max().unwrap_or(0),
    }
}

fn position(marker: Marker) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position {
        line: number(marker.line()),
        column: number(marker.col()).saturating_add(1),
    }
}
