//! Reads and checks the rules of a stream, as far as they need no configuration.

use std::sync::Arc;

use super::{
    CursorRules, Deleted, DeletionRules, DetailRules, ListingRules, Marks, StreamRules, SweepRules,
};
use crate::document::{Entry, Kind, Node, Problem};
use crate::source::manifest::errors::Condition;
use crate::source::manifest::expr::Expr;
use crate::source::manifest::extract::DpathExtractor;
use crate::source::manifest::metadata::Reader;
use crate::source::manifest::resolve::resolve_part;
use crate::source::manifest::support::first_unsupported;

/// Keys of `metadata.connector.streams.<stream>`.
pub(in crate::source::manifest) const STREAM_KEYS: [&str; 8] = [
    "cursor",
    "deleted",
    "detail",
    "deletions",
    "listing",
    "oldest_first",
    "part_key",
    "sweep",
];
const CURSOR_KEYS: [&str; 6] = [
    "token",
    "start",
    "listing",
    "changes",
    "reset_when",
    "restart_at",
];
const START_KEYS: [&str; 2] = ["requester", "token"];
const LISTING_KEYS: [&str; 6] = [
    "type",
    "requester",
    "record_selector",
    "paginator",
    "decoder",
    "partition_router",
];
const CHANGES_KEYS: [&str; 6] = [
    "type",
    "requester",
    "record_selector",
    "paginator",
    "decoder",
    "reset_when",
];
const DELETED_KEYS: [&str; 5] = ["when", "field_path", "key", "below", "leaf"];
const DELETIONS_KEYS: [&str; 7] = [
    "start",
    "token",
    "requester",
    "record_selector",
    "paginator",
    "decoder",
    "key",
];
const DETAIL_KEYS: [&str; 3] = ["requester", "record_selector", "gone_when"];
const REQUESTER_KEYS: [&str; 14] = [
    "type",
    "$parameters",
    "url",
    "url_base",
    "path",
    "http_method",
    "request_parameters",
    "request_headers",
    "request_body",
    "request_body_json",
    "request_body_data",
    "authenticator",
    "error_handler",
    "use_cache",
];

impl Reader {
    /// `metadata.connector.streams.<stream>`; `None` where something is wrong with it.
    pub(in crate::source::manifest) fn stream_rules(
        &mut self,
        stream: &str,
        node: &Node,
    ) -> Option<StreamRules> {
        let before = self.problems.len();
        let mut rules = StreamRules {
            cursor: None,
            deleted: None,
            detail: None,
            deletions: None,
            listing: None,
            sweep: None,
            oldest_first: false,
            part_key: Vec::new(),
            value: node.to_value(),
        };
        let place = format!("streams.{stream}");
        for (key, _, value) in self.members(&place, node, &STREAM_KEYS) {
            match key {
                "cursor" => rules.cursor = self.cursor(&place, value),
                "deleted" => rules.deleted = Some(Arc::new(self.deleted(&place, value))),
                "deletions" => rules.deletions = self.deletions(&place, value),
                "listing" => rules.listing = self.listing(&place, value, node),
                "sweep" => rules.sweep = self.sweep(&place, value, node),
                "oldest_first" => {
                    rules.oldest_first = self.flag(key, value).unwrap_or_default();
                }
                "part_key" => rules.part_key = self.part_key(value, node),
                _ => rules.detail = self.detail(&place, value),
            }
        }
        let is_fed = rules.cursor.is_some();
        if is_fed && rules.listing.is_some() {
            self.complain(
                node.at,
                format!("{place} has a listing beside its cursor"),
                "move it into cursor",
            );
        }
        let finds = rules.deletions.is_some() || rules.sweep.is_some();
        if is_fed && (finds || !rules.part_key.is_empty()) {
            self.complain(
                node.at,
                format!("{place} has a cursor, which finds deletions itself"),
                "remove deletions, part_key and sweep",
            );
        }
        (self.problems.len() == before).then_some(rules)
    }

    fn cursor(&mut self, place: &str, node: &Node) -> Option<CursorRules> {
        let place = format!("{place}.cursor");
        let (mut token, mut start, mut listing, mut changes) = (None, None, None, None);
        let (mut reset_when, mut restart_at, mut void_changes) = (None, None, None);
        for (key, _, value) in self.members(&place, node, &CURSOR_KEYS) {
            match key {
                "token" => token = self.expr("token", value, node),
                "start" => start = self.start(&place, value),
                "listing" => listing = self.retriever(&place, key, value, &LISTING_KEYS),
                "changes" => {
                    changes = self.retriever(&place, key, value, &CHANGES_KEYS);
                    if let Some(when) = value.get("reset_when") {
                        void_changes =
                            self.condition(&format!("{place}.changes"), "reset_when", when);
                    }
                }
                "reset_when" => reset_when = self.condition(&place, key, value),
                _ => restart_at = self.expr("restart_at", value, node),
            }
        }
        let has = |key: &str| node.get(key).is_some();
        if !has("token") {
            self.complain(
                node.at,
                format!("{place} has no token"),
                "say where an answer holds it, as in token: \"{{ response.cursor }}\"",
            );
        }
        if !has("changes") {
            self.complain(
                node.at,
                format!("{place} has no changes"),
                "say how changes since the token are asked for, as in changes: { requester: { \
                 request_parameters: { since: \"{{ token }}\" } } }",
            );
        }
        let resets = has("reset_when") || void_changes.is_some();
        if has("restart_at") && !resets {
            self.complain(
                node.at,
                format!("{place} has restart_at without reset_when"),
                "add reset_when, which says what answer it is read from",
            );
        }
        let token = token?;
        Some(CursorRules {
            at: node.at,
            start: start.map(|(requester, own)| (requester, own.unwrap_or_else(|| token.clone()))),
            listing,
            changes: changes?,
            void_changes,
            marks: Arc::new(Marks {
                token,
                reset_when,
                restart_at,
            }),
        })
    }

    /// The requester of the first token, and the template of the token if it has one of its own.
    fn start(&mut self, place: &str, node: &Node) -> Option<(Node, Option<Expr>)> {
        let place = format!("{place}.start");
        let mut requester = None;
        let mut token = None;
        for (key, _, value) in self.members(&place, node, &START_KEYS) {
            match key {
                "requester" => requester = self.requester(&place, value),
                _ => token = self.expr("token", value, node),
            }
        }
        self.needs_requester(&place, node);
        Some((requester?, token))
    }

    fn deleted(&mut self, place: &str, node: &Node) -> Deleted {
        let place = format!("{place}.deleted");
        let mut deleted = Deleted {
            when: None,
            list: None,
            key: Vec::new(),
            below: None,
            leaf: None,
        };
        for (key, _, value) in self.members(&place, node, &DELETED_KEYS) {
            match key {
                "when" => deleted.when = self.expr("when", value, node),
                "field_path" => {
                    let part = resolve_part("DpathExtractor", node);
                    deleted.list = self.good(part.and_then(|part| DpathExtractor::build(&part)));
                }
                "key" => deleted.key = self.pointers(key, value),
                "leaf" => deleted.leaf = self.expr("leaf", value, node),
                _ => deleted.below = self.text(key, value).map(Into::into),
            }
        }
        if node.get("when").is_none() && node.get("field_path").is_none() {
            self.complain(
                node.at,
                format!("{place} does not say what is deleted"),
                "add when, a predicate on a record, or field_path, the list of what is gone",
            );
        }
        if node.get("leaf").is_some() && node.get("below").is_none() {
            self.complain(
                node.at,
                format!("{place} has leaf without below"),
                "add below, which says what keys are below a record, as in below: /",
            );
        }
        deleted
    }

    fn listing(&mut self, place: &str, node: &Node, owner: &Node) -> Option<ListingRules> {
        let known = [&LISTING_KEYS[..], &["when"]].concat();
        Some(ListingRules {
            when: match node.get("when") {
                Some(when) => Some(self.expr("when", when, owner)?),
                None => None,
            },
            retriever: self.retriever(place, "listing", node, &known)?,
        })
    }

    fn sweep(&mut self, place: &str, node: &Node, owner: &Node) -> Option<SweepRules> {
        let known = [&LISTING_KEYS[..], &["every", "lookback", "empty"]].concat();
        let retriever = self.retriever(place, "sweep", node, &known);
        let lookback = match node.get("lookback") {
            Some(lookback) => Some(self.expr("lookback", lookback, owner)?),
            None => None,
        };
        if lookback.is_some()
            && let Some(other) = node
                .entries()
                .iter()
                .find(|entry| LISTING_KEYS.contains(&&*entry.key))
        {
            self.complain(
                other.key_at,
                format!("{place}.sweep has a lookback beside {}", other.key),
                "keep one: the stream is read further back, or its keys are listed",
            );
        }
        let Some(every) = node.get("every") else {
            self.complain(
                node.at,
                format!("{place}.sweep does not say how often"),
                "add every: P1D",
            );
            return None;
        };
        Some(SweepRules {
            every: self.expr("every", every, owner)?,
            lookback,
            empty: match node.get("empty") {
                Some(empty) => self.statuses("empty", empty),
                None => Vec::new(),
            },
            retriever: retriever?,
        })
    }

    fn deletions(&mut self, place: &str, node: &Node) -> Option<DeletionRules> {
        let place = format!("{place}.deletions");
        let (mut start, mut token, mut key) = (None, None, Vec::new());
        for (name, _, value) in self.members(&place, node, &DELETIONS_KEYS) {
            match name {
                "start" => start = self.expr("start", value, node),
                "token" => token = self.expr("token", value, node),
                "key" => key = self.pointers(name, value),
                "requester" => drop(self.requester(&place, value)),
                _ => {}
            }
        }
        for (needed, fix) in [
            ("start", "add the token of a first read"),
            ("token", "say where an answer holds it"),
            ("requester", "add what differs from the stream's own"),
            (
                "record_selector",
                "say where the list of what is gone stands",
            ),
        ] {
            if node.get(needed).is_none() {
                self.complain(node.at, format!("{place} has no {needed}"), fix);
            }
        }
        let kept = |entry: &&Entry| !matches!(&*entry.key, "start" | "token" | "key");
        let mut entries: Vec<Entry> = node.entries().iter().filter(kept).cloned().collect();
        // Its answers are of another kind than those of the stream.
        for key in ["partition_router", "paginator"] {
            if node.get(key).is_none() {
                entries.push(Entry {
                    key: key.to_owned(),
                    key_at: node.at,
                    value: Node::synthetic(Kind::Null),
                });
            }
        }
        let retriever = Node {
            kind: Kind::Map(entries),
            at: node.at,
        };
        let always = Node::synthetic(Kind::String("{{ true }}".to_owned()));
        Some(DeletionRules {
            start: start?,
            marks: Arc::new(Marks {
                token: token?,
                reset_when: None,
                restart_at: None,
            }),
            deleted: Arc::new(Deleted {
                when: self.expr("when", &always, node),
                list: None,
                key,
                below: None,
                leaf: None,
            }),
            retriever: self.supported(resolve_part("SimpleRetriever", &retriever))?,
        })
    }

    fn part_key(&mut self, node: &Node, owner: &Node) -> Vec<Expr> {
        if node.items().is_empty() {
            self.complain(
                node.at,
                "part_key is no list",
                "list what the key begins with, as in [\"{{ stream_partition.project }}\"]",
            );
        }
        let items = node.items().iter();
        items
            .filter_map(|item| self.expr("part_key", item, owner))
            .collect()
    }

    fn detail(&mut self, place: &str, node: &Node) -> Option<DetailRules> {
        let place = format!("{place}.detail");
        let (mut requester, mut record_selector, mut gone_when) = (None, None, None);
        for (key, _, value) in self.members(&place, node, &DETAIL_KEYS) {
            match key {
                "requester" => requester = self.requester(&place, value),
                "record_selector" => {
                    record_selector = self.good(resolve_part("RecordSelector", value));
                }
                _ => gone_when = self.condition(&place, key, value),
            }
        }
        self.needs_requester(&place, node);
        Some(DetailRules {
            requester: requester?,
            record_selector,
            gone_when,
        })
    }

    fn needs_requester(&mut self, place: &str, node: &Node) {
        if node.get("requester").is_none() {
            self.complain(
                node.at,
                format!("{place} has no requester"),
                "add what differs from the stream's own, as in requester: { path: /v1/me }",
            );
        }
    }

    /// What an answer must be for something to hold.
    pub(in crate::source::manifest) fn condition(
        &mut self,
        place: &str,
        key: &str,
        node: &Node,
    ) -> Option<Condition> {
        let place = format!("{place}.{key}");
        let said = self.members(&place, node, &Condition::KEYS);
        if said.is_empty() && matches!(node.kind, Kind::Map(_)) && node.entries().is_empty() {
            self.complain(
                node.at,
                format!("{place} is empty, so it never holds"),
                "add http_codes, predicate or error_message_contains",
            );
        }
        for (key, _, value) in said {
            let is_status = |code: &Node| matches!(code.kind, Kind::Int(100..=599));
            if key == "http_codes" && !value.items().iter().all(is_status) {
                self.complain(
                    value.at,
                    format!("{place}.http_codes holds what is no status of HTTP"),
                    "write a list of numbers, as in [404, 410]",
                );
            }
        }
        self.good(Condition::build(node))
    }

    /// A retriever of which only what differs is said.
    fn retriever(&mut self, place: &str, key: &str, node: &Node, known: &[&str]) -> Option<Node> {
        let place = format!("{place}.{key}");
        for (key, _, value) in self.members(&place, node, known) {
            if key == "requester" {
                self.requester(&place, value);
            }
        }
        let mut retriever = node.clone();
        if let Kind::Map(entries) = &mut retriever.kind {
            entries.retain(|entry| {
                !matches!(
                    &*entry.key,
                    "reset_when" | "when" | "every" | "lookback" | "empty"
                )
            });
        }
        self.supported(resolve_part("SimpleRetriever", &retriever))
    }

    fn requester(&mut self, place: &str, node: &Node) -> Option<Node> {
        let place = format!("{place}.requester");
        self.members(&place, node, &REQUESTER_KEYS);
        self.supported(resolve_part("HttpRequester", node))
    }

    fn supported(&mut self, part: Result<Node, Problem>) -> Option<Node> {
        let part = self.good(part)?;
        match first_unsupported(&part) {
            None => Some(part),
            Some(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn expr(&mut self, key: &str, value: &Node, owner: &Node) -> Option<Expr> {
        self.good(Expr::of(key, value, owner))
    }

    fn good<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

#[cfg(test)]
mod tests;
