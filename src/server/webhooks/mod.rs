//! The public listener: receives deliveries, and answers 2xx only when they are durable.
//!
//! Everything before the queue is bounded: connections, heads, bodies, their bytes together, time,
//! and requests per address and connector. What arrives is a stranger's until its signature says
//! otherwise, and a stranger learns nothing but a status.

mod address;
mod answer;
mod appender;
mod hooks;
mod issuer;
mod limits;
mod listener;
mod receive;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::registry::ConnectorRegistry;

pub use hooks::{Hook, Hooks};
pub use listener::{PublicBindError, PublicServer};

use limits::RateLimits;

/// Bytes of bodies that are read at the same time.
const MAX_BODY_BYTES_TOGETHER: usize = 256 << 20;

/// Bytes of one permit of the bound on bodies.
const PERMIT_BYTES: usize = 1 << 10;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct PublicOptions {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests per second of one address.
    pub per_address: u32,
    /// Requests per second of one connector.
    pub per_connector: u32,
    /// Bound on receiving a body.
    pub body_timeout: Duration,
}

/// What the handlers share.
#[derive(Clone)]
pub struct Public {
    pub(super) hooks: Hooks,
    pub(super) registry: ConnectorRegistry,
    pub(super) clock: Clock,
    options: Arc<PublicOptions>,
    addresses: Arc<RateLimits<std::net::IpAddr>>,
    connectors: Arc<RateLimits<Arc<str>>>,
    bodies: Arc<Semaphore>,
}

impl Public {
    /// A receiver for `hooks`.
    pub fn new(
        hooks: Hooks,
        registry: ConnectorRegistry,
        clock: Clock,
        options: PublicOptions,
    ) -> Self {
        Self {
            hooks,
            registry,
            clock,
            addresses: Arc::new(RateLimits::new(options.per_address)),
            connectors: Arc::new(RateLimits::new(options.per_connector)),
            bodies: Arc::new(Semaphore::new(MAX_BODY_BYTES_TOGETHER / PERMIT_BYTES)),
            options: Arc::new(options),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);
