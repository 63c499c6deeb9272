//! The declarative engine: reads streams as a manifest in Airbyte's low-code format describes.

pub mod catalog;
pub mod datetime;
pub mod fields;
pub mod resolve;
pub mod template;
#[cfg(test)]
mod vectors_tests;
