//! The declarative engine: reads streams as a manifest in Airbyte's low-code format describes.

mod auth;
pub mod catalog;
pub mod cursor;
pub mod datetime;
pub mod decode;
pub mod dpath;
mod errors;
mod expr;
pub mod extract;
pub mod fields;
pub mod filter;
pub mod metadata;
pub mod normalize;
mod options;
mod paginate;
pub mod partition;
mod requester;
pub mod resolve;
pub mod select;
pub mod slice;
mod support;
pub mod template;
pub mod transform;
mod tree;
#[cfg(test)]
mod vectors_tests;
