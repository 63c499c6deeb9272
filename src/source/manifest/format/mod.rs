//! The format as a table: every component, its fields, what they hold and where their templates
//! stand. Lint checks manifests against it, the JSON Schema for editors is made from it, and the
//! tests hold it to what the engine runs.
//!
//! A new component is one struct that builds and runs, one `match` arm where its family is built,
//! and one entry here.
#![allow(
    clippy::enum_glob_use,
    reason = "the tables read as tables without a prefix in every line"
)]

mod auth;
mod cursor;
mod decode;
mod dynamic;
mod errors;
mod paging;
mod partition;
pub(super) mod place;
mod rate;
mod records;
mod request;
mod root;
mod schema;
mod stream;
mod transform;

pub use place::Place;

/// One type of component.
#[derive(Debug)]
pub struct Component {
    /// Its `type`.
    pub name: &'static str,
    /// What it does, for editors.
    pub doc: &'static str,
    /// What it may hold besides `type` and `$parameters`.
    pub fields: &'static [Field],
    /// Whether other fields are its own affair, too.
    pub open: bool,
    /// Whether this worker runs it. A stream that reaches one that it does not is unavailable.
    pub runs: bool,
}

/// One field of a component.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for, for editors.
    pub doc: &'static str,
    /// What it is where it is absent, as JSON.
    pub default: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One component of one of these types.
    Component(&'static [&'static str]),
    /// A list of them.
    Components(&'static [&'static str]),
    /// One of them, or a list.
    ComponentOrList(&'static [&'static str]),
    /// A map of names to them.
    ComponentMap(&'static [&'static str]),
    /// One of them, or a template.
    ComponentOrTemplate(&'static [&'static str], Place),
    /// One of them, or a list of texts.
    TextsOrComponent(&'static [&'static str]),
    /// A template; numbers and truth values are ones that say just that.
    Template(Place),
    /// A whole number, or a template that gives one.
    Count(Place),
    /// A number, or a template that gives one.
    Amount(Place),
    /// Text that is no template.
    Text,
    /// `true` or `false`
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// One of these texts, or one of these components.
    ChoiceOrComponent(&'static [&'static str], &'static [&'static str]),
    /// One component, whose `type` is an alias of a type here.
    Variant(&'static [(&'static str, &'static str)]),
    /// A list of texts that are no templates.
    Texts,
    /// A list of whole numbers.
    Integers,
    /// A path into a JSON document: a list of templates.
    Path(Place),
    /// A list of paths.
    Paths(Place),
    /// A template, or a list of texts.
    TemplateOrTexts(Place),
    /// A map of templates to templates. A value may also be one of these components.
    Templates(Place, &'static [&'static str]),
    /// Any JSON, every text of which is a template.
    Json(Place),
    /// How dates are spelled, in directives of `strftime` and those of the reference.
    DateFormat,
    /// A list of them.
    DateFormats,
    /// An ISO 8601 duration, or a template that gives one.
    Duration(Place),
    /// A regular expression.
    Regex,
    /// A JSON Schema.
    Schema,
    /// A field, a list of fields, or a list of paths.
    Key,
    /// Whatever the author likes.
    Any,
}

const FAMILIES: [&[Component]; 14] = [
    root::COMPONENTS,
    stream::COMPONENTS,
    dynamic::COMPONENTS,
    request::COMPONENTS,
    auth::COMPONENTS,
    errors::COMPONENTS,
    paging::COMPONENTS,
    records::COMPONENTS,
    decode::COMPONENTS,
    partition::COMPONENTS,
    cursor::COMPONENTS,
    transform::COMPONENTS,
    schema::COMPONENTS,
    rate::COMPONENTS,
];

/// Every component of the format, family by family.
pub fn components() -> impl Iterator<Item = &'static Component> {
    FAMILIES.into_iter().flatten()
}

/// The component of this type.
pub fn component(name: &str) -> Option<&'static Component> {
    components().find(|component| component.name == name)
}

/// Types of authenticators.
pub fn authenticators() -> &'static [&'static str] {
    auth::NAMES
}

/// Whether the type is one of somebody's Python classes.
pub fn is_custom(name: &str) -> bool {
    name.starts_with("Custom")
}

impl Component {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// As JSON, where the field has one.
    pub fn default_value(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.default?).ok()
    }

    /// The same field with a default, written as JSON.
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

const fn of(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Component {
    Component {
        name,
        doc,
        fields,
        open: false,
        runs: true,
    }
}

/// A component that is known, so that manifests with it are checked, but that does not run.
const fn idle(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Component {
    Component {
        runs: false,
        ..of(name, doc, fields)
    }
}

const CUSTOM: &[Field] = &[req("class_name", Kind::Text, "Name of the class.")];

const fn custom(name: &'static str) -> Component {
    Component {
        name,
        doc: "A Python class of somebody's own: this worker runs none.",
        fields: CUSTOM,
        open: true,
        runs: false,
    }
}

const fn opt(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required: false,
        doc,
        default: None,
    }
}

const fn req(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        required: true,
        ..opt(name, kind, doc)
    }
}

impl Kind {
    /// Component types that may stand there.
    pub fn types(self) -> &'static [&'static str] {
        match self {
            Self::Component(types)
            | Self::Components(types)
            | Self::ComponentOrList(types)
            | Self::ComponentMap(types)
            | Self::ComponentOrTemplate(types, _)
            | Self::TextsOrComponent(types)
            | Self::ChoiceOrComponent(_, types)
            | Self::Templates(_, types) => types,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_type_that_a_field_names_is_in_the_table() {
        let mut seen = HashSet::new();
        for component in components() {
            assert!(seen.insert(component.name), "{} twice", component.name);
            let mut fields = HashSet::new();
            for field in component.fields {
                assert!(
                    fields.insert(field.name),
                    "{}.{}",
                    component.name,
                    field.name
                );
                for name in field.kind.types() {
                    assert!(super::component(name).is_some(), "{name}");
                }
                if let Some(default) = field.default {
                    assert!(field.default_value().is_some(), "{default}");
                }
            }
        }
    }
}
