//! A field's text to a [`Template`], and what can be known of it before it runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::analyze::{self, Read};
use super::ast::{Body, Node};
use super::lexer;
use super::literal::Literal;
use super::parser::Parser;

/// Bytes of a template's own text.
const MAX_SOURCE: usize = 256 * 1024;

/// The compiled text of one field. Plain text is a template too. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: Box<str>,
    body: Body,
    reads: Vec<Read>,
    variables: BTreeSet<String>,
    constant: Option<Literal>,
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

impl Template {
    /// Compiles the text of a field.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        if text.len() > MAX_SOURCE {
            return Err(CompileError {
                offset: 0,
                what: "template is too long".to_owned(),
            });
        }
        // The reference refuses this word wherever it stands.
        if let Some(offset) = text.find("stream_state") {
            let what = "`stream_state` is no longer supported: use `stream_interval`".to_owned();
            return Err(CompileError { offset, what });
        }
        let normal = normalized(text);
        let tokens = lexer::tokenize(&normal)?;
        let mut body = Parser::new(tokens, normal.len()).template()?;
        if body.is_empty() {
            body.push(Node::Text("".into()));
        }
        let reads = analyze::reads(&body);
        let variables = reads.iter().map(|read| read.name.to_string()).collect();
        let constant = match &*body {
            [Node::Text(text)] => Some(Literal::of_text(text.to_string())),
            _ => None,
        };
        let source = text.into();
        Ok(Self(Arc::new(Compiled {
            source,
            body,
            reads,
            variables,
            constant,
        })))
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The text, if nothing in it is evaluated. In typed places it is read as a literal all the
    /// same.
    pub fn literal(&self) -> Option<&str> {
        match &*self.0.body {
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Names that must come from the context. Functions and names that the template sets are not
    /// among them.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.0.variables
    }

    /// Whether the variable `name` is used. `stream_interval` and `stream_partition` are names of
    /// their own here.
    pub fn uses(&self, name: &str) -> bool {
        self.0.variables.contains(name)
    }

    /// The constant paths under the variable `name` that the template reads: `a.b`, `['a']`,
    /// `.get('a')`; all that is below a path counts. `None` when the variable is used in any
    /// other way, so that all of it counts. An unused variable has no paths.
    pub fn paths(&self, name: &str) -> Option<Vec<Vec<String>>> {
        let reads = self.0.reads.iter().filter(|read| &*read.name == name);
        reads
            .map(|read| Some(read.path.clone()).filter(|path| !path.is_empty()))
            .collect()
    }

    /// The constant keys under the variable `name`, one list per use; an empty one where all of it
    /// is used.
    pub(in crate::source::manifest) fn constant_reads(
        &self,
        name: &str,
    ) -> impl Iterator<Item = &[String]> {
        let reads = self.0.reads.iter().filter(move |read| &*read.name == name);
        reads.map(|read| &*read.path)
    }

    pub(super) fn body(&self) -> &Body {
        &self.0.body
    }

    pub(super) fn constant_literal(&self) -> Option<&Literal> {
        self.0.constant.as_ref()
    }
}

/// Newlines as `\n`, and without the last one, as Jinja reads templates.
fn normalized(text: &str) -> String {
    let text = if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    };
    match text.strip_suffix('\n') {
        Some(shorter) => shorter.to_owned(),
        None => text,
    }
}
