//! From the rules of a stream to its parts.

use std::sync::Arc;

use super::overlay::{over_requester, over_retriever, requester_of, with};
use super::{CursorRules, Detail, DetailRules, Feed, Start, StreamRules};
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
        if let Some(cursor) = cursor {
            if cursor.marks.restart_at.is_some() && !parts.paginator.follows_addresses() {
                return Err(problem(
                    cursor.at,
                    "restart_at needs a stream whose page token is an address",
                    "use page_token_option: { type: RequestPath }, or remove restart_at",
                ));
            }
            let mut changes = with_rules(&over_retriever(&listing, &cursor.changes))?;
            // The token may be an address, and then it was named by an answer.
            changes.requester.guard_host();
            parts.feed = Some(Box::new(Feed {
                start: self.start(&listing, cursor)?,
                changes,
            }));
        }
        Ok(parts)
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
