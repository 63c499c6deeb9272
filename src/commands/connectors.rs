//! `connectors`: which types configuration may name.

use anyhow::{Result, bail};
use serde_json::json;

use super::context::Context;
use super::exit::Problems;
use super::output;
use crate::cli::ConnectorsCommand;
use crate::document::did_you_mean;
use crate::source::manifest::catalog::Manifest;

/// Lists types or shows one.
pub(super) fn connectors(context: &Context, command: ConnectorsCommand) -> Result<()> {
    let catalog = context.catalog().map_err(Problems)?;
    match command {
        ConnectorsCommand::List(args) => {
            let rows: Vec<_> = catalog
                .kinds()
                .map(|manifest| {
                    vec![
                        manifest.kind.to_string(),
                        manifest.version.clone().unwrap_or_default(),
                        manifest.display_name.clone(),
                        stream_names(manifest).join(", "),
                    ]
                })
                .collect();
            let document: Vec<_> = catalog.kinds().map(|manifest| summary(manifest)).collect();
            output::listing(
                args.output,
                &["type", "version", "name", "streams"],
                &rows,
                &document,
            )
        }
        ConnectorsCommand::Show { kind, output } => {
            let Some(manifest) = catalog
                .get(&kind)
                .or_else(|| catalog.get(&kind.to_uppercase()))
            else {
                let kinds: Vec<_> = catalog.names().collect();
                match did_you_mean(&kind, kinds.iter().copied()) {
                    Some(near) => bail!("unknown connector type {kind} (did you mean {near}?)"),
                    None => bail!(
                        "unknown connector type {kind}; there are {}",
                        kinds.join(", ")
                    ),
                }
            };
            let mut rows: Vec<_> = manifest
                .streams
                .iter()
                .map(|(name, unavailable)| {
                    let note = match unavailable {
                        Some(why) => format!("unavailable: {why}"),
                        None if is_default(manifest, name) => "read by default".to_owned(),
                        None => String::new(),
                    };
                    vec!["stream".to_owned(), name.to_string(), note]
                })
                .collect();
            let delivered = manifest.metadata.pushed.iter().map(|(name, _)| {
                let about = "delivered, never read".to_owned();
                vec!["stream".to_owned(), name.to_string(), about]
            });
            rows.extend(delivered);
            let required: Vec<_> = manifest.spec["required"]
                .as_array()
                .into_iter()
                .flatten()
                .collect();
            for (name, schema) in manifest.spec["properties"]
                .as_object()
                .into_iter()
                .flatten()
            {
                let need = if required.iter().any(|key| *key == name) {
                    "required. "
                } else {
                    ""
                };
                let about = schema["description"]
                    .as_str()
                    .or(schema["title"].as_str())
                    .unwrap_or_default();
                rows.push(vec![
                    "providerConfig".to_owned(),
                    camel_case(name),
                    format!("{need}{about}"),
                ]);
            }
            let mut document = summary(manifest);
            document["providerConfig"] = manifest.spec.clone();
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
    })
}

/// As users write it in `connectors.json`.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let mut chars = part.chars();
        let head = chars.next().map(|char| char.to_ascii_uppercase());
        text + &head.into_iter().chain(chars).collect::<String>()
    })
}
