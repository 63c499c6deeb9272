//! Tokens to trees, by the grammar of Jinja's expressions.

use super::CompileError;
use super::ast::{BinaryOp, Comparison, Expr, Kind};
use super::lexer::{Spanned, Token};

/// Expressions may nest this deeply: evaluation recurses once per level.
const MAX_DEPTH: u16 = 80;

/// Expressions that a template may have. Each can wrap a value in at most two lists, and giving
/// back nested lists recurses once per level.
const MAX_NODES: u16 = 2000;

/// Reads tokens: operators here, what they stand between in `operands.rs`, blocks in
/// `statements.rs`.
pub(super) struct Parser {
    pub(super) tokens: Vec<Spanned>,
    /// Index of the next token.
    pub(super) at: usize,
    /// Bytes of the text, where errors at its end point to.
    length: usize,
    /// Expressions being read inside one another.
    nesting: u16,
    /// Expressions made so far.
    nodes: u16,
    /// Blocks being read inside one another.
    pub(super) blocks: u16,
}

impl Parser {
    pub(super) fn new(tokens: Vec<Spanned>, length: usize) -> Self {
        Self {
            tokens,
            at: 0,
            length,
            nesting: 0,
            nodes: 0,
            blocks: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at)?.token.clone();
        self.at += 1;
        Some(token)
    }

    pub(super) fn error<T>(&self, what: impl Into<String>) -> Result<T, CompileError> {
        let offset = self
            .tokens
            .get(self.at)
            .map_or(self.length, |spanned| spanned.offset);
        Err(CompileError {
            offset,
            what: what.into(),
        })
    }

    /// An error about the token that was just read.
    pub(super) fn error_before<T>(&mut self, what: impl Into<String>) -> Result<T, CompileError> {
        self.at = self.at.saturating_sub(1);
        self.error(what)
    }

    pub(super) fn unexpected<T>(&self, wanted: &str) -> Result<T, CompileError> {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Op(op)) => format!("`{op}`"),
            Some(Token::PrintEnd) => "`}}`".to_owned(),
            Some(Token::BlockEnd) => "`%}`".to_owned(),
            Some(Token::Const(_)) => "a constant".to_owned(),
            Some(Token::Text(_) | Token::PrintStart | Token::BlockStart) => "text".to_owned(),
        };
        self.error(format!("expected {wanted}, found {found}"))
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Some(Token::Op(found)) if *found == op)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == name)
    }

    pub(super) fn take_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_op(&mut self, op: &str) -> Result<(), CompileError> {
        if self.take_op(op) {
            Ok(())
        } else {
            self.unexpected(&format!("`{op}`"))
        }
    }

    pub(super) fn expect_block_end(&mut self) -> Result<(), CompileError> {
        match self.peek() {
            Some(Token::BlockEnd) => {
                self.at += 1;
                Ok(())
            }
            _ => self.unexpected("`%}`"),
        }
    }

    pub(super) fn expect_print_end(&mut self) -> Result<(), CompileError> {
        match self.peek() {
            Some(Token::PrintEnd) => {
                self.at += 1;
                Ok(())
            }
            _ => self.unexpected("`}}`"),
        }
    }

    pub(super) fn expect_any_name(&mut self) -> Result<String, CompileError> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    pub(super) fn make(&mut self, kind: Kind) -> Result<Expr, CompileError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.error("template is too large");
        }
        let expr = Expr::new(kind);
        if expr.depth > MAX_DEPTH {
            return self.error("expression is nested too deeply");
        }
        Ok(expr)
    }

    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return self.error("expression is nested too deeply");
        }
        let result = read(self);
        self.nesting -= 1;
        result
    }

    /// An expression, with or without `if`.
    pub(super) fn expression(&mut self, conditional: bool) -> Result<Expr, CompileError> {
        self.nested(|parser| {
            if conditional {
                parser.conditional()
            } else {
                parser.or()
            }
        })
    }

    /// One expression, or several with commas between, which make a tuple.
    pub(super) fn tuple(&mut self, conditional: bool) -> Result<Expr, CompileError> {
        let first = self.expression(conditional)?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_op(",") && !self.ends_tuple() {
            items.push(self.expression(conditional)?);
        }
        self.make(Kind::Tuple(items))
    }

    fn ends_tuple(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::PrintEnd | Token::BlockEnd | Token::Op(")"))
        ) || self.is_name("in")
            || self.is_name("if")
    }

    fn conditional(&mut self) -> Result<Expr, CompileError> {
        let mut then = self.or()?;
        while self.take_name("if") {
            let condition = Box::new(self.or()?);
            let has_else = self.take_name("else");
            let otherwise = has_else
                .then(|| self.nested(Self::conditional))
                .transpose()?;
            let otherwise = otherwise.map(Box::new);
            then = self.make(Kind::Cond {
                condition,
                then: Box::new(then),
                otherwise,
            })?;
        }
        Ok(then)
    }

    fn or(&mut self) -> Result<Expr, CompileError> {
        let mut left = self.and()?;
        while self.take_name("or") {
            let right = self.and()?;
            left = self.make(Kind::Or(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, CompileError> {
        let mut left = self.not()?;
        while self.take_name("and") {
            let right = self.not()?;
            left = self.make(Kind::And(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, CompileError> {
        if self.take_name("not") {
            let inner = self.nested(Self::not)?;
            return self.make(Kind::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr, CompileError> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        self.make(Kind::Compare(Box::new(first), rest))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let (comparison, length) = match self.peek()? {
            Token::Op("==") => (Comparison::Eq, 1),
            Token::Op("!=") => (Comparison::Ne, 1),
            Token::Op("<") => (Comparison::Lt, 1),
            Token::Op("<=") => (Comparison::Le, 1),
            Token::Op(">") => (Comparison::Gt, 1),
            Token::Op(">=") => (Comparison::Ge, 1),
            Token::Name(name) if name == "in" => (Comparison::In, 1),
            Token::Name(name) if name == "not" => {
                let following = self.tokens.get(self.at + 1).map(|spanned| &spanned.token);
                match following {
                    Some(Token::Name(name)) if name == "in" => (Comparison::NotIn, 2),
                    _ => return None,
                }
            }
            _ => return None,
        };
        self.at += length;
        Some(comparison)
    }

    /// A run of operators of one precedence, from left to right.
    fn chain(
        &mut self,
        operators: &[(&str, BinaryOp)],
        operand: fn(&mut Self) -> Result<Expr, CompileError>,
    ) -> Result<Expr, CompileError> {
        let mut left = operand(self)?;
        loop {
            let found = operators.iter().find(|(op, _)| self.is_op(op));
            let Some((_, operator)) = found else {
                return Ok(left);
            };
            self.at += 1;
            let right = operand(self)?;
            left = self.make(Kind::Binary(*operator, Box::new(left), Box::new(right)))?;
        }
    }

    fn sum(&mut self) -> Result<Expr, CompileError> {
        self.chain(&[("+", BinaryOp::Add), ("-", BinaryOp::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Result<Expr, CompileError> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_op("~") {
            parts.push(self.product()?);
        }
        self.make(Kind::Concat(parts))
    }

    fn product(&mut self) -> Result<Expr, CompileError> {
        let operators = [
            ("*", BinaryOp::Mul),
            ("/", BinaryOp::Div),
            ("//", BinaryOp::FloorDiv),
            ("%", BinaryOp::Mod),
        ];
        self.chain(&operators, Self::power)
    }

    pub(super) fn power(&mut self) -> Result<Expr, CompileError> {
        self.chain(&[("**", BinaryOp::Pow)], |parser| parser.unary(true))
    }

    /// A sign binds tighter than a filter: `-5 | abs` is 5.
    fn unary(&mut self, with_filters: bool) -> Result<Expr, CompileError> {
        let expr = if self.take_op("-") {
            let inner = self.nested(|parser| parser.unary(false))?;
            self.make(Kind::Neg(Box::new(inner)))?
        } else if self.take_op("+") {
            let inner = self.nested(|parser| parser.unary(false))?;
            self.make(Kind::Pos(Box::new(inner)))?
        } else {
            self.primary()?
        };
        let expr = self.postfix(expr)?;
        if with_filters {
            self.filters_and_tests(expr)
        } else {
            Ok(expr)
        }
    }

    /// Whether every token has been read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }
}
