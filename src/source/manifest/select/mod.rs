//! `RecordSelector`: from an answer to records: extract, filter, transform, normalise.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::extract::{DpathExtractor, ExtractError};
use super::fields::{self, problem};
use super::filter::RecordFilter;
use super::normalize::normalize;
use super::template::Context;
use super::transform::Transformation;
use crate::document::{Node, Problem};
use crate::json::{self, Ignored, Map, Value};
use crate::source::{Record, Rejected};

/// Everything that happens to records between the answer and the pipeline.
#[derive(Debug, Clone)]
pub struct RecordSelector {
    extractor: DpathExtractor,
    filter: Option<RecordFilter>,
    transform_before_filtering: bool,
    transformations: Vec<Transformation>,
    /// The schema to normalise by, when that is asked for.
    schema: Option<Value>,
}

/// The records of one page.
#[derive(Debug, Default)]
pub struct Selected {
    /// How many stood in the answer, before any was filtered out: page-counting paginators need
    /// it.
    pub extracted: usize,
    /// Those that are kept.
    pub records: Vec<Record>,
    /// Those that could not be handled.
    pub rejected: Vec<Rejected>,
}

impl RecordSelector {
    /// From a retriever's `record_selector`, and the `transformations` and schema of the stream.
    ///
    /// `transform_first` is what `transform_before_filtering` is where the selector does not say:
    /// true where the client filters by the cursor.
    pub fn build(
        node: &Node,
        transformations: &[Node],
        schema: Option<&Value>,
        transform_first: bool,
    ) -> Result<Self, Problem> {
        let extractor = fields::required(node, "extractor")?;
        let extractor = match fields::required_type(extractor, "extractor")? {
            "DpathExtractor" => DpathExtractor::build(extractor)?,
            _ => {
                return Err(fields::unknown_type(
                    extractor,
                    "extractor",
                    &["DpathExtractor"],
                ));
            }
        };
        Ok(Self {
            extractor,
            filter: fields::optional(node, "record_filter")
                .map(RecordFilter::build)
                .transpose()?,
            transform_before_filtering: fields::flag_or(
                node,
                "transform_before_filtering",
                transform_first,
            )?,
            transformations: transformations
                .iter()
                .map(Transformation::build)
                .collect::<Result<_, _>>()?,
            schema: if normalizes(node)? {
                schema.cloned()
            } else {
                None
            },
        })
    }

    /// Selects the records of the decoded documents of one answer.
    ///
    /// `context` offers `config`, `stream_slice` and `next_page_token`. Where nothing reads or
    /// rewrites the records, they are slices of the answer and no tree is built; they have their
    /// versions then, if `hashing` says what does not make one.
    pub fn select(
        &self,
        documents: &[Bytes],
        context: &Context<'_>,
        hashing: Option<&Ignored>,
    ) -> Result<Selected, ExtractError> {
        let path = self.extractor.path(context)?;
        let hashing = hashing.filter(|_| !self.rewrites_records());
        let mut selected = Selected::default();
        for document in documents {
            for slice in path.slices(document, hashing)? {
                selected.extracted += 1;
                match self.one(slice.clone(), context) {
                    Ok(Some(record)) => selected.records.push(record),
                    Ok(None) => {}
                    Err(reason) => selected.rejected.push(Rejected {
                        data: slice.into_data(),
                        reason,
                    }),
                }
            }
        }
        Ok(selected)
    }

    fn reads_records(&self) -> bool {
        self.filter.is_some() || self.rewrites_records()
    }

    fn rewrites_records(&self) -> bool {
        !self.transformations.is_empty() || self.schema.is_some()
    }

    /// One record after all steps; `None` if it is filtered out. The error is for people.
    pub(super) fn one(
        &self,
        slice: Record,
        context: &Context<'_>,
    ) -> Result<Option<Record>, String> {
        if slice.first() != Some(&b'{') {
            return Err("a record must be a JSON object".to_owned());
        }
        if !self.reads_records() {
            return Ok(Some(slice));
        }
        let tree = json::parse(&slice).map_err(|error| error.to_string())?;
        let Some(record) = self.filtered(tree, context)? else {
            return Ok(None);
        };
        if !self.rewrites_records() {
            return Ok(Some(slice));
        }
        Ok(Some(Bytes::from(record.to_json()).into()))
    }

    fn filtered(&self, mut record: Value, context: &Context<'_>) -> Result<Option<Value>, String> {
        if self.transform_before_filtering {
            self.transform(&mut record, context)?;
        }
        if let Some(filter) = &self.filter
            && !filter
                .keeps(&record, context)
                .map_err(|error| format!("the record filter cannot decide: {error}"))?
        {
            return Ok(None);
        }
        if !self.transform_before_filtering {
            self.transform(&mut record, context)?;
        }
        if let (Some(schema), Value::Object(map)) = (&self.schema, &mut record) {
            normalize(map, schema);
        }
        Ok(Some(record))
    }

    fn transform(&self, record: &mut Value, context: &Context<'_>) -> Result<(), String> {
        let Value::Object(map) = record else {
            return Ok(());
        };
        self.transform_map(map, context)
    }

    fn transform_map(&self, record: &mut Map, context: &Context<'_>) -> Result<(), String> {
        for transformation in &self.transformations {
            transformation
                .apply(record, context)
                .map_err(|error| format!("the record cannot be transformed: {error}"))?;
        }
        Ok(())
    }
}

fn normalizes(node: &Node) -> Result<bool, Problem> {
    let Some(value) = fields::optional(node, "schema_normalization") else {
        return Ok(false);
    };
    match value.as_str() {
        Some("Default") => Ok(true),
        Some("None") => Ok(false),
        _ => Err(problem(
            value.at,
            "schema_normalization is not supported as it stands",
            "use None or Default",
        )),
    }
}
