//! Evaluates expressions, within bounds on the work they do.

use std::rc::Rc;

use super::ast::{Args, Body, Const, Expr, FilterCall, Kind};
use super::call::Call;
use super::context::Context;
use super::names::Function;
use super::value::{Missing, Result, Text, Value, fail};
use super::{
    MAX_ITEMS, access, arithmetic, filters, functions, methods, operators, predicates, print,
};

/// Work that one evaluation may do, in nodes visited and items touched.
const MAX_STEPS: usize = 200_000;

/// Renders a template to text.
pub(super) fn render<'a>(body: &'a Body, context: &'a Context<'a>) -> Result<String> {
    let mut evaluator = Evaluator {
        context,
        locals: Vec::new(),
        steps: MAX_STEPS,
        loops: 0,
    };
    let mut out = String::new();
    evaluator.body(body, &mut out)?;
    Ok(out)
}

/// The value of one expression.
pub(super) fn evaluate<'a>(expr: &'a Expr, context: &'a Context<'a>) -> Result<Value<'a>> {
    Evaluator {
        context,
        locals: Vec::new(),
        steps: MAX_STEPS,
        loops: 0,
    }
    .expr(expr)
}

pub(super) struct Evaluator<'a> {
    pub context: &'a Context<'a>,
    /// Names that the template has set; the last of a name is the one that counts.
    pub locals: Vec<(&'a str, Value<'a>)>,
    steps: usize,
    pub loops: usize,
}

impl<'a> Evaluator<'a> {
    /// Pays for work.
    pub(super) fn charge(&mut self, steps: usize) -> Result<()> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => fail("template does too much work"),
        }
    }

    /// Pays for going through a value once.
    pub(super) fn charge_for(&mut self, value: &Value<'a>) -> Result<()> {
        let work = match value {
            Value::Str(text) => text.as_str().len() / 64,
            value => value.len().unwrap_or(0) / 4,
        };
        self.charge(work)
    }

    pub(super) fn condition(&mut self, expr: &'a Expr) -> Result<bool> {
        let value = self.expr(expr)?;
        match &value {
            Value::Undefined(missing) if missing.forbidden => Err(value.misuse()),
            value => Ok(value.is_truthy()),
        }
    }

    /// Evaluates an expression. Kept small, for it recurses: the work is in other functions.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Result<Value<'a>> {
        self.charge(1)?;
        match &expr.kind {
            Kind::Const(constant) => Ok(constant_value(constant)),
            Kind::Name(name, function) => Ok(self.name(name, *function)),
            Kind::Attr(owner, name) => self.attribute(owner, name),
            Kind::Item(owner, key) => self.item(owner, key),
            Kind::Call(callee, args) => self.call(callee, args),
            Kind::Filter(subject, call) => {
                let subject = self.expr(subject)?;
                self.filter(&subject, call)
            }
            Kind::And(left, right) => self.either(left, right, false),
            Kind::Or(left, right) => self.either(left, right, true),
            Kind::Not(inner) => Ok(Value::Bool(!self.condition(inner)?)),
            Kind::Cond {
                condition,
                then,
                otherwise,
            } => {
                if self.condition(condition)? {
                    self.expr(then)
                } else {
                    otherwise
                        .as_ref()
                        .map_or(Ok(Value::undefined()), |expr| self.expr(expr))
                }
            }
            _ => self.composite(expr),
        }
    }

    fn either(&mut self, left: &'a Expr, right: &'a Expr, stop_at: bool) -> Result<Value<'a>> {
        let left = self.expr(left)?;
        if left.is_truthy() == stop_at {
            Ok(left)
        } else {
            self.expr(right)
        }
    }

    fn composite(&mut self, expr: &'a Expr) -> Result<Value<'a>> {
        match &expr.kind {
            Kind::List(items) => Ok(Value::list(self.all(items)?)),
            Kind::Tuple(items) => Ok(Value::tuple(self.all(items)?)),
            Kind::Dict(entries) => self.dict(entries),
            Kind::Concat(parts) => self.concat(parts),
            Kind::Slice(owner, bounds) => self.slice(owner, bounds),
            Kind::Compare(first, rest) => self.compare(first, rest),
            Kind::Binary(op, left, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let result = operators::binary(*op, &left, &right)?;
                self.charge_for(&result)?;
                Ok(result)
            }
            Kind::Neg(inner) => arithmetic::negate(&self.expr(inner)?),
            Kind::Pos(inner) => {
                let value = self.expr(inner)?;
                if value.as_float().is_some() {
                    Ok(value)
                } else {
                    Err(value.misuse())
                }
            }
            Kind::Test {
                subject,
                test,
                args,
                negated,
            } => {
                let subject = self.expr(subject)?;
                let args = self.all(args)?;
                Ok(Value::Bool(
                    predicates::check(*test, &subject, &args)? != *negated,
                ))
            }
            // The other kinds are handled by the caller.
            _ => Ok(Value::None),
        }
    }

    fn all(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn dict(&mut self, entries: &'a [(Expr, Expr)]) -> Result<Value<'a>> {
        let mut pairs: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key, value) = (self.expr(key)?, self.expr(value)?);
            access::expect_hashable(&key)?;
            access::insert(&mut pairs, key, value)?;
        }
        Ok(Value::Dict(Rc::new(pairs)))
    }

    fn concat(&mut self, parts: &'a [Expr]) -> Result<Value<'a>> {
        let mut text = String::new();
        for part in parts {
            print::print(&self.expr(part)?, &mut text)?;
        }
        let text = Value::text(text);
        self.charge_for(&text)?;
        Ok(text)
    }

    fn slice(&mut self, owner: &'a Expr, bounds: &'a [Option<Expr>; 3]) -> Result<Value<'a>> {
        let owner = self.expr(owner)?;
        let mut limits = [None; 3];
        for (limit, bound) in limits.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *limit = match self.expr(bound)? {
                    Value::None => None,
                    value => Some(value.expect_int()?),
                };
            }
        }
        self.charge_for(&owner)?;
        access::slice(&owner, limits)
    }

    fn compare(
        &mut self,
        first: &'a Expr,
        rest: &'a [(super::ast::Comparison, Expr)],
    ) -> Result<Value<'a>> {
        let mut left = self.expr(first)?;
        for (op, right) in rest {
            let right = self.expr(right)?;
            self.charge_for(&right)?;
            if !operators::compare(*op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn name(&self, name: &'a str, function: Option<Function>) -> Value<'a> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return value.clone();
        }
        if let Some(binding) = self.context.get(name) {
            return Value::from_binding(binding);
        }
        match function {
            Some(function) => Value::Function(function),
            // Every name that the context must offer was looked up before: this one is set by
            // the template, in a branch that was not taken.
            None => Value::Undefined(Missing {
                owner: None,
                name: Text::Borrowed(name),
                forbidden: false,
            }),
        }
    }

    fn attribute(&mut self, owner: &'a Expr, name: &'a str) -> Result<Value<'a>> {
        let owner = self.expr(owner)?;
        access::attribute(&owner, Text::Borrowed(name))
    }

    fn item(&mut self, owner: &'a Expr, key: &'a Expr) -> Result<Value<'a>> {
        let owner = self.expr(owner)?;
        let key = self.expr(key)?;
        access::item(&owner, &key)
    }

    fn call(&mut self, callee: &'a Expr, args: &'a Args) -> Result<Value<'a>> {
        // A method is called on its owner at once: no value is made of it.
        if let Kind::Attr(owner, name) = &callee.kind {
            let owner = self.expr(owner)?;
            if methods::has(&owner, name) {
                let args = self.args(args)?;
                self.charge_for(&owner)?;
                return methods::call(&owner, name, &args);
            }
            let callee = access::attribute(&owner, Text::Borrowed(name))?;
            return self.call_value(&callee, args);
        }
        let callee = self.expr(callee)?;
        self.call_value(&callee, args)
    }

    fn call_value(&mut self, callee: &Value<'a>, args: &'a Args) -> Result<Value<'a>> {
        let args = self.args(args)?;
        match callee {
            Value::Function(function) => functions::call(*function, &args, self.context.clock()),
            Value::Method(method) => methods::call(&method.0, method.1.as_str(), &args),
            other => Err(other.misuse()),
        }
    }

    fn args(&mut self, args: &'a Args) -> Result<Call<'a>> {
        let positional = self.all(&args.positional)?;
        let mut named = Vec::with_capacity(args.named.len());
        for (name, value) in &args.named {
            named.push((&**name, self.expr(value)?));
        }
        Ok(Call { positional, named })
    }

    pub(super) fn filter(
        &mut self,
        subject: &Value<'a>,
        call: &'a FilterCall,
    ) -> Result<Value<'a>> {
        let args = self.args(&call.args)?;
        self.charge_for(subject)?;
        let result = filters::apply(self, call.filter, subject, &args)?;
        if result.len().is_some_and(|length| length > MAX_ITEMS) && result.as_str().is_none() {
            return fail("list is too long");
        }
        Ok(result)
    }
}

fn constant_value(constant: &Const) -> Value<'_> {
    match constant {
        Const::None => Value::None,
        Const::Bool(value) => Value::Bool(*value),
        Const::Int(value) => Value::Int(*value),
        Const::Big(value) => Value::Big(Rc::new(value.clone())),
        Const::Float(value) => Value::Float(*value),
        Const::Str(text) => Value::borrowed(text),
    }
}
