//! `state`: what a connector remembers, shown and changed under its lease.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::Context;
use super::exit::{LeaseHeld, Usage};
use super::output;
use crate::cli::StateCommand;
use crate::pipeline::session::split_field;
use crate::signal::{Origin, Version, Via};
use crate::store::{
    Acquired, Commit, Committed, KnownVersion, Lease, Output, Owner, STATE_SCHEMA, State, Store,
    VersionEntry, version_field,
};

/// Lease taken while state is changed.
const TTL: Duration = Duration::from_secs(30);

/// Versions per commit of an import.
const VERSIONS_PER_COMMIT: usize = 500;

/// Largest file that is imported.
const MAX_IMPORT_BYTES: u64 = 1 << 30;

/// State as users see it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    schema: u32,
    connector: String,
    epoch: u64,
    sequence: u64,
    /// Stream → cursor.
    cursors: BTreeMap<String, Value>,
    /// `{stream}:{request}` → validators.
    etags: BTreeMap<String, Value>,
    /// Stream → key → version.
    item_versions: BTreeMap<String, BTreeMap<String, ItemVersion>>,
}

/// A version alone is its hash in hex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum ItemVersion {
    Hash(String),
    Full {
        version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        instant: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        day: Option<u16>,
    },
}

/// Shows or changes state.
pub(super) async fn state(context: &Context, command: StateCommand) -> Result<()> {
    let store = context.open_store().await?;
    refuse_unknown(context, &*store, &command).await?;
    match command {
        StateCommand::Show { name } | StateCommand::Export { name } => {
            output::json(&read(&*store, &name).await?)
        }
        StateCommand::Reset {
            name,
            stream,
            confirm,
        } => {
            let what = stream
                .as_deref()
                .map_or("everything".to_owned(), |stream| format!("stream {stream}"));
            output::confirm(
                &format!("{name} will forget {what} and publish all of it again"),
                confirm,
            )
            .await?;
            let (lease, _) = acquire(&*store, &name).await?;
            let result = store.reset_state(&lease, stream.as_deref()).await;
            store.release(&lease).await?;
            applied(&result?)?;
            output::line(&format!("reset {what} of {name}")).map(drop)
        }
        StateCommand::Set {
            name,
            stream,
            cursor,
            confirm,
        } => {
            let cursor: Value = serde_json::from_str(&cursor)
                .map_err(|error| Usage(format!("--cursor is no JSON: {error}")))?;
            output::confirm(
                &format!("the cursor of {name}'s stream {stream} will be replaced"),
                confirm,
            )
            .await?;
            let field = (format!("cursor:{stream}"), Some(cursor.to_string()));
            change(&*store, &name, vec![field], Vec::new()).await?;
            output::line(&format!("set the cursor of {name}'s stream {stream}")).map(drop)
        }
        StateCommand::Import {
            name,
            file,
            rename,
            confirm,
        } => {
            let document = parse(&file)?;
            if document.connector != name && !rename {
                let message = format!(
                    "{} holds the state of {}, not of {name}; add --rename if that is meant",
                    file.display(),
                    document.connector
                );
                return Err(Usage(message).into());
            }
            output::confirm(&format!("the state of {name} will be replaced"), confirm).await?;
            import(&*store, &name, document).await?;
            output::line(&format!("imported the state of {name}")).map(drop)
        }
    }
}

/// A name or stream that neither the store nor the configuration knows is a slip of the pen.
async fn refuse_unknown(
    context: &Context,
    store: &dyn Store,
    command: &StateCommand,
) -> Result<()> {
    let (name, stream) = match command {
        StateCommand::Show { name }
        | StateCommand::Export { name }
        | StateCommand::Import { name, .. } => (name, None),
        StateCommand::Reset { name, stream, .. } => (name, stream.as_ref()),
        StateCommand::Set { name, stream, .. } => (name, Some(stream)),
    };
    // Without a configuration, as on an operator's own machine, the store alone decides.
    let configuration = context.load_structure(std::slice::from_ref(name));
    let kept = store.load_state(name).await?;
    let is_kept = kept.epoch > 0;
    let manifest = match configuration {
        Ok(configuration) => configuration.type_of(name),
        Err(error) if !is_kept => return Err(error),
        Err(_) => None,
    };
    let (Some(stream), Some(manifest)) = (stream, manifest) else {
        return Ok(());
    };
    let known: Vec<&str> = manifest.streams.iter().map(|(name, _)| &**name).collect();
    let is_set = matches!(command, StateCommand::Set { .. });
    if !known.contains(&stream.as_str()) {
        // Names of streams that are made for a configuration are known only to a run.
        return if manifest.makes_streams {
            Ok(())
        } else {
            Err(Usage::unknown(&format!("{name} has no stream"), stream, &known).into())
        };
    }
    let has_cursor =
        manifest.keeps_cursor(stream) || kept.fields.contains_key(&format!("cursor:{stream}"));
    if is_set && !has_cursor {
        let message = format!(
            "{name}'s stream {stream} has no cursor: each poll reads all of it; `state reset` \
             publishes it again"
        );
        return Err(Usage(message).into());
    }
    Ok(())
}

async fn read(store: &dyn Store, name: &str) -> Result<Document> {
    let state = store.load_state(name).await?;
    let mut document = Document {
        // Of a connector that has no state yet, what an import may bring.
        schema: if state.schema == 0 {
            STATE_SCHEMA
        } else {
            state.schema
        },
        connector: name.to_owned(),
        epoch: state.epoch,
        sequence: state.sequence,
        ..Document::default()
    };
    for (field, text) in state.fields {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        match field.split_once(':') {
            Some(("cursor", stream)) => drop(document.cursors.insert(stream.to_owned(), value)),
            Some(("etag", request)) => drop(document.etags.insert(request.to_owned(), value)),
            _ => {}
        }
    }
    let versions = &mut document.item_versions;
    store
        .scan_versions(name, &mut |field, known| {
            if let Some((stream, key)) = split_field(field) {
                versions
                    .entry(stream.to_owned())
                    .or_default()
                    .insert(key.to_owned(), shown(known));
            }
        })
        .await?;
    Ok(document)
}

fn shown(known: KnownVersion) -> ItemVersion {
    let version = known.version.to_string();
    match (known.instant, known.day) {
        (None, None) => ItemVersion::Hash(version),
        (instant, day) => ItemVersion::Full {
            version,
            instant,
            day,
        },
    }
}

fn parse(file: &Path) -> Result<Document> {
    let mut text = String::new();
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(
            std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?,
        )
    };
    reader
        .take(MAX_IMPORT_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let document: Document = serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `state export` writes", file.display()))?;
    if document.schema != STATE_SCHEMA {
        bail!(
            "{} has schema {}; this release reads {STATE_SCHEMA}",
            file.display(),
            document.schema
        );
    }
    Ok(document)
}

async fn import(store: &dyn Store, name: &str, document: Document) -> Result<()> {
    let mut versions = Vec::new();
    for (stream, items) in document.item_versions {
        for (key, item) in items {
            let known = known(item).with_context(|| format!("version of {stream} {key}"))?;
            versions.push(VersionEntry {
                field: version_field(&stream, &key),
                known,
            });
        }
    }
    let cursors = document
        .cursors
        .into_iter()
        .map(|(stream, value)| (format!("cursor:{stream}"), value));
    let etags = document
        .etags
        .into_iter()
        .map(|(request, value)| (format!("etag:{request}"), value));
    let fields = cursors.chain(etags).map(|(field, value)| {
        let text = if let Value::String(text) = value {
            text
        } else {
            value.to_string()
        };
        (field, Some(text))
    });
    let fields = fields.collect();
    let (lease, _) = acquire(store, name).await?;
    let reset = store.reset_state(&lease, None).await;
    store.release(&lease).await?;
    applied(&reset?)?;
    change(store, name, fields, versions).await
}

fn known(item: ItemVersion) -> Result<KnownVersion> {
    let (hex, instant, day) = match item {
        ItemVersion::Hash(hex) => (hex, None, None),
        ItemVersion::Full {
            version,
            instant,
            day,
        } => (version, instant, day),
    };
    let number = u128::from_str_radix(&hex, 16).context("not 32 hexadecimal digits")?;
    if hex.len() != 32 {
        bail!("not 32 hexadecimal digits");
    }
    Ok(KnownVersion {
        version: Version(number.to_be_bytes()),
        instant,
        day,
    })
}

/// Writes state fields and versions under the connector's lease; the fields come last, so that an
/// interrupted import leaves no cursor behind without its versions.
async fn change(
    store: &dyn Store,
    name: &str,
    fields: Vec<(String, Option<String>)>,
    versions: Vec<VersionEntry>,
) -> Result<()> {
    let (lease, state) = acquire(store, name).await?;
    let mut chunks: Vec<_> = versions
        .chunks(VERSIONS_PER_COMMIT)
        .map(|chunk| (Vec::new(), chunk.to_vec()))
        .collect();
    chunks.push((fields, Vec::new()));
    let mut result = Ok(());
    for (sequence, (state, versions)) in (state.sequence + 1..).zip(chunks) {
        let commit = Commit {
            sequence,
            output: Output {
                stream: "raw-input-signals".into(),
                max_len: 0,
            },
            origin: Origin {
                connector: name.into(),
                stream: "".into(),
                provider: "".into(),
                tenant: None,
                via: Via::Poll,
            },
            signals: Vec::new(),
            versions,
            gone: Vec::new(),
            state,
            dead_letters: Vec::new(),
            acknowledged: Vec::new(),
        };
        result = store
            .commit(&lease, &commit)
            .await
            .map_err(Into::into)
            .and_then(|answer| applied(&answer));
        if result.is_err() {
            break;
        }
    }
    store.release(&lease).await?;
    result
}

async fn acquire(store: &dyn Store, name: &str) -> Result<(Lease, State)> {
    match store.acquire(name, &Owner::new("state"), None, TTL).await? {
        Acquired::Held(lease, state) => Ok((lease, state)),
        Acquired::Busy { holder, remaining } => Err(LeaseHeld {
            connector: name.to_owned(),
            holder,
            remaining_ms: remaining.as_millis(),
        }
        .into()),
    }
}

fn applied(answer: &Committed) -> Result<()> {
    match answer {
        Committed::Applied { .. } => Ok(()),
        other => bail!("the store did not take the change: {other:?}"),
    }
}
