//! From the rules of a stream to its parts.

use std::sync::Arc;

use super::overlay::{over_requester, over_retriever, requester_of, with};
use super::{
    CursorRules, DeletionRules, Deletions, Detail, DetailRules, Feed, ListingRules, Marks, Start,
    StreamRules, Sweep, Way,
};
use crate::document::{Kind, Node, Problem};
use crate::source::manifest::fields::{list, optional, problem};
use crate::source::manifest::metadata::SignalMetadata;
use crate::source::manifest::requester::Requester;
use crate::source::manifest::resolve::resolve_part;
use crate::source::manifest::select::RecordSelector;
use crate::source::manifest::stream::{Builder, Parts};

impl Builder<'_> {
    /// The parts of a `DeclarativeStream` and of what `metadata.connector.streams` says of it.
    pub(in crate::source::manifest) fn stream(
        &self,
        node: &Node,
        signal: Option<&SignalMetadata>,
        rules: Option<&StreamRules>,
    ) -> Result<Parts, Problem> {
        let Some(rules) = rules else {
            return self.parts(node, signal);
        };
        let other;
        let node = match &rules.listing {
            Some(listing) if self.wants(listing)? => {
                other = over_retriever(node, &listing.retriever);
                &other
            }
            _ => node,
        };
        let cursor = rules.cursor.as_ref();
        let listing = match cursor.and_then(|cursor| cursor.listing.as_ref()) {
            Some(listing) => over_retriever(node, listing),
            None => node.clone(),
        };
        let detail = match &rules.detail {
            Some(detail) => Some(Arc::new(self.detail(&listing, detail)?)),
            None => None,
        };
        let with_rules = |node: &Node| {
            let mut parts = match &detail {
                // Transformations are of whole records, not of what names them.
                Some(_) => self.parts(&with(node, "transformations", null()), signal)?,
                None => self.parts(node, signal)?,
            };
            parts.deleted.clone_from(&rules.deleted);
            parts.detail.clone_from(&detail);
            parts.marks = cursor.map(|cursor| cursor.marks.clone());
            Ok(parts)
        };
        let mut parts = with_rules(&listing)?;
        if rules.deleted.is_some() && parts.key.is_empty() {
            return Err(problem(
                node.at,
                "records without a key cannot be called deleted",
                "give the stream a primary_key, or signals a subject",
            ));
        }
        parts.oldest_first = rules.oldest_first;
        parts.part_key.clone_from(&rules.part_key);
        if !parts.part_key.is_empty() {
            check_part_key(node, &parts, signal)?;
        }
        let is_within = signal.is_some_and(|signal| !signal.within.is_empty());
        let is_named =
            rules.deleted.is_some() || rules.deletions.is_some() || rules.cursor.is_some();
        if is_within && is_named {
            return Err(problem(
                node.at,
                "what is said to be deleted does not say which part it was within",
                "remove within, or cursor, deleted and deletions",
            ));
        }
        if let Some(deletions) = &rules.deletions {
            parts.deletions = Some(Box::new(self.deletions(node, signal, deletions)?));
        }
        if let Some(sweep) = &rules.sweep {
            let way = match &sweep.lookback {
                None => {
                    let mut parts = self.beside(node, signal, &sweep.retriever)?;
                    parts.empties.clone_from(&sweep.empty);
                    Way::Keys(Box::new(parts))
                }
                Some(_) if parts.cursor.is_none() => {
                    return Err(problem(
                        sweep.retriever.at,
                        "lookback of a stream that is not read by dates",
                        "remove the sweep, or give the stream an incremental_sync",
                    ));
                }
                Some(lookback) => Way::LookingBack(lookback.clone()),
            };
            parts.sweep = Some(Box::new(Sweep {
                every: sweep.every.clone(),
                way,
            }));
        }
        if let Some(cursor) = cursor {
            if cursor.marks.restart_at.is_some() && !parts.paginator.follows_addresses() {
                return Err(problem(
                    cursor.at,
                    "restart_at needs a stream whose page token is an address",
                    "use page_token_option: { type: RequestPath }, or remove restart_at",
                ));
            }
            let mut changes = with_rules(&over_retriever(&listing, &cursor.changes))?;
            if let Some(when) = &cursor.void_changes {
                changes.marks = Some(Arc::new(Marks {
                    reset_when: Some(when.clone()),
                    ..(*cursor.marks).clone()
                }));
            }
            // The token may be an address, and then it was named by an answer.
            changes.requester.guard_host();
            parts.feed = Some(Box::new(Feed {
                start: self.start(&listing, cursor)?,
                changes,
            }));
        }
        Ok(parts)
    }

    fn wants(&self, listing: &ListingRules) -> Result<bool, Problem> {
        let Some(when) = &listing.when else {
            return Ok(true);
        };
        let holds = when.boolean(&self.context);
        holds.map_err(|error| problem(listing.retriever.at, error.to_string(), "mend when"))
    }

    fn deletions(
        &self,
        node: &Node,
        signal: Option<&SignalMetadata>,
        rules: &DeletionRules,
    ) -> Result<Deletions, Problem> {
        let mut parts = self.beside(node, signal, &rules.retriever)?;
        parts.deleted = Some(rules.deleted.clone());
        parts.marks = Some(rules.marks.clone());
        parts.requester.guard_host();
        Ok(Deletions {
            start: rules.start.clone(),
            parts,
        })
    }

    /// What is asked beside the stream itself, whose transformations and dates are of its records.
    fn beside(
        &self,
        node: &Node,
        signal: Option<&SignalMetadata>,
        over: &Node,
    ) -> Result<Parts, Problem> {
        let mut node = over_retriever(node, over);
        for key in ["transformations", "incremental_sync"] {
            node = with(&node, key, null());
        }
        self.parts(&node, signal)
    }

    fn start(&self, listing: &Node, cursor: &CursorRules) -> Result<Option<Start>, Problem> {
        let Some((requester, token)) = &cursor.start else {
            return Ok(None);
        };
        Ok(Some(Start {
            requester: self.requester_over(listing, requester)?,
            token: token.clone(),
        }))
    }

    fn detail(&self, listing: &Node, rules: &DetailRules) -> Result<Detail, Problem> {
        let selector = match &rules.record_selector {
            Some(selector) => selector.clone(),
            // The whole answer is the record.
            None => whole_answer(listing)?,
        };
        let schema = optional(listing, "schema_loader")
            .and_then(|loader| loader.get("schema"))
            .map(Node::to_value);
        let mut requester = self.requester_over(listing, &rules.requester)?;
        requester.guard_host();
        Ok(Detail {
            requester,
            selector: RecordSelector::build(
                &selector,
                list(listing, "transformations")?,
                schema.as_ref(),
                false,
            )?,
            gone_when: rules.gone_when.clone(),
        })
    }

    fn requester_over(&self, stream: &Node, over: &Node) -> Result<Requester, Problem> {
        let merged = over_requester(&requester_of(stream), over);
        Requester::build(&merged, self.config, self.mode)
    }
}

/// A part of a key tells nothing where the key is no more than that, or where nobody knows how old
/// a record is.
fn check_part_key(
    node: &Node,
    parts: &Parts,
    signal: Option<&SignalMetadata>,
) -> Result<(), Problem> {
    let within = signal.map_or(0, |signal| signal.within.len());
    if within == 0 && parts.key.len() <= parts.part_key.len() {
        return Err(problem(
            node.at,
            "part_key names the whole key of a record",
            "give signals a subject with more parts than part_key, or within",
        ));
    }
    if within > 0 && within != parts.part_key.len() {
        return Err(problem(
            node.at,
            "part_key and within name parts of another number",
            "let within point to what part_key says",
        ));
    }
    if parts.cursor.is_some() && !signal.is_some_and(|signal| signal.ordered) {
        return Err(problem(
            node.at,
            "part_key needs to know which records are as new as what was read",
            "give signals a time and ordered: true",
        ));
    }
    Ok(())
}

fn whole_answer(listing: &Node) -> Result<Node, Problem> {
    let empty = Node {
        kind: Kind::Map(Vec::new()),
        at: listing.at,
    };
    let no_path = Node {
        kind: Kind::List(Vec::new()),
        at: listing.at,
    };
    let extractor = with(&empty, "field_path", no_path);
    resolve_part("RecordSelector", &with(&empty, "extractor", extractor))
}

fn null() -> Node {
    Node::synthetic(Kind::Null)
}
