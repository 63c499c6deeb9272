//! Rules that span the components of a stream.

use super::super::fields::{kind_name, optional, text, type_of};
use super::super::template::Template;
use super::report::Report;
use super::{cursor, is};
use crate::document::{Kind, Node, did_you_mean};

/// Every stream of the manifest: parents, templates and variants, too.
pub(super) fn all(document: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    for key in ["streams", "dynamic_streams"] {
        if let Some(node) = document.get(key) {
            collect(node, &mut found);
        }
    }
    found
}

fn collect<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    if is(node, "DeclarativeStream") {
        found.push(node);
    }
    each_child(node, &mut |child| collect(child, found));
}

fn each_child<'n>(node: &'n Node, found: &mut dyn FnMut(&'n Node)) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(found),
        Kind::Map(entries) => {
            let inner = entries.iter().filter(|entry| entry.key != "$parameters");
            inner.for_each(|entry| found(&entry.value));
        }
        _ => {}
    }
}

/// The rules for one stream.
pub(super) fn check(stream: &Node, document: &Node, report: &mut Report<'_>) {
    let Some(retriever) = optional(stream, "retriever") else {
        return;
    };
    each_component(retriever, &mut |node| component(node, report));
    primary_key(stream, report);
    if is(retriever, "SimpleRetriever") {
        pages(retriever, report);
        slice_keys(stream, retriever, report);
    }
    cursor::check(stream, retriever, document, report);
}

fn each_component<'n>(node: &'n Node, found: &mut dyn FnMut(&'n Node)) {
    // Parent streams are streams of their own.
    if is(node, "DeclarativeStream") {
        return;
    }
    found(node);
    each_child(node, &mut |child| each_component(child, found));
}

fn component(node: &Node, report: &mut Report<'_>) {
    match type_of(node) {
        Some("RequestOption") => request_option(node, report),
        Some("HttpRequester") => requester(node, report),
        Some("HttpResponseFilter") => response_filter(node, report),
        Some("ListPartitionRouter") if lists_nothing(node) => report.warn(
            "no-effect",
            node.at,
            "ListPartitionRouter has no values: the stream has nothing to read",
            "list the values, or remove the router",
        ),
        _ => {}
    }
}

fn lists_nothing(router: &Node) -> bool {
    matches!(router.get("values").map(|values| &values.kind), Some(Kind::List(items)) if items.is_empty())
}

fn request_option(node: &Node, report: &mut Report<'_>) {
    let name = optional(node, "field_name");
    let path = optional(node, "field_path");
    let place = optional(node, "inject_into").and_then(Node::as_str);
    match (name, path) {
        (None, None) => report.error(
            "missing-field",
            node.at,
            "RequestOption has neither field_name nor field_path",
            "add field_name",
        ),
        (Some(_), Some(_)) => report.error(
            "conflict",
            node.at,
            "RequestOption has both field_name and field_path",
            "keep one of them",
        ),
        (None, Some(path)) if place.is_some_and(|place| place != "body_json") => report.error(
            "conflict",
            path.at,
            "field_path of a RequestOption works in body_json only",
            "use field_name",
        ),
        _ => {}
    }
}

fn requester(node: &Node, report: &mut Report<'_>) {
    let set = |key| optional(node, key).filter(|value| value.as_str() != Some(""));
    if let (Some(url), Some(_)) = (set("url"), set("url_base")) {
        report.warn(
            "no-effect",
            url.at,
            "url has no effect beside url_base",
            "keep one of them",
        );
    }
    if set("url").is_none() && set("url_base").is_none() {
        report.error(
            "missing-field",
            node.at,
            "HttpRequester has no address",
            "add url, or url_base and path",
        );
    }
    let bodies: Vec<&Node> = ["request_body", "request_body_json", "request_body_data"]
        .into_iter()
        .filter_map(|key| optional(node, key))
        .filter(|body| !matches!(&body.kind, Kind::Map(entries) if entries.is_empty()))
        .collect();
    if let [_, second, ..] = bodies[..] {
        report.error(
            "conflict",
            second.at,
            "HttpRequester has more than one body",
            "keep one of request_body, request_body_json and request_body_data",
        );
    }
}

fn response_filter(node: &Node, report: &mut Report<'_>) {
    let codes = optional(node, "http_codes").map_or(&[][..], Node::items);
    for code in codes {
        if let Kind::Int(number) = code.kind
            && !(100..=599).contains(&number)
        {
            report.error(
                "unknown-choice",
                code.at,
                format!("{number} is no status of HTTP"),
                "statuses go from 100 to 599",
            );
        }
    }
    let conditions: Vec<&Node> = ["http_codes", "predicate", "error_message_contains"]
        .into_iter()
        .filter_map(|key| optional(node, key))
        .collect();
    let says_something = |node: &&Node| match &node.kind {
        Kind::String(text) => !text.is_empty(),
        Kind::List(items) => !items.is_empty(),
        _ => true,
    };
    if conditions.is_empty() {
        report.error(
            "missing-field",
            node.at,
            "HttpResponseFilter has no condition",
            "add http_codes, predicate or error_message_contains",
        );
    } else if !conditions.iter().any(says_something) {
        report.warn(
            "no-effect",
            node.at,
            "the conditions of this HttpResponseFilter are empty, so it never matches",
            "fill one of http_codes, predicate and error_message_contains, or remove the filter",
        );
    } else if optional(node, "action").is_none() {
        report.warn(
            "no-effect",
            node.at,
            "HttpResponseFilter has no action, so it never matches",
            "add action: FAIL, RETRY, IGNORE, RATE_LIMITED or SUCCESS",
        );
    }
}

fn pages(retriever: &Node, report: &mut Report<'_>) {
    let Some(paginator) =
        optional(retriever, "paginator").filter(|node| is(node, "DefaultPaginator"))
    else {
        return;
    };
    let Some(strategy) = optional(paginator, "pagination_strategy") else {
        return;
    };
    let has_size = optional(strategy, "page_size").is_some();
    if let Some(option) = optional(paginator, "page_size_option")
        && !has_size
        && type_of(strategy).is_some_and(|kind| !kind.starts_with("Custom"))
    {
        report.error(
            "missing-field",
            option.at,
            "page_size_option without a page_size",
            "give the pagination strategy a page_size",
        );
    }
    let sends_token = optional(paginator, "page_token_option").is_some()
        || optional(retriever, "requester").is_some_and(|node| mentions(node, "next_page_token"));
    if !sends_token {
        report.warn(
            "no-effect",
            paginator.at,
            "the paginator sends its token nowhere, so every page is the first",
            "add page_token_option, or use next_page_token in the request",
        );
    }
}

/// Whether a text in `node` uses the word.
pub(super) fn mentions(node: &Node, word: &str) -> bool {
    let mut found = node.as_str().is_some_and(|text| text.contains(word));
    for entry in node.entries() {
        found |= entry.key.contains(word);
    }
    each_child(node, &mut |child| found |= mentions(child, word));
    found
}

/// Keys of slices that no router and no cursor of the stream makes.
fn slice_keys(stream: &Node, retriever: &Node, report: &mut Report<'_>) {
    let mut known = Vec::new();
    if let Some(router) = optional(retriever, "partition_router")
        && router_keys(router, &mut known).is_none()
    {
        return;
    }
    if let Some(cursor) = optional(stream, "incremental_sync") {
        for (key, default) in [
            ("partition_field_start", "start_time"),
            ("partition_field_end", "end_time"),
        ] {
            match constant(cursor, key) {
                Ok(name) => known.push(name.unwrap_or(default)),
                Err(()) => return,
            }
        }
        known.extend(optional(cursor, "cursor_field").and_then(Node::as_str));
    }
    for part in ["requester", "record_selector"] {
        if let Some(node) = optional(retriever, part) {
            uses_of_slice(node, &known, report);
        }
    }
}

/// `None` where they are known only with a configuration.
fn router_keys<'n>(router: &'n Node, known: &mut Vec<&'n str>) -> Option<()> {
    let items = match &router.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(router),
    };
    for router in items {
        match type_of(router)? {
            "ListPartitionRouter" => known.push(constant(router, "cursor_field").ok()??),
            "SubstreamPartitionRouter" => {
                for parent in router.get("parent_stream_configs")?.items() {
                    known.push(constant(parent, "partition_field").ok()??);
                }
            }
            "GroupingPartitionRouter" => {
                router_keys(router.get("underlying_partition_router")?, known)?;
            }
            "UnionPartitionRouter" => known.push(constant(router, "partition_field").ok()??),
            _ => return None,
        }
    }
    Some(())
}

/// A text without a template in it.
fn constant<'n>(node: &'n Node, key: &str) -> Result<Option<&'n str>, ()> {
    let text = text(node, key).map_err(|_| ())?;
    match text {
        Some(text) if super::templates::is_template(text) => Err(()),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

/// Attributes that every slice has.
const OF_SLICES: [&str; 6] = [
    "extra_fields",
    "parent_slice",
    "partition",
    "cursor_slice",
    "get",
    "items",
];

fn uses_of_slice(node: &Node, known: &[&str], report: &mut Report<'_>) {
    if let Some(text) = node.as_str()
        && ["stream_slice", "stream_partition", "stream_interval"]
            .iter()
            .any(|name| text.contains(name))
        && let Ok(template) = Template::compile(text)
    {
        for name in ["stream_slice", "stream_partition", "stream_interval"] {
            for path in template.constant_reads(name) {
                let Some(key) = path.first() else { continue };
                if known.contains(&&**key) || OF_SLICES.contains(&&**key) {
                    continue;
                }
                let at = report.within(node.at, text, text.find(name).unwrap_or(0));
                let fix = match did_you_mean(key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None if known.is_empty() => {
                        "the stream has neither a partition_router nor an incremental_sync"
                            .to_owned()
                    }
                    None => format!("slices of this stream have {}", known.join(", ")),
                };
                report.warn(
                    "unknown-key",
                    at,
                    format!("{name}.{key} is never there"),
                    fix,
                );
            }
        }
    }
    each_child(node, &mut |child| uses_of_slice(child, known, report));
}

fn primary_key(stream: &Node, report: &mut Report<'_>) {
    let Some(key) = optional(stream, "primary_key") else {
        return;
    };
    let Some(properties) = schema_properties(stream) else {
        return;
    };
    let parts = match &key.kind {
        Kind::List(parts) => parts.as_slice(),
        _ => std::slice::from_ref(key),
    };
    for part in parts {
        let name = part.as_str().or_else(|| part.items().first()?.as_str());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            continue;
        };
        if !knows(stream, properties, name) {
            report.warn(
                "schema",
                part.at,
                format!("the schema has no {name}, which is the primary key"),
                near(properties, name),
            );
        }
    }
}

/// The schema's properties, if it stands in the manifest and lists any.
pub(super) fn schema_properties(stream: &Node) -> Option<&Node> {
    let loader = optional(stream, "schema_loader").filter(|node| is(node, "InlineSchemaLoader"))?;
    let properties = loader.get("schema")?.get("properties")?;
    (!properties.entries().is_empty()).then_some(properties)
}

/// Whether records have the field, by the schema or because it is added.
pub(super) fn knows(stream: &Node, properties: &Node, name: &str) -> bool {
    properties.get(name).is_some()
        || optional(stream, "transformations").is_some_and(|all| mentions(all, name))
        || optional(stream, "transformations").is_some_and(|all| {
            all.items().iter().any(|node| {
                type_of(node).is_some_and(|kind| kind != "AddFields" && kind != "RemoveFields")
            })
        })
}

/// A fix that offers the nearest property.
pub(super) fn near(properties: &Node, name: &str) -> String {
    let known = properties.entries().iter().map(|entry| &*entry.key);
    match did_you_mean(name, known) {
        Some(near) => format!("did you mean {near}?"),
        None => "name a field of the schema, or add it there".to_owned(),
    }
}

/// Streams that `check` and `metadata` name must exist.
pub(super) fn check_names(document: &Node, report: &mut Report<'_>) {
    let Some(check) = optional(document, "check").filter(|node| is(node, "CheckStream")) else {
        return;
    };
    let mut names = Vec::new();
    let mut is_open = document.get("dynamic_streams").is_some();
    for stream in document.get("streams").map_or(&[][..], Node::items) {
        match stream.get("name").and_then(Node::as_str) {
            Some(name) => names.push(name),
            None if is(stream, "ConditionalStreams") => {
                let inner = stream.get("streams").map_or(&[][..], Node::items);
                names.extend(inner.iter().filter_map(|node| node.get("name")?.as_str()));
            }
            None => is_open = true,
        }
    }
    let Some(listed) = optional(check, "stream_names") else {
        return;
    };
    let Kind::List(listed) = &listed.kind else {
        return report.error(
            "wrong-kind",
            listed.at,
            format!("CheckStream.stream_names is {}", kind_name(listed)),
            "make it a list",
        );
    };
    for node in listed {
        let Some(name) = node.as_str() else { continue };
        if names.contains(&name) || is_open {
            continue;
        }
        let fix = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", names.join(", ")),
        };
        report.error(
            "unknown-stream",
            node.at,
            format!("check names the stream {name}, which there is not"),
            fix,
        );
    }
}
