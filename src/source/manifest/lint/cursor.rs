//! Rules for incremental streams.

use super::super::datetime::DateTime;
use super::super::fields::optional;
use super::is;
use super::report::Report;
use super::streams::{knows, mentions, near, schema_properties};
use super::templates::is_template;
use crate::document::{Kind, Node};

pub(super) fn check(stream: &Node, retriever: &Node, document: &Node, report: &mut Report<'_>) {
    let Some(cursor) = optional(stream, "incremental_sync") else {
        return;
    };
    cursor_field(stream, cursor, document, report);
    if !is(cursor, "DatetimeBasedCursor") {
        return;
    }
    step(cursor, report);
    let format = cursor.get("datetime_format").and_then(Node::as_str);
    for key in ["start_datetime", "end_datetime"] {
        if let Some(date) = optional(cursor, key) {
            dates(key, date, format, report);
        }
    }
    effect(retriever, cursor, report);
}

fn step(cursor: &Node, report: &mut Report<'_>) {
    let set = |key| optional(cursor, key).filter(|node| node.as_str() != Some(""));
    match (set("step"), set("cursor_granularity")) {
        (Some(step), None) => report.error(
            "conflict",
            step.at,
            "step without cursor_granularity",
            "add cursor_granularity, as in PT1S, or remove step",
        ),
        (None, Some(granularity)) => report.error(
            "conflict",
            granularity.at,
            "cursor_granularity without step",
            "add step, as in P1M, or remove cursor_granularity",
        ),
        _ => {}
    }
}

fn cursor_field(stream: &Node, cursor: &Node, document: &Node, report: &mut Report<'_>) {
    let Some(node) = optional(cursor, "cursor_field") else {
        return;
    };
    let Some(field) = node.as_str().filter(|field| !is_template(field)) else {
        return;
    };
    let name = stream
        .get("name")
        .and_then(Node::as_str)
        .unwrap_or_default();
    let stands_elsewhere = ["metadata", "connector", "signals", name, "cursor"]
        .into_iter()
        .try_fold(document, Node::get)
        .is_some();
    let Some(properties) = schema_properties(stream).filter(|_| !stands_elsewhere) else {
        return;
    };
    if !knows(stream, properties, field) {
        report.warn(
            "schema",
            node.at,
            format!("the schema has no {field}, which is the cursor"),
            near(properties, field),
        );
    }
}

/// Dates that are written out must be what their format says.
fn dates(key: &str, node: &Node, of_cursor: Option<&str>, report: &mut Report<'_>) {
    let own = node.get("datetime_format").and_then(Node::as_str);
    let Some(format) = own.filter(|format| !format.is_empty()).or(of_cursor) else {
        return;
    };
    let texts: Vec<&Node> = match &node.kind {
        Kind::Map(_) => ["datetime", "min_datetime", "max_datetime"]
            .into_iter()
            .filter_map(|part| optional(node, part))
            .collect(),
        _ => vec![node],
    };
    for node in texts {
        let Some(text) = node
            .as_str()
            .filter(|text| !is_template(text) && !text.is_empty())
        else {
            continue;
        };
        if let Err(error) = DateTime::parse(text, format) {
            report.error(
                "date",
                node.at,
                format!("{key} is not written as {format}: {error}"),
                "write the date so, or set datetime_format of a MinMaxDatetime",
            );
        }
    }
}

/// Whether a router asks for children of parents that changed alone.
fn follows_parents(node: &Node) -> bool {
    match &node.kind {
        Kind::List(items) => items.iter().any(follows_parents),
        Kind::Map(entries) => entries.iter().any(|entry| {
            (&*entry.key == "incremental_dependency"
                && matches!(entry.value.kind, Kind::Bool(true)))
                || follows_parents(&entry.value)
        }),
        _ => false,
    }
}

/// Whether anything keeps the provider from sending everything again.
fn effect(retriever: &Node, cursor: &Node, report: &mut Report<'_>) {
    if !is(retriever, "SimpleRetriever") {
        return;
    }
    let sends = ["start_time_option", "end_time_option"]
        .into_iter()
        .any(|key| optional(cursor, key).is_some());
    let filters = ["is_data_feed", "is_client_side_incremental"]
        .into_iter()
        .any(|key| {
            matches!(
                cursor.get(key).map(|node| &node.kind),
                Some(Kind::Bool(true))
            )
        });
    let uses = ["requester", "record_selector", "paginator"]
        .into_iter()
        .filter_map(|key| optional(retriever, key))
        .any(|node| mentions(node, "stream_interval") || mentions(node, "stream_slice"));
    // One that only keeps how far its parents were read need not do either.
    let follows = optional(retriever, "partition_router").is_some_and(follows_parents);
    if !sends && !filters && !uses && !follows {
        report.warn(
            "no-effect",
            cursor.at,
            "the cursor is neither sent nor used to filter, so each poll reads the whole stream",
            "add start_time_option, or use stream_interval in the request",
        );
    }
}
