//! `connectors`: which types configuration may name.

mod auth;
mod keys;

use anyhow::Result;
use serde_json::json;

use super::context::Context;
use super::exit::{Problems, Usage};
use super::output;
use crate::cli::ConnectorsCommand;
use crate::config::to_camel;
use crate::source::manifest::catalog::Manifest;

/// Lists types or shows one.
pub(super) fn connectors(context: &Context, command: ConnectorsCommand) -> Result<()> {
    let catalog = context.catalog().map_err(Problems)?;
    match command {
        ConnectorsCommand::List(args) => {
            let row = |manifest: &Manifest| {
                vec![
                    manifest.kind.to_string(),
                    manifest.version.clone().unwrap_or_default(),
                    manifest.display_name.clone(),
                    auth::ways(manifest).join(", or "),
                    stream_names(manifest).join(", "),
                ]
            };
            let rows: Vec<_> = catalog.kinds().map(|manifest| row(manifest)).collect();
            let document: Vec<_> = catalog.kinds().map(|manifest| summary(manifest)).collect();
            let header = ["type", "version", "name", "authentication", "streams"];
            output::listing(args.output, &header, &rows, &document)
        }
        ConnectorsCommand::Show { kind, output } => {
            let Some(manifest) = catalog
                .get(&kind)
                .or_else(|| catalog.get(&kind.to_uppercase()))
            else {
                let kinds: Vec<_> = catalog.names().collect();
                return Err(Usage::unknown("unknown connector type", &kind, &kinds).into());
            };
            let version = manifest.version.clone().unwrap_or_default();
            let about = manifest.display_name.clone();
            let mut rows = vec![vec!["version".to_owned(), version, about]];
            let streams = manifest.streams.iter().map(|(name, unavailable)| {
                let note = match unavailable {
                    Some(why) => format!("unavailable: {why}"),
                    None if is_default(manifest, name) => "read by default".to_owned(),
                    None => String::new(),
                };
                vec!["stream".to_owned(), name.to_string(), note]
            });
            rows.extend(streams);
            let delivered = manifest.metadata.pushed.iter().map(|(name, _)| {
                let about = "delivered, never read".to_owned();
                vec!["stream".to_owned(), name.to_string(), about]
            });
            rows.extend(delivered);
            let ways = auth::ways(manifest).into_iter();
            rows.extend(ways.map(|way| vec!["authentication".to_owned(), way]));
            for (name, schema) in manifest.spec["properties"]
                .as_object()
                .into_iter()
                .flatten()
            {
                let mut notes = Vec::new();
                if auth::is_required(&manifest.spec, name) {
                    notes.push("required");
                }
                if auth::is_secret(schema) {
                    notes.push("secret");
                }
                let about = schema["description"]
                    .as_str()
                    .or(schema["title"].as_str())
                    .unwrap_or_default();
                let notes = if notes.is_empty() {
                    String::new()
                } else {
                    format!("{}. ", notes.join(", "))
                };
                rows.push(vec![
                    "providerConfig".to_owned(),
                    to_camel(name),
                    format!("{notes}{about}"),
                ]);
            }
            let mut document = summary(manifest);
            document["providerConfig"] = keys::spelled(&manifest.spec);
            output::listing(output.output, &["what", "name", "about"], &rows, &document)
        }
    }
}

fn stream_names(manifest: &Manifest) -> Vec<&str> {
    let read = manifest.streams.iter().map(|(name, _)| &**name);
    let delivered = manifest.metadata.pushed.iter().map(|(name, _)| &**name);
    read.chain(delivered).collect()
}

/// Whether a connector that names no streams reads this one.
fn is_default(manifest: &Manifest, stream: &str) -> bool {
    let chosen = manifest.chosen_streams(Vec::new());
    chosen.is_empty() || chosen.iter().any(|name| **name == *stream)
}

fn summary(manifest: &Manifest) -> serde_json::Value {
    let streams: Vec<_> = manifest
        .streams
        .iter()
        .map(|(name, unavailable)| match unavailable {
            None => json!({ "name": &**name, "default": is_default(manifest, name) }),
            Some(why) => json!({ "name": &**name, "unavailable": why }),
        })
        .chain(
            manifest
                .metadata
                .pushed
                .iter()
                .map(|(name, _)| json!({ "name": &**name, "delivered": true })),
        )
        .collect();
    json!({
        "type": &*manifest.kind,
        "id": &*manifest.id,
        "version": manifest.version,
        "displayName": manifest.display_name,
        "streams": streams,
        "auth": auth::document(manifest),
    })
}
