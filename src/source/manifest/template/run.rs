//! Runs a template's text and blocks.

use std::rc::Rc;

use super::ast::{Body, FilterCall, For, Node, Targets};
use super::eval::Evaluator;
use super::value::{Loop, Result, Value, fail};
use super::{MAX_TEXT, print};

impl<'a> Evaluator<'a> {
    /// Appends the text of a body.
    pub(super) fn body(&mut self, body: &'a Body, out: &mut String) -> Result<()> {
        for node in body {
            self.charge(1)?;
            self.node(node, out)?;
            if out.len() > MAX_TEXT {
                return fail("text is too long");
            }
        }
        Ok(())
    }

    /// Runs a body whose names end with it.
    fn scoped(&mut self, body: &'a Body, out: &mut String) -> Result<()> {
        let outer = self.locals.len();
        let result = self.body(body, out);
        self.locals.truncate(outer);
        result
    }

    fn node(&mut self, node: &'a Node, out: &mut String) -> Result<()> {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(value) => print::print(&self.expr(value)?, out)?,
            Node::If {
                branches,
                otherwise,
            } => {
                for (condition, body) in branches {
                    if self.condition(condition)? {
                        return self.body(body, out);
                    }
                }
                self.body(otherwise, out)?;
            }
            Node::For(node) => self.for_loop(node, out)?,
            Node::Set { targets, value } => {
                let value = self.expr(value)?;
                self.assign(targets, value)?;
            }
            Node::SetBlock {
                name,
                filters,
                body,
            } => {
                let value = self.captured(filters, body)?;
                self.locals.push((name, value));
            }
            Node::With { bindings, body } => {
                let outer = self.locals.len();
                let values: Vec<_> = bindings
                    .iter()
                    .map(|(_, value)| self.expr(value))
                    .collect::<Result<_>>()?;
                for ((targets, _), value) in bindings.iter().zip(values) {
                    self.assign(targets, value)?;
                }
                self.body(body, out)?;
                self.locals.truncate(outer);
            }
            Node::FilterBlock { filters, body } => {
                print::print(&self.captured(filters, body)?, out)?;
            }
        }
        Ok(())
    }

    /// The text of a body, through filters.
    fn captured(&mut self, filters: &'a [FilterCall], body: &'a Body) -> Result<Value<'a>> {
        let mut text = String::new();
        self.scoped(body, &mut text)?;
        filters
            .iter()
            .try_fold(Value::text(text), |value, call| self.filter(&value, call))
    }

    fn for_loop(&mut self, node: &'a For, out: &mut String) -> Result<()> {
        let iterable = self.expr(&node.iterable)?;
        self.charge_for(&iterable)?;
        let mut items = iterable.items()?;
        if let Some(filter) = &node.filter {
            let mut kept = Vec::new();
            for item in items {
                let outer = self.locals.len();
                self.assign(&node.targets, item.clone())?;
                let keeps = self.condition(filter)?;
                self.locals.truncate(outer);
                if keeps {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.scoped(&node.otherwise, out);
        }
        let items = Rc::new(items);
        self.loops += 1;
        for (index0, item) in items.iter().enumerate() {
            let outer = self.locals.len();
            let state = Loop {
                index0,
                depth: self.loops,
                items: Rc::clone(&items),
            };
            self.locals.push(("loop", Value::Loop(Rc::new(state))));
            self.assign(&node.targets, item.clone())?;
            self.charge(1)?;
            self.body(&node.body, out)?;
            self.locals.truncate(outer);
        }
        self.loops -= 1;
        Ok(())
    }

    fn assign(&mut self, targets: &'a Targets, value: Value<'a>) -> Result<()> {
        match targets {
            Targets::One(name) => self.locals.push((name, value)),
            Targets::Many(targets) => {
                let items = value.items()?;
                if items.len() != targets.len() {
                    return fail("wrong number of values to unpack");
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
        }
        Ok(())
    }
}
