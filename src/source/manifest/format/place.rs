//! Where a template stands decides which variables it sees.

/// A place of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What is known before anything is read.
    Config,
    /// Address, query, headers and body of a request.
    Request,
    /// Where the next page is.
    Page,
    /// A field that is made of a record.
    Record,
    /// Whether such a field is added.
    Added,
    /// Whether a field is removed.
    Property,
    /// Whether a record is kept.
    Filter,
    /// What an answer means. The configuration is there, but empty.
    Predicate,
    /// What is said about an answer, or taken from it.
    Answer,
    /// A login's token.
    Session,
    /// A value that goes into a stream's template.
    Mapping,
    /// What a schema's type becomes.
    RawSchema,
}

const CONFIG: [&str; 2] = ["config", "parameters"];
const SLICE: [&str; 3] = ["stream_slice", "stream_partition", "stream_interval"];
const TOKEN: [&str; 1] = ["next_page_token"];

impl Place {
    /// The variables that templates see there.
    pub fn variables(self) -> Vec<&'static str> {
        let more: &[&[&'static str]] = match self {
            Self::Config => &[],
            Self::Request => &[&SLICE, &TOKEN],
            Self::Page => &[
                &[
                    "response",
                    "headers",
                    "last_record",
                    "last_page_size",
                    "page_size",
                ],
                &SLICE,
                &TOKEN,
            ],
            Self::Record | Self::Filter => &[&["record"], &SLICE, &TOKEN],
            Self::Added => &[&["record", "value", "path"], &SLICE, &TOKEN],
            Self::Property => &[&["property"], &SLICE, &TOKEN],
            Self::Predicate | Self::Answer => &[&["response", "headers", "request_url"]],
            Self::Session => &[&["session_token"]],
            Self::Mapping => &[&["components_values", "stream_template_config"], &SLICE],
            Self::RawSchema => &[&["raw_schema"]],
        };
        let mut names = CONFIG.to_vec();
        names.extend(more.iter().copied().flatten());
        names
    }

    /// In words, after "here: ".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Config => "the configuration",
            Self::Request => "a request",
            Self::Page => "a page",
            Self::Record | Self::Added | Self::Property => "a record",
            Self::Filter => "a record filter",
            Self::Predicate | Self::Answer => "an answer",
            Self::Session => "a login",
            Self::Mapping => "a stream's template",
            Self::RawSchema => "a schema",
        }
    }
}

/// Variables of requests that belong to a job of the provider.
pub(in crate::source::manifest) const JOB: [&str; 3] =
    ["creation_response", "polling_response", "download_target"];
