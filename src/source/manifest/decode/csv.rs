//! `CsvDecoder`: rows to objects, as Python's `csv.DictReader` reads them.

use super::{DecodeError, Documents};
use crate::document::{Node, Problem};
use crate::json::Value;
use crate::source::manifest::fields::{self, problem};

/// How rows are written.
#[derive(Debug, Clone)]
pub struct Csv {
    delimiter: char,
    latin1: bool,
    nulls: Vec<String>,
}

impl Csv {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let delimiter = match fields::text(node, "delimiter")?.unwrap_or(",") {
            "\\t" => "\t",
            other => other,
        };
        let mut chars = delimiter.chars();
        let (Some(delimiter), None) = (chars.next(), chars.next()) else {
            return Err(problem(
                fields::required(node, "delimiter")?.at,
                "delimiter is not one character",
                "use one character, as in \",\" or \"\\t\"",
            ));
        };
        let encoding = fields::text(node, "encoding")?.unwrap_or("utf-8");
        let latin1 = match encoding.to_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" | "utf-8-sig" | "ascii" => false,
            "latin-1" | "latin1" | "iso-8859-1" => true,
            _ => {
                return Err(problem(
                    fields::required(node, "encoding")?.at,
                    format!("the encoding {encoding} is not supported"),
                    "use utf-8 or latin-1",
                ));
            }
        };
        Ok(Self {
            delimiter,
            latin1,
            nulls: fields::texts(node, "set_values_to_none")?,
        })
    }

    /// The rows after the header, each an object of texts; columns that a row lacks are null, and
    /// fields beyond the header are dropped. Empty rows are skipped.
    pub(super) fn decode(&self, body: &[u8], documents: &mut Documents) -> Result<(), DecodeError> {
        let text: String = if self.latin1 {
            body.iter().map(|byte| char::from(*byte)).collect()
        } else {
            std::str::from_utf8(body)
                .map_err(|_| DecodeError::Encoding { encoding: "UTF-8" })?
                .trim_start_matches('\u{feff}')
                .to_owned()
        };
        // As Python's text files do, in quoted fields too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut rows = rows(&text, self.delimiter).filter(|row| !row.is_empty());
        let Some(header) = rows.next() else {
            return Ok(());
        };
        for row in rows {
            let mut fields = row.into_iter();
            documents.add_object(
                header
                    .iter()
                    .map(|column| (column.clone(), self.value(fields.next()))),
            )?;
        }
        Ok(())
    }

    fn value(&self, field: Option<String>) -> Value {
        match field {
            Some(text) if !self.nulls.contains(&text) => Value::String(text),
            _ => Value::Null,
        }
    }
}

/// Splits into rows and fields. A quoted field may hold delimiters, line breaks and, doubled,
/// quotation marks; text after its end is taken as it stands.
fn rows(text: &str, delimiter: char) -> impl Iterator<Item = Vec<String>> {
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        chars.peek()?;
        let mut row = Vec::new();
        let mut field = String::new();
        let mut quoted = false;
        let mut empty = true;
        while let Some(char) = chars.next() {
            if quoted {
                if char != '"' {
                    field.push(char);
                } else if chars.next_if_eq(&'"').is_some() {
                    field.push('"');
                } else {
                    quoted = false;
                }
                continue;
            }
            match char {
                '\n' => break,
                '"' if field.is_empty() => quoted = true,
                char if char == delimiter => row.push(std::mem::take(&mut field)),
                char => field.push(char),
            }
            empty = false;
        }
        if !empty {
            row.push(field);
        }
        Some(row)
    })
}
