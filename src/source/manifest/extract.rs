//! `DpathExtractor`: where in an answer the records stand.

use bytes::Bytes;

use super::dpath::{Path, Segment};
use super::fields;
use super::template::{Context, EvalError, Literal, Template};
use crate::document::{Node, Problem};
use crate::json::{self, Ignored, Map, SyntaxError, Value};
use crate::source::Record;

/// Finds the records of an answer at a path.
///
/// A list there gives its elements, a non-empty map or any other true value itself, anything else
/// nothing. Each `*` of the path stands for all members.
#[derive(Debug, Clone)]
pub struct DpathExtractor {
    path: Vec<Template>,
    parameters: Map,
}

/// Records of one answer: a page is held in memory as a whole.
const MAX_RECORDS: usize = 1_000_000;

/// Why an answer gives no records. The absence of the path is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The body is not JSON.
    #[error("the answer is not valid JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// A template of the path has no value.
    #[error("cannot tell where the records are: {0}")]
    Path(#[from] EvalError),
    /// One answer holds more records than a page may.
    #[error("the answer holds more than {MAX_RECORDS} records")]
    TooMany,
    /// A pattern without `*` matches several places.
    #[error("the path {0} matches several values")]
    Ambiguous(String),
}

/// Where the records stand, for one configuration.
#[derive(Debug, Clone)]
pub struct RecordPath {
    path: Path,
}

impl DpathExtractor {
    /// From a component of type `DpathExtractor`.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        fields::required(node, "field_path")?;
        let path = fields::list(node, "field_path")?
            .iter()
            .map(|part| fields::template_of("field_path", part))
            .collect::<Result<_, _>>()?;
        if fields::optional(node, "record_expander").is_some() {
            return Err(fields::problem(
                node.at,
                "record_expander is not supported",
                "remove it: each record is published as it was sent",
            ));
        }
        Ok(Self {
            path,
            parameters: fields::parameters(node),
        })
    }

    /// The path with its templates evaluated: needs `config` only, so once per read is enough.
    pub fn path(&self, context: &Context<'_>) -> Result<RecordPath, ExtractError> {
        let context = context.clone().with("parameters", &self.parameters);
        let segments = self
            .path
            .iter()
            .map(|part| {
                Ok(match part.value(&context)? {
                    Literal::Int(index) => Segment::Index(index),
                    other => Segment::Key(other.to_string()),
                })
            })
            .collect::<Result<Vec<_>, EvalError>>()?;
        let path = Path::new(segments).map_err(|error| {
            ExtractError::Path(EvalError::Failed {
                what: error.to_string(),
            })
        })?;
        Ok(RecordPath { path })
    }
}

impl RecordPath {
    /// The records as slices of the body, which is checked to be JSON from start to end; with
    /// their versions if it is said what does not make one.
    ///
    /// A list at the root counts as a row of answers, each with the path. No tree is built unless
    /// the path holds patterns.
    pub fn slices(
        &self,
        body: &Bytes,
        hashing: Option<&Ignored>,
    ) -> Result<Vec<Record>, ExtractError> {
        let records = self.all_slices(body, hashing)?;
        if records.len() > MAX_RECORDS {
            return Err(ExtractError::TooMany);
        }
        Ok(records)
    }

    fn all_slices(
        &self,
        body: &Bytes,
        hashing: Option<&Ignored>,
    ) -> Result<Vec<Record>, ExtractError> {
        let Some(keys) = self.path.plain() else {
            return self.slices_of_tree(&json::parse(body)?);
        };
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        if text.trim_ascii_start().first() != Some(&b'[') {
            return self.plain_slices(body, &keys, hashing);
        }
        // What is hashed here are the records only if the path ends here.
        let hashing_here = hashing.filter(|_| keys.is_empty());
        let mut records = Vec::new();
        for answer in elements(body, &[], hashing_here)?.unwrap_or_default() {
            // Saves a second pass over the common case.
            if keys.is_empty() && answer.starts_with(b"{") {
                records.extend((!is_empty_object(&answer)).then_some(answer));
            } else {
                records.extend(self.plain_slices(&answer, &keys, hashing)?);
            }
        }
        Ok(records)
    }

    fn plain_slices(
        &self,
        answer: &Bytes,
        keys: &[&str],
        hashing: Option<&Ignored>,
    ) -> Result<Vec<Record>, ExtractError> {
        if let Some(records) = elements(answer, keys, hashing)? {
            return Ok(records);
        }
        // Nothing there, or a scalar: rare enough for a tree.
        let tree = json::parse(answer)?;
        Ok(self.values(&tree)?.into_iter().map(to_record).collect())
    }

    fn slices_of_tree(&self, tree: &Value) -> Result<Vec<Record>, ExtractError> {
        let answers = match tree {
            Value::Array(items) => items.as_slice(),
            answer => std::slice::from_ref(answer),
        };
        let mut records = Vec::new();
        for answer in answers {
            records.extend(self.values(answer)?.into_iter().map(to_record));
        }
        Ok(records)
    }

    /// The records in a tree.
    pub fn values<'v>(&self, body: &'v Value) -> Result<Vec<&'v Value>, ExtractError> {
        let mut found = if self.path.segments().is_empty() {
            vec![body]
        } else {
            self.path.find(body)
        };
        if self.path.has_star() {
            return Ok(found);
        }
        if found.len() > 1 {
            return Err(ExtractError::Ambiguous(self.shown()));
        }
        Ok(match found.pop() {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(value) if is_true(value) => vec![value],
            _ => Vec::new(),
        })
    }

    fn shown(&self) -> String {
        let parts: Vec<String> = self
            .path
            .segments()
            .iter()
            .map(ToString::to_string)
            .collect();
        parts.join("/")
    }
}

fn is_empty_object(json: &[u8]) -> bool {
    json.strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start() == b"}")
}

fn to_record(value: &Value) -> Record {
    Bytes::from(value.to_json()).into()
}

/// The elements of the array at `path`, each a slice of `body`.
fn elements(
    body: &Bytes,
    path: &[&str],
    hashing: Option<&Ignored>,
) -> Result<Option<Vec<Record>>, SyntaxError> {
    Ok(match hashing {
        Some(ignored) => json::elements_with_versions(body, path, ignored)?.map(|found| {
            let records = found.into_iter();
            records
                .map(|(range, version)| Record::with_version(body.slice(range), Some(version)))
                .collect()
        }),
        None => json::elements(body, path)?.map(|found| {
            let records = found.into_iter();
            records.map(|range| body.slice(range).into()).collect()
        }),
    })
}

/// Python's `bool(value)`.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::BigNumber(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
