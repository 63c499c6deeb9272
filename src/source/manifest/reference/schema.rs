//! `DynamicSchemaLoader`: the provider describes its records.

use std::sync::Arc;

use super::pages::Pages;
use crate::client::FetchError;
use crate::document::{Kind, Node};
use crate::json::{Map, Value, parse};
use crate::source::manifest::ManifestSource;
use crate::source::manifest::dpath::{Path, Segment};
use crate::source::manifest::expr::Expr;
use crate::source::manifest::fields::{list, optional, required};
use crate::source::manifest::filter::RecordFilter;
use crate::source::manifest::retriever::Run;
use crate::source::manifest::slice::StreamSlice;
use crate::source::manifest::template::Context;
use crate::source::manifest::transform::Transformation;

/// How messages name the request.
const NAME: &str = "dynamic_properties";

impl ManifestSource {
    /// The schema that the provider describes.
    pub(super) async fn asked_schema(&self, loader: &Node) -> Result<Map, FetchError> {
        let run = self.run(NAME);
        let parts = self.parts_asking(NAME, loader)?;
        let slice = Arc::new(StreamSlice::default());
        let mut pages = Pages::new(run, &parts, slice, None, Some(&self.cache))?;
        let mut first = None;
        while let Some(records) = pages.next().await? {
            if let Some(record) = records.first() {
                first = Some(parse(record).map_err(|error| run.misconfigured(error))?);
                break;
            }
        }
        let context = run.context();
        let described = Described {
            run,
            context: &context,
            identifier: required(loader, "schema_type_identifier")
                .map_err(|problem| run.misconfigured(problem))?,
        };
        let properties = described.properties(first.as_ref())?;
        let properties =
            finished(loader, properties, &context).map_err(|error| run.misconfigured(error))?;
        let dialect = "https://json-schema.org/draft-07/schema#";
        Ok(Map::from_iter([
            ("$schema".to_owned(), dialect.into()),
            ("type".to_owned(), "object".into()),
            ("additionalProperties".to_owned(), Value::Bool(true)),
            ("properties".to_owned(), properties.into()),
        ]))
    }
}

/// Filters and transforms what the loader found.
fn finished(loader: &Node, mut properties: Map, context: &Context<'_>) -> Result<Map, String> {
    if let Some(filter) = optional(loader, "schema_filter") {
        let filter = RecordFilter::build(filter).map_err(|problem| problem.to_string())?;
        let mut kept = Map::new();
        for (name, value) in properties {
            let one = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            if filter
                .keeps(&one, context)
                .map_err(|error| error.to_string())?
            {
                kept.insert(name, value);
            }
        }
        properties = kept;
    }
    for node in list(loader, "schema_transformations").map_err(|problem| problem.to_string())? {
        let step = Transformation::build(node).map_err(|problem| problem.to_string())?;
        let done = step.apply(&mut properties, context);
        done.map_err(|error| error.to_string())?;
    }
    Ok(properties)
}

/// A description, and where things stand in it.
struct Described<'d> {
    run: Run<'d>,
    context: &'d Context<'d>,
    identifier: &'d Node,
}

impl Described<'_> {
    fn properties(&self, record: Option<&Value>) -> Result<Map, FetchError> {
        let fields = match record {
            None => return Ok(Map::new()),
            Some(record) => self.at("schema_pointer", record)?,
        };
        let Some(Value::Array(fields)) = fields else {
            return Err(self.run.misconfigured("schema_pointer leads to no list"));
        };
        let mut properties = Map::new();
        for field in fields {
            let Some(Value::String(name)) = self.at("key_pointer", field)? else {
                return Err(self.run.misconfigured("key_pointer leads to no text"));
            };
            properties.insert(name.clone(), self.kind_of(field)?);
        }
        Ok(properties)
    }

    /// What stands at one of the identifier's pointers; without a pointer, all of it.
    fn at<'v>(&self, pointer: &str, value: &'v Value) -> Result<Option<&'v Value>, FetchError> {
        let failed = |error: &dyn std::fmt::Display| self.run.misconfigured(error);
        let parts = list(self.identifier, pointer).map_err(|problem| failed(&problem))?;
        if parts.is_empty() {
            return Ok(Some(value));
        }
        let mut path = Vec::new();
        for part in parts {
            let part = Expr::of(pointer, part, self.identifier).map_err(|e| failed(&e))?;
            path.push(Segment::Key(
                part.text(self.context).map_err(|e| failed(&e))?,
            ));
        }
        let path = Path::new(path).map_err(|error| failed(&error))?;
        Ok(path.find(value).first().copied())
    }

    /// The schema of one field.
    fn kind_of(&self, field: &Value) -> Result<Value, FetchError> {
        let usual = Value::from("string");
        let given = match optional(self.identifier, "type_pointer") {
            None => &usual,
            Some(_) => self.at("type_pointer", field)?.unwrap_or(&usual),
        };
        match self.mapped(given, field)? {
            Some(target) => self.target(target),
            None => match given {
                Value::String(name) => self.named(name),
                Value::Array(names) => self.either(names),
                _ => Err(self
                    .run
                    .misconfigured("a field's type is neither text nor a list")),
            },
        }
    }

    /// What the manifest maps a type to, if it does.
    fn mapped(&self, given: &Value, field: &Value) -> Result<Option<&Node>, FetchError> {
        let failed = |error: &dyn std::fmt::Display| self.run.misconfigured(error);
        let context = self.context.clone().with("raw_schema", field);
        for entry in list(self.identifier, "types_mapping").map_err(|e| failed(&e))? {
            let current = required(entry, "current_type").map_err(|e| failed(&e))?;
            let holds = match Expr::field(entry, "condition").map_err(|e| failed(&e))? {
                Some(condition) => condition.boolean(&context).map_err(|e| failed(&e))?,
                None => true,
            };
            if holds && current.to_value() == *given {
                let target = required(entry, "target_type");
                return target.map(Some).map_err(|problem| failed(&problem));
            }
        }
        Ok(None)
    }

    fn target(&self, target: &Node) -> Result<Value, FetchError> {
        match &target.kind {
            Kind::String(name) => self.named(name),
            Kind::List(names) => {
                let names: Vec<Value> = names.iter().map(Node::to_value).collect();
                self.either(&names)
            }
            _ => self.nested(target),
        }
    }

    /// `ComplexFieldType`
    fn nested(&self, target: &Node) -> Result<Value, FetchError> {
        let name = target.get("field_type").and_then(Node::as_str);
        let mut schema = self.named(name.unwrap_or_default())?;
        let items = match optional(target, "items") {
            None => return Ok(schema),
            Some(items) => match items.as_str() {
                Some(name) => self.named(name)?,
                None => self.nested(items)?,
            },
        };
        if let Value::Object(map) = &mut schema {
            map.insert("items".to_owned(), items);
        }
        Ok(schema)
    }

    fn either(&self, names: &[Value]) -> Result<Value, FetchError> {
        let [Value::String(one), Value::String(other)] = names else {
            return Err(self.run.misconfigured("a field may have one type or two"));
        };
        let both = Value::Array(vec![self.named(one)?, self.named(other)?]);
        Ok(Map::from_iter([("oneOf".to_owned(), both)]).into())
    }

    fn named(&self, name: &str) -> Result<Value, FetchError> {
        let (kind, format) = match name {
            "string" | "boolean" | "integer" | "number" | "array" | "object" => (name, None),
            "date" => ("string", Some("date")),
            "timestamp_without_timezone" | "timestamp_with_timezone" => {
                ("string", Some("date-time"))
            }
            "time_without_timezone" | "time_with_timezone" => ("string", Some("time")),
            _ => {
                let words = format!("{name} is no type of a schema");
                return Err(self.run.misconfigured(words));
            }
        };
        let kinds = Value::Array(vec!["null".into(), kind.into()]);
        let mut schema = Map::from_iter([("type".to_owned(), kinds)]);
        if let Some(format) = format {
            schema.insert("format".to_owned(), format.into());
            if name != "date" && name != "timestamp_with_timezone" {
                schema.insert("airbyte_type".to_owned(), name.into());
            }
        }
        Ok(schema.into())
    }
}
