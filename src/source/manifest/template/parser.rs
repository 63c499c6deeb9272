//! Tokens to trees, by the grammar of Jinja's expressions.

use super::CompileError;
use super::ast::{Args, BinaryOp, Comparison, Const, Expr, FilterCall, Kind};
use super::lexer::{Spanned, Token};
use super::names::{Filter, Function, Test};

/// Expressions may nest this deeply: evaluation recurses once per level.
const MAX_DEPTH: u16 = 80;

/// Reads tokens. Statements are read in `statements.rs`.
pub(super) struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    /// Bytes of the text, where errors at its end point to.
    length: usize,
    /// Expressions being read inside one another.
    nesting: u16,
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

    fn unexpected<T>(&self, wanted: &str) -> Result<T, CompileError> {
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

    fn make(&self, kind: Kind) -> Result<Expr, CompileError> {
        let expr = Expr::new(kind);
        if expr.depth > MAX_DEPTH {
            return self.error("expression is nested too deeply");
        }
        Ok(expr)
    }

    fn nested<T>(
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
            let otherwise = match self.take_name("else") {
                true => Some(Box::new(self.nested(Self::conditional)?)),
                false => None,
            };
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

    fn power(&mut self) -> Result<Expr, CompileError> {
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

    fn primary(&mut self) -> Result<Expr, CompileError> {
        let Some(token) = self.peek().cloned() else {
            return self.unexpected("an expression");
        };
        match token {
            Token::Name(name) => {
                self.at += 1;
                let kind = match &*name {
                    "true" | "True" => Kind::Const(Const::Bool(true)),
                    "false" | "False" => Kind::Const(Const::Bool(false)),
                    "none" | "None" => Kind::Const(Const::None),
                    name => Kind::Name(name.into(), Function::named(name)),
                };
                self.make(kind)
            }
            Token::Const(Const::Str(first)) => {
                self.at += 1;
                let mut text = String::from(first);
                while let Some(Token::Const(Const::Str(more))) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                self.make(Kind::Const(Const::Str(text.into())))
            }
            Token::Const(constant) => {
                self.at += 1;
                self.make(Kind::Const(constant))
            }
            Token::Op("(") => {
                self.at += 1;
                if self.take_op(")") {
                    return self.make(Kind::Tuple(Vec::new()));
                }
                let inner = self.tuple(true)?;
                self.expect_op(")")?;
                Ok(inner)
            }
            Token::Op("[") => {
                self.at += 1;
                let items = self.items("]", |parser| parser.expression(true))?;
                self.make(Kind::List(items))
            }
            Token::Op("{") => {
                self.at += 1;
                let entries = self.items("}", |parser| {
                    let key = parser.expression(true)?;
                    parser.expect_op(":")?;
                    Ok((key, parser.expression(true)?))
                })?;
                self.make(Kind::Dict(entries))
            }
            _ => self.unexpected("an expression"),
        }
    }

    /// Items with commas between, up to `end`; a comma may precede it.
    fn items<T>(
        &mut self,
        end: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, CompileError>,
    ) -> Result<Vec<T>, CompileError> {
        let mut items = Vec::new();
        while !self.take_op(end) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.take_op(end) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr, CompileError> {
        loop {
            if self.take_op(".") {
                let kind = match self.next() {
                    Some(Token::Name(name)) => Kind::Attr(Box::new(expr), name.into()),
                    Some(Token::Const(index @ Const::Int(_))) => {
                        let index = self.make(Kind::Const(index))?;
                        Kind::Item(Box::new(expr), Box::new(index))
                    }
                    _ => return self.error_before("expected a name or number after `.`"),
                };
                expr = self.make(kind)?;
            } else if self.take_op("[") {
                expr = self.subscript(expr)?;
            } else if self.is_op("(") {
                expr = self.call(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn subscript(&mut self, expr: Expr) -> Result<Expr, CompileError> {
        let mut bounds = [None, None, None];
        let mut part = 0;
        loop {
            if self.take_op(":") {
                part += 1;
                if part > 2 {
                    return self.unexpected("`]`");
                }
            } else if self.take_op("]") {
                break;
            } else if bounds[part].is_none() {
                bounds[part] = Some(self.tuple(true)?);
            } else {
                return self.unexpected("`]`");
            }
        }
        if part > 0 {
            return self.make(Kind::Slice(Box::new(expr), Box::new(bounds)));
        }
        match bounds {
            [Some(index), ..] => self.make(Kind::Item(Box::new(expr), Box::new(index))),
            _ => self.error("expected an index in `[]`"),
        }
    }

    fn call(&mut self, callee: Expr) -> Result<Expr, CompileError> {
        let args = self.arguments()?;
        self.make(Kind::Call(Box::new(callee), args))
    }

    /// `(a, b, name=c)`
    fn arguments(&mut self) -> Result<Args, CompileError> {
        self.expect_op("(")?;
        let mut args = Args::default();
        let _: Vec<()> = self.items(")", |parser| {
            let is_assignment = matches!(
                parser.tokens.get(parser.at + 1),
                Some(Spanned {
                    token: Token::Op("="),
                    ..
                })
            );
            if is_assignment && matches!(parser.peek(), Some(Token::Name(_))) {
                let name = parser.expect_any_name()?;
                parser.expect_op("=")?;
                let value = parser.expression(true)?;
                args.named.push((name.into(), value));
                return Ok(());
            }
            if parser.is_op("*") || parser.is_op("**") {
                return parser.error("`*` in arguments is not supported");
            }
            if !args.named.is_empty() {
                return parser.error("an argument without name follows one with a name");
            }
            args.positional.push(parser.expression(true)?);
            Ok(())
        })?;
        Ok(args)
    }

    fn filters_and_tests(&mut self, mut expr: Expr) -> Result<Expr, CompileError> {
        loop {
            if self.is_op("|") {
                for call in self.filters()? {
                    expr = self.make(Kind::Filter(Box::new(expr), Box::new(call)))?;
                }
            } else if self.take_name("is") {
                expr = self.test(expr)?;
            } else if self.is_op("(") {
                expr = self.call(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// `| name(args) | name`
    pub(super) fn filters(&mut self) -> Result<Vec<FilterCall>, CompileError> {
        let mut calls = Vec::new();
        while self.take_op("|") {
            calls.push(self.filter()?);
        }
        Ok(calls)
    }

    /// `name(args)`
    pub(super) fn filter(&mut self) -> Result<FilterCall, CompileError> {
        let name = self.expect_any_name()?;
        let Some(filter) = Filter::named(&name) else {
            return self.error_before(format!("unknown filter `{name}`"));
        };
        let args = if self.is_op("(") {
            self.arguments()?
        } else {
            Args::default()
        };
        Ok(FilterCall { filter, args })
    }

    fn test(&mut self, subject: Expr) -> Result<Expr, CompileError> {
        let negated = self.take_name("not");
        let name = self.expect_any_name()?;
        let Some(test) = Test::named(&name) else {
            return self.error_before(format!("unknown test `{name}`"));
        };
        let ends = ["else", "or", "and", "is"];
        let args = match self.peek() {
            Some(Token::Op("(")) => self.arguments()?.positional,
            Some(Token::Const(_) | Token::Op("[" | "{")) => vec![self.test_argument()?],
            // `not` begins no argument either, but it cannot follow a test.
            Some(Token::Name(name)) if !ends.contains(&&**name) && name != "if" && name != "in" => {
                vec![self.test_argument()?]
            }
            _ => Vec::new(),
        };
        self.make(Kind::Test {
            subject: Box::new(subject),
            test,
            args,
            negated,
        })
    }

    fn test_argument(&mut self) -> Result<Expr, CompileError> {
        let argument = self.nested(Self::primary)?;
        self.postfix(argument)
    }

    /// Whether every token has been read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }
}
