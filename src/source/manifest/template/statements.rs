//! Blocks: `if`, `for`, `set`, `with` and `filter`.

use super::CompileError;
use super::ast::{Body, For, Node, Targets};
use super::lexer::Token;
use super::parser::Parser;

/// Blocks may nest this deeply.
const MAX_BLOCKS: u16 = 24;

impl Parser {
    /// The whole template.
    pub(super) fn template(&mut self) -> Result<Body, CompileError> {
        let body = self.body(&[])?;
        if self.is_done() {
            Ok(body)
        } else {
            self.error("unexpected end of a block")
        }
    }

    /// Nodes up to a block that starts with one of the `ends`, which is left to be read: its
    /// name is the next token.
    fn body(&mut self, ends: &[&str]) -> Result<Body, CompileError> {
        let mut body = Vec::new();
        self.blocks += 1;
        if self.blocks > MAX_BLOCKS {
            return self.error("blocks are nested too deeply");
        }
        while let Some(token) = self.next() {
            match token {
                Token::Text(text) => body.push(Node::Text(text.into())),
                Token::PrintStart => {
                    let value = self.tuple(true)?;
                    self.expect_print_end()?;
                    body.push(Node::Print(value));
                }
                Token::BlockStart if ends.iter().any(|end| self.is_name(end)) => {
                    self.blocks -= 1;
                    return Ok(body);
                }
                Token::BlockStart => body.push(self.statement()?),
                _ => return self.error_before("unexpected token"),
            }
        }
        self.blocks -= 1;
        match ends.last() {
            None => Ok(body),
            Some(end) => self.error(format!("missing `{{% {end} %}}`")),
        }
    }

    /// The body of a block that has but one part, and its end.
    fn block(&mut self, end: &str) -> Result<Body, CompileError> {
        self.expect_block_end()?;
        let body = self.body(&[end])?;
        self.take_name(end);
        self.expect_block_end()?;
        Ok(body)
    }

    fn statement(&mut self) -> Result<Node, CompileError> {
        let name = self.expect_any_name()?;
        match &*name {
            "if" => self.if_block(),
            "for" => self.for_block(),
            "set" => self.set(),
            "with" => self.with(),
            "filter" => {
                let mut filters = vec![self.filter()?];
                filters.extend(self.filters()?);
                Ok(Node::FilterBlock {
                    filters,
                    body: self.block("endfilter")?,
                })
            }
            "macro" | "call" | "include" | "import" | "from" | "extends" | "block" | "do"
            | "autoescape" | "print" | "break" | "continue" => {
                self.error_before(format!("`{name}` blocks are not supported"))
            }
            _ => self.error_before(format!("unknown block `{name}`")),
        }
    }

    fn if_block(&mut self) -> Result<Node, CompileError> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let condition = self.tuple(true)?;
            self.expect_block_end()?;
            branches.push((condition, self.body(&["elif", "else", "endif"])?));
            if self.take_name("elif") {
                continue;
            }
            if self.take_name("else") {
                self.expect_block_end()?;
                otherwise = self.body(&["endif"])?;
            }
            self.take_name("endif");
            self.expect_block_end()?;
            return Ok(Node::If {
                branches,
                otherwise,
            });
        }
    }

    fn for_block(&mut self) -> Result<Node, CompileError> {
        let targets = self.targets()?;
        if !self.take_name("in") {
            return self.error("expected `in`");
        }
        let iterable = self.tuple(false)?;
        let filter = if self.take_name("if") {
            Some(self.expression(true)?)
        } else {
            None
        };
        if self.is_name("recursive") {
            return self.error("recursive loops are not supported");
        }
        self.expect_block_end()?;
        let body = self.body(&["else", "endfor"])?;
        let mut otherwise = Vec::new();
        if self.take_name("else") {
            self.expect_block_end()?;
            otherwise = self.body(&["endfor"])?;
        }
        self.take_name("endfor");
        self.expect_block_end()?;
        Ok(Node::For(Box::new(For {
            targets,
            iterable,
            filter,
            body,
            otherwise,
        })))
    }

    fn set(&mut self) -> Result<Node, CompileError> {
        let targets = self.targets()?;
        if self.take_op("=") {
            let value = self.tuple(true)?;
            self.expect_block_end()?;
            return Ok(Node::Set { targets, value });
        }
        let Targets::One(name) = targets else {
            return self.error("expected `=`");
        };
        let filters = self.filters()?;
        Ok(Node::SetBlock {
            name,
            filters,
            body: self.block("endset")?,
        })
    }

    fn with(&mut self) -> Result<Node, CompileError> {
        let mut bindings = Vec::new();
        while !matches!(self.peek(), Some(Token::BlockEnd)) {
            if !bindings.is_empty() {
                self.expect_op(",")?;
            }
            let targets = self.target()?;
            self.expect_op("=")?;
            bindings.push((targets, self.expression(true)?));
        }
        Ok(Node::With {
            bindings,
            body: self.block("endwith")?,
        })
    }

    /// `a` or `a, b`
    fn targets(&mut self) -> Result<Targets, CompileError> {
        let first = self.target()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.take_op(",") {
            if self.is_name("in") || self.is_op("=") {
                break;
            }
            targets.push(self.target()?);
        }
        Ok(Targets::Many(targets))
    }

    /// `a` or `(a, b)`; the depth of the parentheses is that of blocks.
    fn target(&mut self) -> Result<Targets, CompileError> {
        if self.take_op("(") {
            self.blocks += 1;
            if self.blocks > MAX_BLOCKS {
                return self.error("targets are nested too deeply");
            }
            let targets = self.targets()?;
            self.blocks -= 1;
            self.expect_op(")")?;
            return Ok(targets);
        }
        let name = self.expect_any_name()?;
        let reserved = ["true", "True", "false", "False", "none", "None", "loop"];
        if self.is_op(".") || reserved.contains(&&*name) {
            return self.error_before(format!("cannot assign to `{name}`"));
        }
        Ok(Targets::One(name.into()))
    }
}
