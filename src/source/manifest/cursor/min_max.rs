//! `MinMaxDatetime`: a date from a template, kept between two others.

use super::super::datetime::DateTime;
use super::super::fields;
use super::super::template::{Context, Template};
use super::CursorError;
use crate::document::{Kind, Node, Problem};
use crate::json::Map;

/// Where neither the date nor its cursor names a format.
const DEFAULT_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%f%z";

/// A date, no earlier than a minimum and no later than a maximum.
#[derive(Debug, Clone)]
pub struct MinMaxDatetime {
    datetime: Template,
    min: Option<Template>,
    max: Option<Template>,
    format: Option<String>,
    parameters: Map,
}

impl MinMaxDatetime {
    /// From a component of type `MinMaxDatetime`, or a text that is only the date.
    pub fn build(node: &Node) -> Result<Self, Problem> {
        if !matches!(node.kind, Kind::Map(_)) {
            return Ok(Self {
                datetime: fields::template_of("datetime", node)?,
                min: None,
                max: None,
                format: None,
                parameters: Map::new(),
            });
        }
        let optional = |key| {
            fields::template(node, key)
                .map(|template| template.filter(|template| !template.source().is_empty()))
        };
        Ok(Self {
            datetime: fields::required_template(node, "datetime")?,
            min: optional("min_datetime")?,
            max: optional("max_datetime")?,
            format: fields::text(node, "datetime_format")?
                .filter(|format| !format.is_empty())
                .map(str::to_owned),
            parameters: fields::parameters(node),
        })
    }

    /// The date, read by its own format or the cursor's.
    pub(super) fn at(
        &self,
        context: &Context<'_>,
        cursor_format: &str,
        field: &'static str,
    ) -> Result<DateTime, CursorError> {
        let mut context = context.clone();
        if !self.parameters.is_empty() {
            context.set("parameters", &self.parameters);
        }
        let format = match &self.format {
            Some(format) => format,
            None if cursor_format.is_empty() => DEFAULT_FORMAT,
            None => cursor_format,
        };
        let text = |template: &Template| {
            template
                .text(&context)
                .map_err(|cause| CursorError::Template { field, cause })
        };
        let date = |text: &str| {
            DateTime::parse(text, format).map_err(|cause| CursorError::Date { field, cause })
        };
        let bound = |template: &Option<Template>| match template {
            None => Ok(None),
            Some(template) => match text(template)?.as_str() {
                "" => Ok(None),
                text => date(text).map(Some),
            },
        };
        let mut at = date(&text(&self.datetime)?)?;
        if let Some(min) = bound(&self.min)?
            && min.epoch_micros() > at.epoch_micros()
        {
            at = min;
        }
        if let Some(max) = bound(&self.max)?
            && max.epoch_micros() < at.epoch_micros()
        {
            at = max;
        }
        Ok(at)
    }
}
