//! `dlq`: records that could not become signals, and deliveries that were given up.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::context::Context;
use super::{output, replay};
use crate::cli::DlqCommand;
use crate::store::{DeadDelivery, DeadLetterEntry, Store};

/// Dead letters read at a time.
const AT_ONCE: usize = 100;

/// Begins the id of a delivery, which is kept apart from records.
const OF_DELIVERY: &str = "webhook:";

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
            let left = limit - letters.len();
            let deliveries = read_deliveries(&*store, &name, left).await?;
            let document: Vec<_> = letters
                .iter()
                .map(head)
                .chain(deliveries.iter().map(delivery_head))
                .collect();
            let rows: Vec<_> = document.iter().map(row).collect();
            output::listing(
                output.output,
                &["id", "time", "stream", "delivery", "attempts", "reason"],
                &rows,
                &document,
            )
        }
        DlqCommand::Show { name, id } => match id.strip_prefix(OF_DELIVERY) {
            Some(entry) => show_delivery(&*store, &name, &id, entry).await,
            None => {
                let letters = read(&*store, &name, usize::MAX).await?;
                let Some(entry) = letters.into_iter().find(|entry| entry.id == id) else {
                    bail!("{name} has no dead letter {id}");
                };
                let mut document = head(&entry);
                document["data"] = as_json(&entry.letter.data);
                output::json(&document)
            }
        },
        DlqCommand::Replay { name, id } => {
            let (entries, records) = apart(&id);
            let deliveries = if id.is_empty() {
                store.replay_deliveries(&name, None).await?
            } else {
                let moved = store.replay_deliveries(&name, Some(&entries)).await?;
                refuse_unknown(&name, &entries, moved)?;
                moved
            };
            if deliveries > 0 {
                output::line(&format!(
                    "{deliveries} deliveries of {name} wait in its queue again"
                ))?;
            }
            if !id.is_empty() && records.is_empty() {
                return Ok(());
            }
            let mut letters = read(&*store, &name, usize::MAX).await?;
            if !records.is_empty() {
                letters.retain(|entry| records.contains(&entry.id));
                refuse_unknown(&name, &records, letters.len() as u64)?;
            }
            if letters.is_empty() && deliveries > 0 {
                return Ok(());
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
            let (entries, records) = apart(&id);
            let chosen = |ids| (!id.is_empty()).then_some(ids);
            let purged = store
                .purge_dead_letters(&name, chosen(&records[..]))
                .await?
                + store
                    .purge_dead_deliveries(&name, chosen(&entries[..]))
                    .await?;
            refuse_unknown(&name, &id, purged)?;
            output::line(&format!("deleted {purged} dead letters of {name}")).map(drop)
        }
    }
}

/// One line of the table.
fn row(document: &Value) -> Vec<String> {
    let text = |field: &str| match &document[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    ["id", "time", "stream", "delivery", "attempts", "reason"]
        .map(text)
        .to_vec()
}

/// Ids of deliveries, as the store knows them, and of records.
fn apart(ids: &[String]) -> (Vec<String>, Vec<String>) {
    let mut records = ids.to_vec();
    let deliveries = ids.iter().filter_map(|id| id.strip_prefix(OF_DELIVERY));
    let deliveries = deliveries.map(str::to_owned).collect();
    records.retain(|id| !id.starts_with(OF_DELIVERY));
    (deliveries, records)
}

async fn show_delivery(store: &dyn Store, name: &str, id: &str, entry: &str) -> Result<()> {
    let deliveries = read_deliveries(store, name, usize::MAX).await?;
    let Some(dead) = deliveries.into_iter().find(|dead| dead.entry == entry) else {
        bail!("{name} has no dead delivery {id}");
    };
    let mut document = delivery_head(&dead);
    document["request"] = as_json(&dead.delivery.head);
    document["body"] = as_json(&dead.delivery.body);
    output::json(&document)
}

async fn read_deliveries(store: &dyn Store, name: &str, limit: usize) -> Result<Vec<DeadDelivery>> {
    let mut deliveries: Vec<DeadDelivery> = Vec::new();
    while deliveries.len() < limit {
        let after = deliveries.last().map(|dead| dead.entry.clone());
        let count = AT_ONCE.min(limit - deliveries.len());
        let more = store.dead_deliveries(name, after.as_deref(), count).await?;
        if more.is_empty() {
            break;
        }
        deliveries.extend(more);
    }
    Ok(deliveries)
}

fn delivery_head(dead: &DeadDelivery) -> Value {
    json!({
        "id": format!("{OF_DELIVERY}{}", dead.entry),
        "time": dead.time,
        "delivery": dead.delivery.id,
        "attempts": dead.failed.attempts,
        "reason": dead.failed.reason,
    })
}

/// As JSON where it is some, else as text.
fn as_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into())
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

fn refuse_unknown(name: &str, ids: &[String], purged: u64) -> Result<()> {
    if purged < ids.len() as u64 {
        bail!(
            "{name} has only {purged} of these {} dead letters",
            ids.len()
        );
    }
    Ok(())
}
