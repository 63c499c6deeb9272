//! Accepts public connections: many, each within time and size.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::receive::router;
use super::{Peer, Public};
use crate::server::accept::{self, Bounds};

/// Bytes of a request's head; larger ones are answered 431.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// What a connection may take.
const BOUNDS: Bounds = Bounds {
    connections: 4_096,
    head_timeout: Duration::from_secs(15),
    connection_timeout: Duration::from_mins(30),
    head_bytes: MAX_HEAD_BYTES,
    headers: 100,
    drain_timeout: Duration::from_secs(10),
};

/// The listener could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address}; choose another --listen")]
pub struct PublicBindError {
    /// The address as asked for.
    pub address: SocketAddr,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

/// A bound listener that does not answer yet.
#[derive(Debug)]
pub struct PublicServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl PublicServer {
    /// Opens the listener.
    pub async fn bind(address: SocketAddr) -> Result<Self, PublicBindError> {
        let failed = |source| PublicBindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes deliveries until `shutdown`, then finishes those under way, for a bounded time.
    pub async fn serve(self, public: Public, shutdown: CancellationToken) {
        let router = router(public);
        let router_of = |peer| router.clone().layer(Extension(Peer(peer)));
        accept::serve(self.listener, &BOUNDS, shutdown, router_of).await;
    }
}
