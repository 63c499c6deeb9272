//! What a template sees: names bound to borrowed values.

use crate::clock::Clock;
use crate::json::{Map, Value};

/// The variables of one evaluation. Cheap to build: it borrows everything.
///
/// `stream_slice` is also seen as `stream_interval` and `stream_partition`.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    clock: Clock,
    bindings: Vec<(&'a str, Binding<'a>)>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
pub enum Binding<'a> {
    /// Present, but Python's `None`.
    None,
    /// A JSON value; objects are dicts, arrays lists.
    Json(&'a Value),
    /// A dict.
    Map(&'a Map),
    /// A dict whose keys match whatever their case: the headers of an error predicate.
    Headers(&'a Map),
    /// Text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// The slice that is being read.
    Slice(SliceView<'a>),
}

/// The parts of a slice. As a dict it has the keys of `partition` and `cursor`; `.partition`,
/// `.cursor_slice` and `.extra_fields` are its attributes.
#[derive(Debug, Clone, Copy)]
pub struct SliceView<'a> {
    /// Keys of the partition routers, `parent_slice` among them.
    pub partition: &'a Map,
    /// Keys of the cursor: `start_time`, `end_time`.
    pub cursor: &'a Map,
    /// Fields of the parent record that the router was asked to keep.
    pub extra_fields: &'a Map,
}

impl<'a> Context<'a> {
    /// A context without variables.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            bindings: Vec::new(),
        }
    }

    /// The same context with one more variable; a later binding of the same name wins.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Binding<'a>>) -> Self {
        self.set(name, value);
        self
    }

    /// Binds a variable.
    pub fn set(&mut self, name: &'a str, value: impl Into<Binding<'a>>) {
        let value = value.into();
        match self.bindings.iter_mut().find(|(bound, _)| *bound == name) {
            Some(entry) => entry.1 = value,
            None => self.bindings.push((name, value)),
        }
    }

    /// What `name` stands for; `None` if the place does not offer it.
    pub fn get(&self, name: &str) -> Option<Binding<'a>> {
        let name = match name {
            "stream_interval" | "stream_partition" => "stream_slice",
            name => name,
        };
        self.bindings
            .iter()
            .find(|(bound, _)| *bound == name)
            .map(|(_, value)| *value)
    }

    /// Where `now_utc()` comes from.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

impl<'a> From<&'a Value> for Binding<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Json(value)
    }
}

impl<'a> From<Option<&'a Value>> for Binding<'a> {
    fn from(value: Option<&'a Value>) -> Self {
        value.map_or(Self::None, Self::Json)
    }
}

impl<'a> From<&'a Map> for Binding<'a> {
    fn from(map: &'a Map) -> Self {
        Self::Map(map)
    }
}

impl<'a> From<&'a str> for Binding<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Binding<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'a> From<SliceView<'a>> for Binding<'a> {
    fn from(slice: SliceView<'a>) -> Self {
        Self::Slice(slice)
    }
}
