//! One stream: its components, built for one connector's configuration.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::cursor::Cursor;
use super::decode::Decoder;
use super::expr::{Expr, unsupported};
use super::feed::{Deleted, Deletions, Detail, Feed, Marks, StreamRules, Sweep};
use super::fields::{flag, list, optional, problem, required, text, type_of};
use super::metadata::{AbsentList, SignalMetadata};
use super::mode::Mode;
use super::paginate::Paginator;
use super::partition::{Grouping, ListPartitionRouter, ParentStreamConfig, PartitionRouter};
use super::requester::Requester;
use super::select::RecordSelector;
use super::slice_options::SliceOptions;
use super::template::{Context, Literal};
use crate::document::{Kind, Node, Problem};
use crate::json::{Pointer, Value};
use crate::source::{SignalRule, StreamSpec};

/// The components of a stream that can be read.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of its own about the stream"
)]
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) requester: Requester,
    pub(super) paginator: Paginator,
    pub(super) decoder: Decoder,
    pub(super) selector: RecordSelector,
    pub(super) cursor: Option<Cursor>,
    /// Where the cursor's value stands, if not at the top of a record.
    pub(super) cursor_pointer: Option<Pointer>,
    /// Several make every combination of their partitions; none, no partition at all.
    pub(super) routers: Vec<Router>,
    pub(super) slice_options: SliceOptions,
    /// A page token already says which slice it is of.
    pub(super) slice_options_on_first_page_only: bool,
    /// Paging stops at the first record that an earlier read has seen.
    pub(super) is_data_feed: bool,
    /// The provider does not filter; what was read before is dropped here.
    pub(super) filters_here: bool,
    /// A window of the cursor changes what is asked for or kept; otherwise the cursor only keeps
    /// how far parents were read.
    pub(super) asks_by_date: bool,
    /// Records come in the order of the cursor.
    pub(super) oldest_first: bool,
    /// Pages that may be on their way at once, where their numbers are known in advance.
    pub(super) ahead: usize,
    pub(super) freshness: Option<Pointer>,
    /// Where the records stand in an answer, if no configuration is needed to say it.
    pub(super) record_path: Option<Pointer>,
    pub(super) absent_list: AbsentList,
    /// Where records say which they are.
    pub(super) key: Vec<Pointer>,
    /// What the stream is once there is state.
    pub(super) later: Option<Box<Later>>,
    /// Which records say that they are gone.
    pub(super) deleted: Option<Arc<Deleted>>,
    /// How the whole of a record is fetched.
    pub(super) detail: Option<Arc<Detail>>,
    /// Where the token is from which changes are read.
    pub(super) marks: Option<Arc<Marks>>,
    /// How state of older versions is read.
    pub(super) migration: Option<StateMigration>,
    /// How changes are read, where the stream has a token for them.
    pub(super) feed: Option<Box<Feed>>,
    /// A feed of what was deleted, beside what is read by dates.
    pub(super) deletions: Option<Box<Deletions>>,
    /// A listing that only shows which records are still there.
    pub(super) sweep: Option<Box<Sweep>>,
    /// What the keys of a partition's records begin with, where a partition that was listed whole
    /// finds deletions.
    pub(super) part_key: Vec<Expr>,
    /// Statuses of tolerated refusals that mean that a slice has no such records.
    pub(super) skips: Vec<u16>,
    /// Statuses of tolerated refusals that mean that a slice holds nothing.
    pub(super) empties: Vec<u16>,
}

impl Parts {
    /// The parts to read by, with or without state of an earlier read.
    pub(super) fn as_of(&self, has_state: bool) -> &Self {
        match &self.later {
            Some(later) if has_state => &later.parts,
            _ => self,
        }
    }

    /// Whether a record of the parent holds the first page, on a first read.
    pub(super) fn reads_parents_pages(&self) -> bool {
        match self.routers.as_slice() {
            [Router::Substream(parents)] => {
                parents.iter().any(|parent| parent.config.holds_child())
            }
            _ => false,
        }
    }

    /// Adds the names of the parents, and of theirs.
    pub(super) fn parents(&self, names: &mut HashSet<Arc<str>>) {
        self.routers.iter().for_each(|router| router.parents(names));
        if let Some(later) = &self.later {
            later.parts.parents(names);
        }
    }
}

/// How state of older versions becomes current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateMigration {
    /// `LegacyToPerPartitionStateMigration`: from one cursor per parent.
    LegacyToPerPartition,
}

/// `StateDelegatingStream`: a stream that is read in another way once there is state.
#[derive(Debug, Clone)]
pub(super) struct Later {
    pub(super) parts: Parts,
    /// How long the provider keeps what the other way reads; older state counts as none.
    pub(super) retention: Option<Expr>,
}

/// One way in which a stream is cut into partitions.
#[derive(Debug, Clone)]
pub(super) enum Router {
    /// Values that the manifest or configuration lists.
    List(ListPartitionRouter),
    /// One partition per record of other streams, one stream after the other.
    Substream(Vec<Parent>),
    /// The partitions of several routers, each value of one key once.
    Union { key: Expr, routers: Vec<Router> },
    /// Several partitions of another router at once.
    Grouped {
        grouping: Grouping,
        routers: Vec<Router>,
    },
}

impl Router {
    fn parents(&self, names: &mut HashSet<Arc<str>>) {
        match self {
            Self::List(_) => {}
            Self::Substream(parents) => {
                for parent in parents {
                    names.insert(parent.name.clone());
                    parent.parts.parents(names);
                }
            }
            Self::Union { routers, .. } | Self::Grouped { routers, .. } => {
                for router in routers {
                    router.parents(names);
                }
            }
        }
    }
}

/// A stream whose records are partitions of another.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    pub(super) name: Arc<str>,
    pub(super) parts: Arc<Parts>,
    pub(super) config: ParentStreamConfig,
    /// Whether the parent is read from where its child's state says.
    pub(super) is_incremental: bool,
    /// Tells parents of one read apart: two streams with the same parent read it once.
    pub(super) identity: Arc<str>,
}

/// What building needs to know.
#[derive(Clone)]
pub(super) struct Builder<'b> {
    /// Offers the configuration.
    pub(super) context: Context<'b>,
    pub(super) config: &'b Value,
    pub(super) mode: Mode,
    /// What the manifest says of its streams; it counts where one is a parent as well.
    pub(super) signals: &'b BTreeMap<Arc<str>, SignalMetadata>,
    /// Pages that may be on their way at once.
    pub(super) ahead: usize,
}

/// More pages at once would be rude, whatever a manifest says.
const MOST_AHEAD: usize = 8;

/// `concurrency_level` of a manifest: how many requests may be on their way at once. One where it
/// says nothing. `context` offers the configuration.
pub(super) fn concurrency(document: &Node, context: &Context<'_>) -> usize {
    let of = |key| {
        let level = optional(document, "concurrency_level")?;
        match Expr::field(level, key).ok()??.value(context).ok()? {
            Literal::Int(number) => usize::try_from(number).ok(),
            _ => None,
        }
    };
    let most = of("max_concurrency").unwrap_or(MOST_AHEAD).min(MOST_AHEAD);
    of("default_concurrency").unwrap_or(1).clamp(1, most.max(1))
}

impl Builder<'_> {
    /// The parts of a `DeclarativeStream`.
    pub(super) fn parts(
        &self,
        node: &Node,
        signal: Option<&SignalMetadata>,
    ) -> Result<Parts, Problem> {
        match type_of(node) {
            Some("DeclarativeStream") => {}
            Some("StateDelegatingStream") => {
                let mut parts = self.parts(required(node, "full_refresh_stream")?, signal)?;
                let later = required(node, "incremental_stream")?;
                parts.later = Some(Box::new(Later {
                    parts: self.parts(later, signal)?,
                    retention: Expr::field(node, "api_retention_period")?,
                }));
                return Ok(parts);
            }
            _ => return Err(unsupported(node)),
        }
        let retriever = required(node, "retriever")?;
        if type_of(retriever) != Some("SimpleRetriever") {
            return Err(unsupported(retriever));
        }
        let schema = optional(node, "schema_loader")
            .filter(|loader| type_of(loader) == Some("InlineSchemaLoader"))
            .and_then(|loader| loader.get("schema"))
            .map(Node::to_value);
        let mut slice_options = SliceOptions::default();
        let incremental = optional(node, "incremental_sync");
        let cursor = incremental.map(Cursor::build).transpose()?;
        let routers = match optional(retriever, "partition_router") {
            None => Vec::new(),
            Some(router) => self.routers(router, &mut slice_options)?,
        };
        if let Some(node) = incremental {
            slice_options.add_cursor(node)?;
        }
        let flag_of = |key| incremental.map_or(Ok(false), |node| flag(node, key));
        let is_data_feed = flag_of("is_data_feed")?;
        let filters_here = is_data_feed || flag_of("is_client_side_incremental")?;
        let asks_by_date = filters_here
            || slice_options.sends_window()
            || incremental.is_some_and(|cursor| names_window(retriever, cursor));
        Ok(Parts {
            requester: Requester::build(required(retriever, "requester")?, self.config, self.mode)?,
            paginator: match optional(retriever, "paginator") {
                Some(paginator) => {
                    Paginator::build(paginator, &self.context, self.mode.keeps_spelling())?
                }
                None => Paginator::Single,
            },
            decoder: match optional(retriever, "decoder") {
                Some(decoder) => Decoder::build(decoder)?,
                None => Decoder::default(),
            },
            selector: RecordSelector::build(
                required(retriever, "record_selector")?,
                list(node, "transformations")?,
                schema.as_ref(),
                flag_of("is_client_side_incremental")?,
            )?,
            // What is in a group changes from one read to the next.
            cursor: match routers.as_slice() {
                [Router::Grouped { .. }] => cursor.map(Cursor::shared),
                [_, ..] if matches!(cursor, Some(Cursor::Count(_))) => {
                    return Err(problem(
                        incremental.map_or(node.at, |cursor| cursor.at),
                        "IncrementingCountCursor cannot go with a partition_router",
                        "remove one of them",
                    ));
                }
                _ => cursor,
            },
            cursor_pointer: signal.and_then(|signal| signal.cursor.clone()),
            routers,
            slice_options,
            slice_options_on_first_page_only: flag(
                retriever,
                "ignore_stream_slicer_parameters_on_paginated_requests",
            )?,
            is_data_feed,
            filters_here,
            asks_by_date,
            oldest_first: false,
            ahead: self.ahead,
            freshness: signal.and_then(|signal| signal.freshness.clone()),
            record_path: record_path(retriever),
            absent_list: signal.map(|signal| signal.absent_list).unwrap_or_default(),
            key: signal
                .and_then(|signal| signal.subject.clone())
                .unwrap_or_else(|| primary_key(node)),
            later: None,
            deleted: None,
            detail: None,
            marks: None,
            migration: self.migration(node)?,
            feed: None,
            deletions: None,
            sweep: None,
            part_key: Vec::new(),
            skips: signal.map(|signal| signal.skip.clone()).unwrap_or_default(),
            empties: Vec::new(),
        })
    }

    /// State of older versions comes from Airbyte alone.
    fn migration(&self, node: &Node) -> Result<Option<StateMigration>, Problem> {
        let mut found = None;
        for migration in list(node, "state_migrations")? {
            match type_of(migration) {
                Some("LegacyToPerPartitionStateMigration") => {
                    found = Some(StateMigration::LegacyToPerPartition);
                }
                _ if self.mode == Mode::Reference => return Err(unsupported(migration)),
                _ => {}
            }
        }
        Ok(found)
    }

    fn routers(&self, node: &Node, options: &mut SliceOptions) -> Result<Vec<Router>, Problem> {
        let nodes = match &node.kind {
            Kind::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut routers = Vec::new();
        for node in nodes {
            match type_of(node) {
                Some("UnionPartitionRouter") => {
                    routers.push(Router::Union {
                        key: Expr::required(node, "partition_field")?,
                        routers: self.inner_routers(node, "partition_routers")?,
                    });
                    continue;
                }
                Some("GroupingPartitionRouter") => {
                    routers.push(Router::Grouped {
                        grouping: Grouping::build(node)?,
                        routers: self.inner_routers(node, "underlying_partition_router")?,
                    });
                    continue;
                }
                _ => {}
            }
            let Some(router) = PartitionRouter::build_all(node)?.pop() else {
                continue;
            };
            routers.push(match router {
                PartitionRouter::List(list) => {
                    let key = Expr::required(node, "cursor_field")?;
                    options.add(node, "request_option", &key, false)?;
                    Router::List(list)
                }
                PartitionRouter::Substream(substream) => {
                    let configs = list(node, "parent_stream_configs")?;
                    let mut parents = Vec::new();
                    for (config, node) in substream.parents().iter().zip(configs) {
                        let key = Expr::required(node, "partition_field")?;
                        options.add(node, "request_option", &key, false)?;
                        parents.push(self.parent(config, node)?);
                    }
                    Router::Substream(parents)
                }
            });
        }
        Ok(routers)
    }

    /// The routers within a router. Where a value goes is left to templates here: they may not
    /// say it themselves.
    fn inner_routers(&self, node: &Node, field: &str) -> Result<Vec<Router>, Problem> {
        let mut options = SliceOptions::default();
        let routers = self.routers(required(node, field)?, &mut options)?;
        if !options.is_empty() {
            let kind = type_of(node).unwrap_or_default();
            return Err(problem(
                node.at,
                format!("routers within a {kind} have a request_option"),
                "use stream_partition in a template instead",
            ));
        }
        Ok(routers)
    }

    fn parent(&self, config: &ParentStreamConfig, node: &Node) -> Result<Parent, Problem> {
        let stream = config.stream();
        let name = text(stream, "name")?.unwrap_or("parent");
        Ok(Parent {
            name: name.into(),
            parts: Arc::new(self.parts(stream, self.signals.get(name))?),
            config: config.clone(),
            is_incremental: flag(node, "incremental_dependency")?,
            identity: format!("{:032x}", xxh3_128(&node.to_value().to_json())).into(),
        })
    }
}

/// Whether a template of the retriever's own may see the bounds of a window.
fn names_window(retriever: &Node, cursor: &Node) -> bool {
    let name = |field, usual| cursor.get(field).and_then(Node::as_str).unwrap_or(usual);
    let names = [
        "stream_interval",
        name("partition_field_start", "start_time"),
        name("partition_field_end", "end_time"),
    ];
    // Parents have cursors of their own.
    let own = retriever.entries().iter();
    own.filter(|entry| entry.key != "partition_router")
        .any(|entry| {
            let text = entry.value.to_value().to_string();
            names.iter().any(|name| text.contains(name))
        })
}

/// What the pipeline needs to know of a stream.
pub(super) fn spec(
    name: &Arc<str>,
    node: &Node,
    signal: Option<&SignalMetadata>,
    rules: Option<&StreamRules>,
    unavailable: Option<String>,
) -> StreamSpec {
    let signal = signal.cloned().unwrap_or_default();
    let delegates = type_of(node) == Some("StateDelegatingStream");
    let is_incremental = delegates || optional(node, "incremental_sync").is_some();
    let node = first_read(node);
    let subject = signal.subject.unwrap_or_else(|| primary_key(node));
    let is_fed = rules.is_some_and(|rules| rules.cursor.is_some());
    // A part of a partitioned stream cannot be told from a key.
    let is_partitioned = optional(node, "retriever")
        .is_some_and(|retriever| optional(retriever, "partition_router").is_some());
    let asks_for_missing = is_fed
        && rules.is_some_and(StreamRules::can_look_up)
        && subject.len() == 1
        && !is_partitioned;
    StreamSpec {
        name: name.clone(),
        lists_everything: !is_incremental
            && signal.deletions.unwrap_or(true)
            && unavailable.is_none(),
        signal: SignalRule {
            subject,
            time: signal.time,
            version: signal.version,
            ignore: signal.ignore,
            within: signal.within,
            ordered: signal.ordered,
        },
        later_counts: is_fed,
        asks_for_missing,
        unavailable,
    }
}

/// The stream as it is read while there is no state.
pub(super) fn first_read(node: &Node) -> &Node {
    optional(node, "full_refresh_stream").unwrap_or(node)
}

/// The constant path of the extractor; none where the whole body is the list.
fn record_path(retriever: &Node) -> Option<Pointer> {
    let path = retriever
        .get("record_selector")?
        .get("extractor")?
        .get("field_path")?
        .items();
    let parts: Option<Vec<&str>> = path
        .iter()
        .map(|part| {
            part.as_str()
                .filter(|text| !text.contains(['{', '*', '?', '[']))
        })
        .collect();
    parts.filter(|parts| !parts.is_empty()).map(Pointer::of)
}

/// `primary_key`: a field, several fields, or several paths.
fn primary_key(node: &Node) -> Vec<Pointer> {
    let Some(key) = optional(node, "primary_key") else {
        return Vec::new();
    };
    match &key.kind {
        Kind::String(field) if !field.is_empty() => vec![Pointer::of([field.as_str()])],
        Kind::List(parts) => parts
            .iter()
            .map(|part| match part.as_str() {
                Some(field) => Pointer::of([field]),
                None => Pointer::of(part.items().iter().filter_map(Node::as_str)),
            })
            .filter(|pointer| !pointer.parts().is_empty())
            .collect(),
        _ => Vec::new(),
    }
}
