//! `dlq`: records that could not become signals.

use anyhow::{Result, bail};
use serde_json::json;

use super::context::Context;
use super::{output, replay};
use crate::cli::DlqCommand;
use crate::store::{DeadLetterEntry, Store};

/// Dead letters read at a time.
const AT_ONCE: usize = 100;

/// Lists, shows, replays or deletes dead letters.
pub(super) async fn dlq(context: &Context, command: DlqCommand) -> Result<()> {
    let store = context.open_store().await?;
    match command {
        DlqCommand::List {
            name,
            limit,
            output,
        } => {
            let letters = read(&*store, &name, limit).await?;
            let row = |entry: &DeadLetterEntry| {
                vec![
                    entry.id.clone(),
                    entry.time.clone(),
                    entry.letter.stream.clone(),
                    entry.letter.reason.clone(),
                ]
            };
            let rows: Vec<_> = letters.iter().map(row).collect();
            let document: Vec<_> = letters.iter().map(head).collect();
            output::listing(
                output.output,
                &["id", "time", "stream", "reason"],
                &rows,
                &document,
            )
        }
        DlqCommand::Show { name, id } => {
            let letters = read(&*store, &name, usize::MAX).await?;
            let Some(entry) = letters.into_iter().find(|entry| entry.id == id) else {
                bail!("{name} has no dead letter {id}");
            };
            let mut document = head(&entry);
            document["data"] = serde_json::from_slice(&entry.letter.data)
                .unwrap_or_else(|_| String::from_utf8_lossy(&entry.letter.data).into());
            output::json(&document)
        }
        DlqCommand::Replay { name, id } => {
            let mut letters = read(&*store, &name, usize::MAX).await?;
            if !id.is_empty() {
                letters.retain(|entry| id.contains(&entry.id));
                refuse_unknown(&name, &id, letters.len() as u64)?;
            }
            replay::replay(context, store, &name, letters).await
        }
        DlqCommand::Purge { name, id, confirm } => {
            let which = if id.is_empty() {
                "all".to_owned()
            } else {
                id.len().to_string()
            };
            output::confirm(
                &format!("{which} dead letters of {name} will be deleted"),
                confirm,
            )
            .await?;
            let purged = store.purge_dead_letters(&name, chosen(&id)).await?;
            refuse_unknown(&name, &id, purged)?;
            output::line(&format!("deleted {purged} dead letters of {name}")).map(drop)
        }
    }
}

async fn read(store: &dyn Store, name: &str, limit: usize) -> Result<Vec<DeadLetterEntry>> {
    let mut letters: Vec<DeadLetterEntry> = Vec::new();
    while letters.len() < limit {
        let after = letters.last().map(|entry| entry.id.clone());
        let count = AT_ONCE.min(limit - letters.len());
        let more = store.dead_letters(name, after.as_deref(), count).await?;
        if more.is_empty() {
            break;
        }
        letters.extend(more);
    }
    Ok(letters)
}

fn head(entry: &DeadLetterEntry) -> serde_json::Value {
    json!({
        "id": entry.id,
        "time": entry.time,
        "stream": entry.letter.stream,
        "reason": entry.letter.reason,
    })
}

fn chosen(ids: &[String]) -> Option<&[String]> {
    (!ids.is_empty()).then_some(ids)
}

fn refuse_unknown(name: &str, ids: &[String], purged: u64) -> Result<()> {
    if purged < ids.len() as u64 {
        bail!(
            "{name} has only {purged} of these {} dead letters",
            ids.len()
        );
    }
    Ok(())
}
