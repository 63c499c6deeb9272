//! A provider on loopback: real recorded weather alerts and Jira issues that change over time,
//! with the refusals and failures of real providers.
//!
//! It answers as `api.weather.gov` and Jira Cloud do where the two built-in manifests look, and
//! it keeps a [`Ledger`] of every version it ever served, so that a demonstration or a test can
//! prove what reached the output stream.

mod alerts;
mod issues;
mod ledger;
mod routes;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use ledger::{Ledger, Proof};

use world::{Listing, World};

/// User name that the sandbox's Jira accepts.
pub const EMAIL: &str = "demo@example.com";
/// API token that the sandbox's Jira accepts.
pub const API_TOKEN: &str = "sandbox-token";

/// How the sandbox behaves.
#[derive(Debug, Clone, Copy)]
pub struct SandboxOptions {
    /// Decides which changes happen and in which order.
    pub seed: u64,
    /// Time between two changes; `None`: only [`Sandbox::step`] changes anything.
    pub change_every: Option<Duration>,
    /// Whether some requests are answered 429 or 500.
    pub faults: bool,
}

impl Default for SandboxOptions {
    /// Lively and faulty, as the demonstration wants it.
    fn default() -> Self {
        Self {
            seed: 1,
            change_every: Some(Duration::from_millis(1500)),
            faults: true,
        }
    }
}

/// A running sandbox; stops when dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    world: Shared,
    _server: JoinSet<()>,
}

type Shared = Arc<Mutex<World>>;

impl Sandbox {
    /// Serves on a free port of loopback.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let world = Arc::new(Mutex::new(World::new(options)));
        let router = routes::router(Arc::clone(&world));
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox stopped");
            }
        });
        Ok(Self {
            address,
            world,
            _server: server,
        })
    }

    /// `http://127.0.0.1:PORT`, the `baseUrl` of both providers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes one change to each provider's records now.
    pub fn step(&self) {
        let mut world = lock(&self.world);
        world.step(Listing::Alerts);
        world.step(Listing::Issues);
    }

    /// From now on nothing changes by itself and nothing fails.
    pub fn freeze(&self) {
        lock(&self.world).freeze();
    }

    /// What was served so far.
    pub fn ledger(&self) -> Ledger {
        lock(&self.world).ledger.clone()
    }

    /// Requests answered so far.
    pub fn requests(&self) -> Requests {
        lock(&self.world).requests
    }
}

/// How many requests were answered, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    /// Complete listings of alerts.
    pub alert_listings: u64,
    /// Pages of issues.
    pub issue_pages: u64,
    /// Answers 304.
    pub not_modified: u64,
    /// Answers 429.
    pub limited: u64,
    /// Answers 500.
    pub failed: u64,
}

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    // A panic in one handler must not take the sandbox down: a half-made change is a change too.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
