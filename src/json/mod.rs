//! JSON as the worker needs it: raw records stay bytes, and a tree is built only on demand.
//!
//! `serde_json` serves what people read; this module serves records, where numbers of any size
//! must arrive as they were sent and where a tree per record would cost more than all the rest.

mod members;
mod parse;
mod pointer;
mod respell;
mod scan;
mod text;
mod value;
mod version;
mod write;

#[cfg(test)]
mod tests;

pub use members::without_nulls;
pub use parse::parse;
pub use pointer::{Pointer, PointerError};
pub use respell::{NOT_A_NUMBER, printed, respell};
pub use scan::{Elements, SyntaxError, elements, elements_with_versions, get, validate};
pub use text::text_of;
pub use value::{Map, Value};
pub use version::{Ignored, canonical_hash, fields_hash, instant_of, time_of};
pub use write::{compact, write_string};
