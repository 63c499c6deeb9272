//! Templates of a component together with its `$parameters`.

use std::sync::Arc;

use super::fields::{self, problem};
use super::template::{Context, EvalError, Literal, Parameter, Template, ValueType};
use crate::document::{Kind, Node, Problem};
use crate::json::{Map, Value};

/// The problem of a component whose type this engine does not run.
pub(super) fn unsupported(node: &Node) -> Problem {
    let kind = fields::type_of(node).unwrap_or("a component without a type");
    let at = node.get("type").map_or(node.at, |kind| kind.at);
    problem(
        at,
        format!("needs {kind}, which is not supported"),
        "the manifest's other streams work",
    )
}

/// A template together with the `$parameters` of the component it stands in.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    template: Template,
    parameters: Arc<Map>,
}

/// The `$parameters` of a component, for its templates.
pub(super) fn parameters_of(node: &Node) -> Arc<Map> {
    let map = match node.get("$parameters").map(Node::to_value) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    Arc::new(map)
}

impl Expr {
    /// The text `value`, which is the field `key` of `owner` or an element of it.
    pub(super) fn of(key: &str, value: &Node, owner: &Node) -> Result<Self, Problem> {
        Ok(Self {
            template: fields::template_of(key, value)?,
            parameters: parameters_of(owner),
        })
    }

    /// A text that stands nowhere in the manifest.
    pub(super) fn constant(text: &str, owner: &Node) -> Result<Self, Problem> {
        let node = Node {
            kind: Kind::String(text.to_owned()),
            at: owner.at,
        };
        Self::of("this component", &node, owner)
    }

    /// The field `key` of `owner`, if it has one.
    pub(super) fn field(owner: &Node, key: &str) -> Result<Option<Self>, Problem> {
        fields::optional(owner, key)
            .map(|value| Self::of(key, value, owner))
            .transpose()
    }

    /// The field `key` of `owner`, which must have one.
    pub(super) fn required(owner: &Node, key: &str) -> Result<Self, Problem> {
        Self::of(key, fields::required(owner, key)?, owner)
    }

    /// The compiled template.
    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// `context` with the parameters of the component.
    pub(super) fn context<'a>(&'a self, context: &Context<'a>) -> Context<'a> {
        context.clone().with("parameters", &*self.parameters)
    }

    /// See [`Template::value`].
    pub(super) fn value(&self, context: &Context<'_>) -> Result<Literal, EvalError> {
        self.template.value(&self.context(context))
    }

    /// See [`Template::value_of_type`].
    pub(super) fn value_of_type(
        &self,
        context: &Context<'_>,
        value_type: ValueType,
    ) -> Result<Literal, EvalError> {
        self.template
            .value_of_type(&self.context(context), value_type)
    }

    /// See [`Template::text`].
    pub(super) fn text(&self, context: &Context<'_>) -> Result<String, EvalError> {
        self.template.text(&self.context(context))
    }

    /// See [`Template::boolean`].
    pub(super) fn boolean(&self, context: &Context<'_>) -> Result<bool, EvalError> {
        self.template.boolean(&self.context(context))
    }

    /// See [`Template::parameter`].
    pub(super) fn parameter(&self, context: &Context<'_>) -> Result<Parameter, EvalError> {
        self.template.parameter(&self.context(context))
    }

    /// See [`Template::header`].
    pub(super) fn header(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        self.template.header(&self.context(context))
    }

    /// See [`Template::key`].
    pub(super) fn key(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        self.template.key(&self.context(context))
    }

    /// The text as it was rendered: a credential or page token of digits keeps its spelling.
    pub(super) fn verbatim(&self, context: &Context<'_>) -> Result<String, EvalError> {
        Ok(match self.parameter(context)? {
            Parameter::Text(text) => text,
            Parameter::Absent => String::new(),
            Parameter::List(_) => self.text(context)?,
        })
    }
}

/// A map whose keys and values are templates (`request_parameters`).
pub(super) fn expr_map(owner: &Node, key: &str) -> Result<Vec<(Expr, Expr)>, Problem> {
    let Some(map) = fields::optional(owner, key) else {
        return Ok(Vec::new());
    };
    if !matches!(map.kind, Kind::Map(_)) {
        let found = fields::kind_name(map);
        return Err(problem(
            map.at,
            format!("{key} is {found}"),
            "make it a map",
        ));
    }
    let mut exprs = Vec::with_capacity(map.entries().len());
    for entry in map.entries() {
        let value = match &entry.value.kind {
            Kind::Null => continue,
            // Sent as Python prints it, which is how the items of a list become repeated keys.
            Kind::List(_) | Kind::Map(_) => {
                Expr::constant(&entry.value.to_value().to_string(), owner)?
            }
            _ => Expr::of(&entry.key, &entry.value, owner)?,
        };
        exprs.push((Expr::constant(&entry.key, owner)?, value));
    }
    Ok(exprs)
}
