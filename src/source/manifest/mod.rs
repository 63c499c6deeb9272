//! The declarative engine: reads streams as a manifest in Airbyte's low-code format describes.

pub mod catalog;
pub mod datetime;
pub mod decode;
pub mod dpath;
pub mod extract;
pub mod fields;
pub mod filter;
pub mod normalize;
pub mod resolve;
pub mod select;
pub mod template;
pub mod transform;
#[cfg(test)]
mod vectors_tests;
