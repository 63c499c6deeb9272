//! One request of a provider, and whether it is known to come from there.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;

/// A request to a connector's address. `S` says whether it is trusted.
#[derive(Clone)]
pub struct Delivery<S> {
    /// Method of the request.
    pub method: Method,
    /// Path of the request as its sender knows it.
    pub path: String,
    /// What stands behind `?`.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it was received, byte for byte.
    pub body: Bytes,
    /// When it was received.
    pub received: Timestamp,
    trust: PhantomData<S>,
}

/// Anybody may have sent it.
#[derive(Debug, Clone, Copy)]
pub enum Unverified {}

/// Sent by who knows the secret. Made by verification alone.
#[derive(Debug, Clone, Copy)]
pub enum Verified {}

impl Delivery<Unverified> {
    /// What a stranger sent.
    pub fn new(
        method: Method,
        (path, query): (&str, Option<&str>),
        headers: HeaderMap,
        body: Bytes,
        received: Timestamp,
    ) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers,
            body,
            received,
            trust: PhantomData,
        }
    }
}

impl<S> Delivery<S> {
    pub(super) fn with_trust<T>(self) -> Delivery<T> {
        Delivery {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: self.headers,
            body: self.body,
            received: self.received,
            trust: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Delivery<S> {
    /// Headers, query and body may hold secrets and personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} bytes)", self.body.len())
    }
}
