//! Templates as trees, ready to evaluate.

use super::names::{Filter, Function, Test};

/// Statements in order.
pub(super) type Body = Vec<Node>;

/// One piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Text that stands for itself.
    Text(Box<str>),
    /// `{{ expression }}`
    Print(Expr),
    /// `{% if %}`, its `elif`s, and `else`.
    If {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    /// `{% for targets in iterable if filter %}`, and `else`.
    For(Box<For>),
    /// `{% set names = value %}`
    Set { targets: Targets, value: Expr },
    /// `{% set name %}text{% endset %}`, the text through filters.
    SetBlock {
        name: Box<str>,
        filters: Vec<FilterCall>,
        body: Body,
    },
    /// `{% with name = value %}`: names that end with the block.
    With {
        bindings: Vec<(Targets, Expr)>,
        body: Body,
    },
    /// `{% filter name %}`
    FilterBlock {
        filters: Vec<FilterCall>,
        body: Body,
    },
}

/// A loop.
#[derive(Debug, Clone)]
pub(super) struct For {
    pub targets: Targets,
    pub iterable: Expr,
    pub filter: Option<Expr>,
    pub body: Body,
    pub otherwise: Body,
}

/// What an assignment binds: one name, or one per item of the value.
#[derive(Debug, Clone)]
pub(super) enum Targets {
    One(Box<str>),
    Many(Vec<Targets>),
}

/// An expression, and how deeply it nests.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub kind: Kind,
    pub depth: u16,
}

/// A filter with its arguments.
#[derive(Debug, Clone)]
pub(super) struct FilterCall {
    pub filter: Filter,
    pub args: Args,
}

/// Arguments of a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    pub positional: Vec<Expr>,
    pub named: Vec<(Box<str>, Expr)>,
}

/// A constant.
#[derive(Debug, Clone)]
pub(super) enum Const {
    None,
    Bool(bool),
    Int(i64),
    Big(num_bigint::BigInt),
    Float(f64),
    Str(Box<str>),
}

/// What an expression does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Const(Const),
    /// A variable, or the function of that name if there is no such variable.
    Name(Box<str>, Option<Function>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `x.name`
    Attr(Box<Expr>, Box<str>),
    /// `x[index]`
    Item(Box<Expr>, Box<Expr>),
    /// `x[start:stop:step]`
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    /// `x(…)`
    Call(Box<Expr>, Args),
    Filter(Box<Expr>, Box<FilterCall>),
    Test {
        subject: Box<Expr>,
        test: Test,
        args: Vec<Expr>,
        negated: bool,
    },
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `a < b <= c`
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    /// `then if condition else otherwise`
    Cond {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

impl Args {
    /// Calls `found` with each argument.
    pub(super) fn each<'e>(&'e self, found: &mut impl FnMut(&'e Expr)) {
        self.positional.iter().for_each(&mut *found);
        self.named.iter().for_each(|(_, value)| found(value));
    }
}

impl Expr {
    /// An expression around others.
    pub(super) fn new(kind: Kind) -> Self {
        let mut depth = 0;
        kind.children(&mut |child| depth = depth.max(child.depth));
        Self {
            kind,
            depth: depth.saturating_add(1),
        }
    }
}

impl Kind {
    /// Calls `found` with each expression directly inside.
    pub(super) fn children<'e>(&'e self, found: &mut impl FnMut(&'e Expr)) {
        match self {
            Self::Const(_) | Self::Name(..) => {}
            Self::List(items) | Self::Tuple(items) | Self::Concat(items) => {
                items.iter().for_each(found);
            }
            Self::Dict(entries) => {
                for (key, value) in entries {
                    found(key);
                    found(value);
                }
            }
            Self::Attr(inner, _) | Self::Not(inner) | Self::Neg(inner) | Self::Pos(inner) => {
                found(inner);
            }
            Self::Item(a, b) | Self::And(a, b) | Self::Or(a, b) | Self::Binary(_, a, b) => {
                found(a);
                found(b);
            }
            Self::Slice(inner, bounds) => {
                found(inner);
                bounds.iter().flatten().for_each(found);
            }
            Self::Call(callee, args) => {
                found(callee);
                args.each(found);
            }
            Self::Filter(inner, call) => {
                found(inner);
                call.args.each(found);
            }
            Self::Test { subject, args, .. } => {
                found(subject);
                args.iter().for_each(found);
            }
            Self::Compare(first, rest) => {
                found(first);
                for (_, operand) in rest {
                    found(operand);
                }
            }
            Self::Cond {
                condition,
                then,
                otherwise,
            } => {
                found(condition);
                found(then);
                if let Some(otherwise) = otherwise {
                    found(otherwise);
                }
            }
        }
    }
}
