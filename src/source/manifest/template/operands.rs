//! Operands of expressions: names, constants, brackets, and what follows them.

use super::CompileError;
use super::ast::{Args, Const, Expr, FilterCall, Kind};
use super::lexer::{Spanned, Token};
use super::names::{Filter, Function, Test};
use super::parser::Parser;

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Expr, CompileError> {
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

    pub(super) fn postfix(&mut self, mut expr: Expr) -> Result<Expr, CompileError> {
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

    pub(super) fn filters_and_tests(&mut self, mut expr: Expr) -> Result<Expr, CompileError> {
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
            return self.error_before(unknown("filter", &name, Filter::NAMES));
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
            return self.error_before(unknown("test", &name, Test::NAMES));
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
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match crate::document::did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{name}`: did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`"),
    }
}
