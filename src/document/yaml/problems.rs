//! What can be wrong with a text, in words that help to mend it.

use std::sync::Arc;

use saphyr_parser::{ScanError, Tag};

use super::{MAX_DEPTH, Reader, position};
use crate::document::{Position, Problem};

impl Reader {
    pub(super) fn refuse_control_characters(&self, text: &str) -> Result<(), Problem> {
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
    pub(super) fn expect_tag(
        &self,
        tag: Option<&Tag>,
        name: &str,
        at: Position,
    ) -> Result<(), Problem> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == name) => {
                Err(self.unknown_tag(tag, at))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unknown_tag(&self, tag: &Tag, at: Position) -> Problem {
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

    pub(super) fn too_deep(&self, at: Position) -> Problem {
        self.problem(
            at,
            &format!("lists and maps are nested more than {MAX_DEPTH} levels deep"),
            "flatten the document",
        )
    }

    pub(super) fn syntax(&self, error: &ScanError) -> Problem {
        let what = error.info();
        let fix = if what.contains("recursion limit") {
            return self.too_deep(position(*error.marker()));
        } else if what.contains("tab") {
            "indent with spaces, not tabs"
        } else if what.contains("escape") {
            "write \\\\ for a backslash, or use single quotation marks"
        } else if what.contains("quoted scalar") {
            "close the quotation mark"
        } else if what.contains("unknown anchor") {
            "define the anchor with & before it is used with *"
        } else if what.contains("flow mapping") || what.contains("flow sequence") {
            "close the bracket, separate the elements with commas, and put a template in quotation \
             marks"
        } else if what.contains("expect ':'") || what.contains("simple key expected") {
            "end a key with a colon and a space, and put text in quotation marks"
        } else if what.contains("mapping values") {
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

    pub(super) fn problem(&self, at: Position, message: &str, fix: &str) -> Problem {
        Problem {
            file: Arc::clone(&self.file),
            at: Some(at),
            message: message.to_owned(),
            fix: Some(fix.to_owned()),
        }
    }
}
