//! Reading the fields of a component, with problems that name the place and the fix.
//!
//! A component does not know its file: problems made here have none, and whoever loads the
//! manifest adds it with [`with_file`].

use std::sync::Arc;

use super::template::{Nested, Template, ValueType};
use crate::document::{Kind, Node, Position, Problem, did_you_mean};
use crate::json::{Map, Value};

/// A problem at `at`, whose file is still to be named.
pub fn problem(at: Position, message: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem {
        file: Arc::from(""),
        at: (at != Position::default()).then_some(at),
        message: message.into(),
        fix: Some(fix.into()),
    }
}

/// The same problem, in `file`.
pub fn with_file(file: &str, mut problem: Problem) -> Problem {
    problem.file = file.into();
    problem
}

/// What a value is, with its article: `a list`.
pub fn kind_name(node: &Node) -> &'static str {
    match node.kind {
        Kind::Null => "null",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) | Kind::Float(_) | Kind::BigNumber(_) => "a number",
        Kind::String(_) => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
    }
}

fn wrong_kind(key: &str, node: &Node, wanted: &str) -> Problem {
    problem(
        node.at,
        format!("{key} is {}", kind_name(node)),
        format!("make it {wanted}"),
    )
}

/// The field `key`; an explicit null is as good as absent.
pub fn optional<'n>(component: &'n Node, key: &str) -> Option<&'n Node> {
    component
        .get(key)
        .filter(|node| !matches!(node.kind, Kind::Null))
}

/// The field `key`, which must be there.
pub fn required<'n>(component: &'n Node, key: &str) -> Result<&'n Node, Problem> {
    optional(component, key).ok_or_else(|| {
        let kind = type_of(component).unwrap_or("this component");
        problem(
            component.at,
            format!("{kind} has no {key}"),
            format!("add the field {key}"),
        )
    })
}

/// The component's type, if it is text.
pub fn type_of(component: &Node) -> Option<&str> {
    component.get("type").and_then(Node::as_str)
}

/// The component's type, which must be there; `what` names the kind of component in messages.
pub fn required_type<'n>(component: &'n Node, what: &str) -> Result<&'n str, Problem> {
    type_of(component).ok_or_else(|| {
        problem(
            component.at,
            format!("this {what} has no type"),
            "add the field type",
        )
    })
}

/// The problem of a type that is not one of `known`.
pub fn unknown_type(component: &Node, what: &str, known: &[&str]) -> Problem {
    let name = type_of(component).unwrap_or_default();
    let at = component.get("type").map_or(component.at, |kind| kind.at);
    let fix = match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("supported: {}", known.join(", ")),
    };
    problem(at, format!("{name} is not a supported {what}"), fix)
}

/// A truth value, default `false`.
pub fn flag(component: &Node, key: &str) -> Result<bool, Problem> {
    flag_or(component, key, false)
}

/// A truth value.
pub fn flag_or(component: &Node, key: &str, default: bool) -> Result<bool, Problem> {
    match optional(component, key) {
        None => Ok(default),
        Some(node) => match &node.kind {
            Kind::Bool(value) => Ok(*value),
            Kind::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Kind::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(wrong_kind(key, node, "true or false")),
        },
    }
}

/// `value_type`, which restricts what a template's text is read as.
pub fn value_type(component: &Node) -> Result<Option<ValueType>, Problem> {
    Ok(match text(component, "value_type")? {
        None => None,
        Some("string") => Some(ValueType::String),
        Some("number") => Some(ValueType::Number),
        Some("integer") => Some(ValueType::Integer),
        Some("boolean") => Some(ValueType::Boolean),
        Some(other) => {
            return Err(problem(
                required(component, "value_type")?.at,
                format!("value_type cannot be {other}"),
                "use string, number, integer or boolean",
            ));
        }
    })
}

/// Plain text.
pub fn text<'n>(component: &'n Node, key: &str) -> Result<Option<&'n str>, Problem> {
    optional(component, key)
        .map(|node| {
            node.as_str()
                .ok_or_else(|| wrong_kind(key, node, "text, in quotation marks"))
        })
        .transpose()
}

/// A list, each of whose elements is text; a single text counts as a list of one.
pub fn texts(component: &Node, key: &str) -> Result<Vec<String>, Problem> {
    let Some(node) = optional(component, key) else {
        return Ok(Vec::new());
    };
    match &node.kind {
        Kind::String(text) => Ok(vec![text.clone()]),
        Kind::List(items) => items
            .iter()
            .map(|item| scalar_text(item).ok_or_else(|| wrong_kind(key, item, "a list of texts")))
            .collect(),
        _ => Err(wrong_kind(key, node, "a list of texts")),
    }
}

/// The elements of a list; none if it is absent.
pub fn list<'n>(component: &'n Node, key: &str) -> Result<&'n [Node], Problem> {
    match optional(component, key) {
        None => Ok(&[]),
        Some(node) => match &node.kind {
            Kind::List(items) => Ok(items),
            _ => Err(wrong_kind(key, node, "a list")),
        },
    }
}

/// A template; a number or truth value is one that says just that.
pub fn template(component: &Node, key: &str) -> Result<Option<Template>, Problem> {
    optional(component, key)
        .map(|node| template_of(key, node))
        .transpose()
}

/// A template that must be there.
pub fn required_template(component: &Node, key: &str) -> Result<Template, Problem> {
    template_of(key, required(component, key)?)
}

/// The template that `node`, the value of `key`, is.
pub fn template_of(key: &str, node: &Node) -> Result<Template, Problem> {
    let text = scalar_text(node)
        .ok_or_else(|| wrong_kind(key, node, "text (a template in quotation marks)"))?;
    Template::compile(&text).map_err(|error| compile_problem(key, node, &error.to_string()))
}

/// A tree of templates, such as a request body.
pub fn nested(component: &Node, key: &str) -> Result<Option<Nested>, Problem> {
    optional(component, key)
        .map(|node| {
            Nested::compile(&node.to_value())
                .map_err(|error| compile_problem(key, node, &error.to_string()))
        })
        .transpose()
}

fn compile_problem(key: &str, node: &Node, why: &str) -> Problem {
    problem(
        node.at,
        format!("the template of {key} cannot be read: {why}"),
        "check its brackets, quotation marks and filters",
    )
}

/// The text of a scalar, numbers and truth values as Python prints them.
fn scalar_text(node: &Node) -> Option<String> {
    Some(match &node.kind {
        Kind::String(text) => text.clone(),
        Kind::Bool(true) => "True".to_owned(),
        Kind::Bool(false) => "False".to_owned(),
        Kind::Int(number) => number.to_string(),
        Kind::Float(number) => format!("{number:?}"),
        Kind::BigNumber(text) => text.to_string(),
        Kind::Null | Kind::List(_) | Kind::Map(_) => return None,
    })
}

/// The `$parameters` that resolution has handed down to a component: `parameters` in its
/// templates.
pub fn parameters(component: &Node) -> Map {
    match component.get("$parameters").map(Node::to_value) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The template of `condition`; an empty one is none.
pub fn condition(component: &Node) -> Result<Option<Template>, Problem> {
    Ok(template(component, "condition")?.filter(|template| !template.source().is_empty()))
}
