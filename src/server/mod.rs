//! The operations listener: probes, metrics, what each connector is doing.
//!
//! It has no authentication and shows nothing secret; bind it to a private address. It reads the
//! registry and never touches the store or a provider, so that an outage of those cannot make the
//! process look dead.

mod accept;
mod address;
mod connectors;
mod dashboard;
mod error;
mod probes;
mod router;
mod webhooks;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use accept::Bounds;

pub use address::{DEFAULT_PORT, HttpAddress};
pub use router::Ops;
pub use webhooks::{Hook, Hooks, Public, PublicBindError, PublicOptions, PublicServer};

/// What a connection may take. No handler reads a body, so what is buffered of one is as small.
const BOUNDS: Bounds = Bounds {
    connections: 128,
    head_timeout: Duration::from_secs(10),
    connection_timeout: Duration::from_mins(5),
    head_bytes: 16 * 1024,
    headers: 100,
    drain_timeout: Duration::from_secs(2),
};

/// What to do when the default port is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfTaken {
    /// Warn and run without a listener: a worker's job is not to listen.
    RunWithout,
    /// Take any free port: whoever watches wants the page.
    FreePort,
}

/// The listener could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address}; choose another --http-addr, or `none`")]
pub struct BindError {
    /// The address as asked for.
    pub address: SocketAddr,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

/// A bound listener that does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the listener, or answers `None` when there shall be none.
    pub async fn bind(address: HttpAddress, if_taken: IfTaken) -> Result<Option<Self>, BindError> {
        match address {
            HttpAddress::None => Ok(None),
            HttpAddress::Explicit(address) => Self::listen(address).await.map(Some),
            HttpAddress::Default => {
                let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
                match (Self::listen(wanted).await, if_taken) {
                    (Ok(server), _) => Ok(Some(server)),
                    (Err(_), IfTaken::FreePort) => {
                        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                        Self::listen(free).await.map(Some)
                    }
                    (Err(refused), IfTaken::RunWithout) => {
                        tracing::warn!(
                            error = %refused.source,
                            "cannot listen on {wanted}; running without health and metrics \
                             (set --http-addr to another address, or to none)"
                        );
                        Ok(None)
                    }
                }
            }
        }
    }

    async fn listen(address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`, then lets answers under way finish, for a bounded time.
    pub async fn serve(self, ops: Ops, shutdown: CancellationToken) {
        let metrics = ops.metrics.clone();
        let router = router::router(ops);
        let upkeep = async {
            let mut due = interval(crate::telemetry::metrics::UPKEEP_EVERY);
            loop {
                due.tick().await;
                metrics.upkeep();
            }
        };
        tokio::select! {
            () = accept::serve(self.listener, &BOUNDS, shutdown, |_| router.clone()) => {}
            () = upkeep => {}
        }
    }
}
