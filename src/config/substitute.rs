//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${file:/path}` and `$$` in one text.
//!
//! Works on texts that are parsed already, so that a value may hold any character, and never reads
//! a value again, so that a secret with `${` in it stays what it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::Environment;

/// Largest file that `${file:…}` reads.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, or: Or },
    File(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Or {
    Fail,
    Default(String),
    Message(String),
}

/// A text that is no template. Holds nothing of the text but names: a default may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    #[error("\"${{\" without a closing \"}}\"")]
    Unclosed,
    #[error("\"${{}}\" names no variable")]
    Empty,
    #[error("a \"${{\" inside another \"${{…}}\"")]
    Nested,
    #[error("what stands in \"${{…}}\" is no name of a variable")]
    BadName,
    #[error("\"${{{name}…}}\": after the name comes \":-\" or \":?\"")]
    BadOperator { name: String },
    #[error("\"${{{scheme}:…}}\" is not supported yet")]
    Scheme { scheme: String },
    #[error("\"${{file:}}\" names no file")]
    NoPath,
}

impl Malformed {
    /// What to write instead.
    pub(super) fn fix(&self) -> String {
        match self {
            Self::Scheme { .. } => "use ${VARIABLE} or ${file:/path}".to_owned(),
            Self::BadOperator { name } => {
                format!("for a default write ${{{name}:-default}}")
            }
            Self::NoPath => "write ${file:/run/secrets/name}".to_owned(),
            Self::Nested => "a default is literal text; a literal ${ is written $${".to_owned(),
            Self::Unclosed | Self::Empty | Self::BadName => {
                "write ${VARIABLE}; a literal ${ is written $${".to_owned()
            }
        }
    }
}

/// A value that is not to be had. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Missing {
    #[error("environment variable {0} is not set")]
    Unset(String),
    #[error("environment variable {name} is not set or empty: {message}")]
    Demanded { name: String, message: String },
    #[error("cannot read {path}: {reason}")]
    File { path: String, reason: String },
}

impl Missing {
    /// What to do about it.
    pub(super) fn fix(&self) -> Option<String> {
        match self {
            Self::Unset(name) => Some(format!(
                "set {name}, or give a default: ${{{name}:-default}}"
            )),
            Self::Demanded { name, .. } => Some(format!("set {name}")),
            Self::File { .. } => None,
        }
    }
}

impl Template {
    /// Takes a text apart. A `$` before anything but `{` and `$` is an ordinary character.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                let end = after.find('}').ok_or(Malformed::Unclosed)?;
                parts.push(reference(&after[..end])?);
                rest = &after[end + 1..];
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// The text, when it refers to nothing.
    pub(super) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Puts the values in. `directory` is where relative paths of `${file:…}` start; `note` is told
    /// what was read, and its digest. The error is everything that is missing.
    pub(super) fn render(
        &self,
        environment: &Environment,
        directory: &Path,
        mut note: impl FnMut(PathBuf, u64),
    ) -> Result<String, Vec<Missing>> {
        let mut text = String::new();
        let mut missing = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable { name, or } => match lookup(name, or, environment) {
                    Ok(value) => text.push_str(value),
                    Err(error) => missing.push(error),
                },
                Part::File(path) => match read(path, directory) {
                    Ok(content) => {
                        note(directory.join(path), xxh3_64(content.as_bytes()));
                        text.push_str(&content);
                    }
                    Err(error) => missing.push(error),
                },
            }
        }
        if missing.is_empty() {
            Ok(text)
        } else {
            Err(missing)
        }
    }
}

/// What stands between `${` and `}`.
fn reference(body: &str) -> Result<Part, Malformed> {
    if body.is_empty() {
        return Err(Malformed::Empty);
    }
    if let Some(path) = body.strip_prefix("file:") {
        return if path.is_empty() {
            Err(Malformed::NoPath)
        } else if path.contains("${") {
            Err(Malformed::Nested)
        } else {
            Ok(Part::File(path.to_owned()))
        };
    }
    let end = body
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(body.len());
    let (name, operator) = body.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(if body.contains("${") {
            Malformed::Nested
        } else {
            Malformed::BadName
        });
    }
    let name = name.to_owned();
    let or = if operator.is_empty() {
        Or::Fail
    } else if let Some(default) = operator.strip_prefix(":-") {
        Or::Default(plain(default)?)
    } else if let Some(message) = operator.strip_prefix(":?") {
        Or::Message(plain(message)?)
    } else if operator.contains("${") {
        return Err(Malformed::Nested);
    } else if operator.starts_with(':') && name.chars().all(|c| !c.is_ascii_uppercase()) {
        return Err(Malformed::Scheme { scheme: name });
    } else if operator.starts_with([':', '-', '?', '=', '+']) {
        return Err(Malformed::BadOperator { name });
    } else {
        return Err(Malformed::BadName);
    };
    Ok(Part::Variable { name, or })
}

/// The text of a default or message, in which only `$$` means something.
fn plain(text: &str) -> Result<String, Malformed> {
    match Template::parse(text) {
        Ok(template) => template
            .literal()
            .map(str::to_owned)
            .ok_or(Malformed::Nested),
        Err(_) => Err(Malformed::Nested),
    }
}

fn lookup<'a>(name: &str, or: &'a Or, environment: &'a Environment) -> Result<&'a str, Missing> {
    let value = environment.get(name).map(String::as_str);
    match (value, or) {
        (Some(value), Or::Fail) => Ok(value),
        (Some(value), _) if !value.is_empty() => Ok(value),
        (None, Or::Fail) => Err(Missing::Unset(name.to_owned())),
        (_, Or::Default(default)) => Ok(default),
        (_, Or::Message(message)) => Err(Missing::Demanded {
            name: name.to_owned(),
            message: if message.is_empty() {
                "it is required".to_owned()
            } else {
                message.clone()
            },
        }),
    }
}

/// The content of a file, every byte of it.
fn read(path: &str, directory: &Path) -> Result<String, Missing> {
    let missing = |reason: String| Missing::File {
        path: path.to_owned(),
        reason,
    };
    let full = directory.join(path);
    let metadata = std::fs::metadata(&full).map_err(|error| missing(super::io_reason(&error)))?;
    // Opening a pipe would wait for a writer that may never come.
    if !metadata.is_file() {
        return Err(missing("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(&full)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| missing(super::io_reason(&error)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(missing(format!(
            "it is larger than {} KiB",
            MAX_FILE_BYTES >> 10
        )));
    }
    // The error of the conversion holds the bytes: they must not reach a message.
    String::from_utf8(bytes).map_err(|_| missing("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Template::parse(text)
            .map_err(|error| error.to_string())?
            .render(&environment, Path::new("/"), |_, _| {})
            .map_err(|missing| shown(&missing))
    }

    fn shown(missing: &[Missing]) -> String {
        let all: Vec<_> = missing.iter().map(ToString::to_string).collect();
        all.join("; ")
    }

    #[test]
    fn references_are_replaced() {
        let variables = [("A", "x"), ("EMPTY", "")];
        let cases = [
            ("plain", "plain"),
            ("", ""),
            ("${A}", "x"),
            ("<${A}${A}>", "<xx>"),
            ("${EMPTY}", ""),
            ("${A:-y}", "x"),
            ("${B:-y}", "y"),
            ("${B:-}", ""),
            ("${EMPTY:-y}", "y"),
            ("${B:-a:-b}", "a:-b"),
            ("${B:-$$}", "$"),
            ("${B:-$5}", "$5"),
            ("${A:?needed}", "x"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$$${A}", "$x"),
            ("$$$$", "$$"),
            ("$A costs 5$", "$A costs 5$"),
            ("a}b", "a}b"),
        ];
        for (text, expected) in cases {
            assert_eq!(render(text, &variables).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_without_a_value() {
        let cases = [
            ("${A", "\"${\" without a closing \"}\""),
            ("${}", "\"${}\" names no variable"),
            (
                "${A-secret}",
                "\"${A…}\": after the name comes \":-\" or \":?\"",
            ),
            (
                "${A:secret}",
                "\"${A…}\": after the name comes \":-\" or \":?\"",
            ),
            ("${1A}", "what stands in \"${…}\" is no name of a variable"),
            ("${A B}", "what stands in \"${…}\" is no name of a variable"),
            ("${ A }", "what stands in \"${…}\" is no name of a variable"),
            ("${A:-${B}}", "a \"${\" inside another \"${…}\""),
            ("${${A}}", "a \"${\" inside another \"${…}\""),
            ("${gcp:projects/p}", "\"${gcp:…}\" is not supported yet"),
            ("${vault:kv/x}", "\"${vault:…}\" is not supported yet"),
            ("${file:}", "\"${file:}\" names no file"),
            ("${B}", "environment variable B is not set"),
            (
                "${EMPTY:?ask ops}",
                "environment variable EMPTY is not set or empty: ask ops",
            ),
            (
                "${B:?}",
                "environment variable B is not set or empty: it is required",
            ),
            ("${file:/nowhere/x}", "cannot read /nowhere/x: no such file"),
            ("${file:/}", "cannot read /: it is not a regular file"),
        ];
        for (text, expected) in cases {
            let shown = render(text, &[("A", "x"), ("EMPTY", "")]).unwrap_err();
            assert_eq!(shown, expected, "{text}");
        }
    }

    #[test]
    fn files_are_read_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes);
        write("secret", b"a ${A} $$\r\n\n").unwrap();
        write("binary", b"\xff\xfe secret").unwrap();
        write("large", &vec![b'x'; 1 + (1 << 20)]).unwrap();
        let read = |text: &str| {
            Template::parse(text)
                .unwrap()
                .render(&Environment::default(), directory.path(), |_, _| {})
                .map_err(|missing| shown(&missing))
        };
        assert_eq!(read("${file:secret}").as_deref(), Ok("a ${A} $$\r\n\n"));
        assert_eq!(
            read("${file:binary}").unwrap_err(),
            "cannot read binary: it is not UTF-8"
        );
        assert_eq!(
            read("${file:large}").unwrap_err(),
            "cannot read large: it is larger than 1024 KiB"
        );
    }

    proptest! {
        #[test]
        fn any_value_arrives_unchanged(
            value in any::<String>(),
            parts in prop::collection::vec(prop_oneof!["\\PC{0,4}", Just("${".to_owned()),
                Just("}".to_owned()), Just("$$".to_owned()), Just("${S}".to_owned()),
                Just("\"".to_owned()), Just("\\".to_owned())], 0..6),
        ) {
            for secret in [value, parts.concat()] {
                prop_assert_eq!(render("${S}", &[("S", &secret)]).unwrap(), secret.clone());
                prop_assert_eq!(
                    render("<${S}$$${S}>", &[("S", &secret)]).unwrap(),
                    format!("<{secret}${secret}>")
                );
            }
        }

        #[test]
        fn any_text_can_be_written_with_doubled_dollars(text in any::<String>()) {
            prop_assert_eq!(render(&text.replace('$', "$$"), &[]).unwrap(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[${}:?A-]{0,12}") {
            let _ = render(&text, &[]);
        }
    }
}
