//! What a catalog says of a stream.

use crate::client::FetchError;
use crate::document::{Kind, Node};
use crate::json::{Map, Value};
use crate::source::manifest::ManifestSource;
use crate::source::manifest::fields::{optional, type_of};
use crate::source::manifest::stream::first_read;

/// A stream as a catalog describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// JSON Schema of its records.
    pub schema: Value,
    /// Fields that identify a record.
    pub primary_key: Vec<String>,
    /// The field that later reads go on from.
    pub cursor_field: Option<String>,
}

impl ManifestSource {
    /// Describes a stream.
    pub async fn describe_as_the_reference(&self, stream: usize) -> Result<Described, FetchError> {
        let spec = &self.specs[stream];
        let run = self.run(&spec.name);
        let node = self
            .node(&spec.name)
            .map(first_read)
            .ok_or_else(|| run.misconfigured("the manifest has no such stream"))?;
        let cursor = self.streams[stream]
            .as_ref()
            .and_then(|built| built.parts.cursor.as_ref());
        let cursor_field = match cursor {
            Some(cursor) => {
                let cursor = cursor.open(&run.context());
                let cursor = cursor.map_err(|error| run.misconfigured(error))?;
                Some(cursor.cursor_field().to_owned())
            }
            None => None,
        };
        let mut schema = self.schema(node).await?;
        if let Value::Object(map) = &mut schema {
            // As in every message of the reference.
            map.retain(|_, value| *value != Value::Null);
        }
        Ok(Described {
            schema,
            primary_key: primary_key(node).map_err(|why| run.misconfigured(why))?,
            cursor_field,
        })
    }
}

impl ManifestSource {
    /// The schema of a stream's records; several loaders make one in which the first of them wins.
    pub(super) async fn schema(&self, stream: &Node) -> Result<Value, FetchError> {
        let Some(loader) = optional(stream, "schema_loader") else {
            return Ok(Map::new().into());
        };
        let Kind::List(loaders) = &loader.kind else {
            return self.loaded(loader).await;
        };
        let mut properties = Map::new();
        for loader in loaders {
            if let Some(Value::Object(more)) = self.loaded(loader).await?.get("properties") {
                for (name, schema) in more {
                    properties.entry(name.clone()).or_insert(schema.clone());
                }
            }
        }
        let kinds = Value::Array(vec!["null".into(), "object".into()]);
        let dialect = "http://json-schema.org/draft-07/schema#";
        Ok(Map::from_iter([
            ("$schema".to_owned(), dialect.into()),
            ("type".to_owned(), kinds),
            ("properties".to_owned(), properties.into()),
        ])
        .into())
    }

    async fn loaded(&self, loader: &Node) -> Result<Value, FetchError> {
        Ok(match (type_of(loader), optional(loader, "schema")) {
            (Some("InlineSchemaLoader"), Some(schema)) => schema.to_value(),
            (Some("DynamicSchemaLoader"), _) => self.asked_schema(loader).await?.into(),
            _ => Map::new().into(),
        })
    }
}

fn primary_key(node: &Node) -> Result<Vec<String>, &'static str> {
    let Some(key) = optional(node, "primary_key") else {
        return Ok(Vec::new());
    };
    match &key.kind {
        Kind::String(field) => Ok(vec![field.clone()]),
        Kind::List(parts) => parts
            .iter()
            .map(|part| match (part.as_str(), part.items()) {
                (Some(field), _) => Ok(field.to_owned()),
                (None, [only]) => Ok(only.as_str().unwrap_or_default().to_owned()),
                _ => Err("nested primary keys are not supported"),
            })
            .collect(),
        _ => Err("primary_key is neither text nor a list"),
    }
}
