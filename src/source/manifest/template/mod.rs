//! Jinja templates as the format's reference evaluates them, compiled once at load.
//!
//! A [`Template`] is compiled from the text of one manifest field and evaluated against a
//! [`Context`] of borrowed values. It renders to text with Python's semantics; the text is then
//! read as a Python literal, which gives the field its type. Which literals count, and what
//! becomes of an empty or undefined result, depends on the place of the field: there is one method
//! per kind of place.
//!
//! Work, output and nesting are bounded: a template can fail, but neither hang nor overflow.

mod access;
mod analyze;
mod arithmetic;
mod ast;
mod call;
mod collections;
mod compile;
mod context;
mod dates;
mod encode;
mod escape;
mod eval;
mod filters;
mod float;
mod functions;
mod layout;
mod lexer;
mod literal;
mod literal_parser;
mod literal_scalars;
mod methods;
mod names;
mod nested;
mod operands;
mod operators;
mod parser;
mod percent;
mod predicates;
mod print;
mod regexes;
mod run;
mod statements;
mod str_format;
mod strings;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use compile::{CompileError, Template};
pub use context::{Binding, Context, SliceView};
pub(crate) use float::float_text;
pub use literal::Literal;
pub use nested::Nested;

use ast::Node;
use value::Raise;

/// Names of the functions that templates may call.
pub(super) const FUNCTIONS: &[&str] = names::Function::NAMES;

/// Bytes of text that a template may make.
const MAX_TEXT: usize = 1 << 20;

/// Items that a list made by a template may have.
const MAX_ITEMS: usize = 100_000;

/// Decimal digits of an integer, as many as Python reads and prints.
const MAX_DIGITS: usize = 4300;

/// Why a template has no value. None of these is a reason to retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Something undefined was used as if it were there, where no default applies.
    #[error("{what}")]
    Undefined {
        /// What is undefined, in words.
        what: String,
    },
    /// A top-level name that the place does not offer.
    #[error("unknown variable `{name}`")]
    UnknownVariable {
        /// The name.
        name: String,
    },
    /// The template failed otherwise: a bad date, a division by zero, a result beyond bounds.
    #[error("{what}")]
    Failed {
        /// What went wrong, in words.
        what: String,
    },
}

/// `value_type` of an added field: the only kind of literal that the text may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `string`
    String,
    /// `number`: a Python float, so `5` stays text.
    Number,
    /// `integer`
    Integer,
    /// `boolean`
    Boolean,
}

/// A query parameter or form field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// Empty or undefined: the key is not sent.
    Absent,
    /// Sent once.
    Text(String),
    /// Sent once per item. Without items a query lacks the key, while a form is sent empty.
    List(Vec<String>),
}

impl Template {
    /// The typed value of a field that stands alone: a URL, a path, a cursor value, an added
    /// field. An empty result is empty text; an undefined one is an error.
    pub fn value(&self, context: &Context<'_>) -> Result<Literal, EvalError> {
        Ok(self
            .typed(context)?
            .unwrap_or_else(|| Literal::Str(String::new())))
    }

    /// As [`value`](Self::value), but an empty or undefined result is `default`'s value.
    pub fn value_or(&self, context: &Context<'_>, default: &Self) -> Result<Literal, EvalError> {
        match self.typed_defined(context)? {
            Some(literal) => Ok(literal),
            None => default.value(context),
        }
    }

    /// As [`value`](Self::value), where only a literal of this type counts; anything else stays
    /// text (added fields with `value_type`).
    pub fn value_of_type(
        &self,
        context: &Context<'_>,
        value_type: ValueType,
    ) -> Result<Literal, EvalError> {
        let text = self.render(context)?;
        // To Python a bool is an integer, too.
        let fits = |literal: &Literal| match value_type {
            ValueType::String => matches!(literal, Literal::Str(_)),
            ValueType::Number => matches!(literal, Literal::Float(_)),
            ValueType::Integer => {
                matches!(
                    literal,
                    Literal::Int(_) | Literal::Big(_) | Literal::Bool(_)
                )
            }
            ValueType::Boolean => matches!(literal, Literal::Bool(_)),
        };
        let literal = Literal::parse(&text).filter(fits);
        Ok(literal.unwrap_or_else(|| Literal::Str(text.into_owned())))
    }

    /// The Python text of [`value`](Self::value), for fields that are text whatever they look like.
    pub fn text(&self, context: &Context<'_>) -> Result<String, EvalError> {
        Ok(match self.value(context)? {
            Literal::Str(text) => text,
            other => other.to_string(),
        })
    }

    /// The typed value under a key of a mapping or JSON body. An empty or undefined result is
    /// [`Literal::None`], which maps drop.
    pub fn mapping_value(&self, context: &Context<'_>) -> Result<Literal, EvalError> {
        Ok(self.typed_defined(context)?.unwrap_or(Literal::None))
    }

    /// The text of a mapping's key; `None` if it is empty or undefined.
    pub fn key(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        let text = self.render_defined(context)?;
        Ok(text.map(|text| match Literal::parse(&text) {
            Some(Literal::Str(text)) => text,
            _ => text.into_owned(),
        }))
    }

    /// The value of a request parameter or a form field: only texts and lists of them count as
    /// literals, so numbers are sent as they are spelled.
    pub fn parameter(&self, context: &Context<'_>) -> Result<Parameter, EvalError> {
        let Some(text) = self.render_defined(context)? else {
            return Ok(Parameter::Absent);
        };
        Ok(match Literal::parse(&text) {
            Some(Literal::Str(text)) => Parameter::Text(text),
            Some(Literal::List(items)) => {
                let sent = items.iter().filter(|item| !item.is_none());
                Parameter::List(sent.flat_map(Literal::sent).collect())
            }
            _ => Parameter::Text(text.into_owned()),
        })
    }

    /// The value of a request header, typed and printed again; `None` is not sent.
    pub fn header(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        Ok(match self.mapping_value(context)? {
            Literal::None => None,
            Literal::Str(text) => Some(text),
            other => Some(other.to_string()),
        })
    }

    /// A condition. Empty, undefined, `None`, `False`, `0` and empty collections are false, as
    /// are the texts `false` and `False`; all else is true.
    pub fn boolean(&self, context: &Context<'_>) -> Result<bool, EvalError> {
        let literal = self.typed_defined(context)?;
        Ok(literal.is_some_and(|literal| literal.is_true_condition()))
    }

    /// As [`typed`](Self::typed), and `None` also if something undefined was used.
    fn typed_defined(&self, context: &Context<'_>) -> Result<Option<Literal>, EvalError> {
        match self.typed(context) {
            Err(EvalError::Undefined { .. }) => Ok(None),
            result => result,
        }
    }

    /// What the rendered text means as a literal; `None` if it is empty.
    fn typed(&self, context: &Context<'_>) -> Result<Option<Literal>, EvalError> {
        let not_empty = |text: String| (!text.is_empty()).then(|| Literal::of_text(text));
        if let Some(constant) = self.constant_literal() {
            let is_empty = self.literal().is_some_and(str::is_empty);
            return Ok((!is_empty).then(|| constant.clone()));
        }
        let [Node::Print(expr)] = &**self.body() else {
            return Ok(not_empty(self.render(context)?.into_owned()));
        };
        // Most templates are one expression, whose value needs no detour over its text.
        self.check_variables(context)?;
        let text = match eval::evaluate(expr, context) {
            Ok(value::Value::Str(text)) => {
                let text = text.as_str();
                return Ok((!text.is_empty()).then(|| Literal::of_str(text)));
            }
            Ok(value) => match Literal::of_value(&value) {
                Some(literal) => return Ok(Some(literal)),
                None => print::text(&value)?,
            },
            Err(Raise::Type) => self.source().to_owned(),
            Err(raise) => return Err(raise.into()),
        };
        Ok(not_empty(text))
    }

    /// The rendered text; `None` if it is empty or something undefined was used.
    fn render_defined(&self, context: &Context<'_>) -> Result<Option<Cow<'_, str>>, EvalError> {
        match self.render(context) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(EvalError::Undefined { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn render(&self, context: &Context<'_>) -> Result<Cow<'_, str>, EvalError> {
        if let [Node::Text(text)] = &**self.body() {
            return Ok(Cow::Borrowed(text));
        }
        self.check_variables(context)?;
        match eval::render(self.body(), context) {
            Ok(text) => Ok(Cow::Owned(text)),
            // The reference takes a template that fails this way for plain text.
            Err(Raise::Type) => Ok(Cow::Borrowed(self.source())),
            Err(raise) => Err(raise.into()),
        }
    }

    /// Every name must be offered, also those in branches that are not taken.
    fn check_variables(&self, context: &Context<'_>) -> Result<(), EvalError> {
        match self
            .variables()
            .iter()
            .find(|name| context.get(name).is_none())
        {
            Some(name) => Err(EvalError::UnknownVariable { name: name.clone() }),
            None => Ok(()),
        }
    }
}

impl From<Raise> for EvalError {
    fn from(raise: Raise) -> Self {
        match raise {
            Raise::Undefined(what) => Self::Undefined { what },
            Raise::Fail(what) => Self::Failed { what },
            // Callers that see this one put the template's text in place of its value.
            Raise::Type => Self::Failed {
                what: "operation on values of the wrong type".to_owned(),
            },
        }
    }
}
