//! The operations listener: probes, metrics, what each connector is doing.
//!
//! It has no authentication and shows nothing secret; bind it to a private address. It reads the
//! registry and never touches the store or a provider, so that an outage of those cannot make the
//! process look dead.

mod address;
mod connectors;
mod dashboard;
mod error;
mod probes;
mod router;
mod webhooks;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{DEFAULT_PORT, HttpAddress};
pub use router::Ops;
pub use webhooks::{Hook, Hooks, Public, PublicBindError, PublicOptions, PublicServer};

/// Bound on receiving a request's head, idle time on a kept connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bound on a connection as a whole: a client that reads its answers slowly ends here.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(5);

/// Connections at a time. Beyond it new ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 128;

/// Bytes of a request's head; also what is buffered of a body, which no handler reads.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long answers under way may take once the listener stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after a failed accept, which is nearly always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
        let service = TowerToHyperService::new(router::router(ops));
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut upkeep = interval(crate::telemetry::metrics::UPKEEP_EVERY);
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                _ = upkeep.tick() => {
                    metrics.upkeep();
                    continue;
                }
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let serving = answer(stream, service.clone(), shutdown.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        if timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::debug!("gave up on connections that did not finish");
        }
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        // The semaphore is never closed; if it were, refusing connections is the right answer.
        let place = Arc::clone(places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, place))
    }
}

/// Serves one connection to its end. Errors are the client's: it went away or spoke no HTTP.
async fn answer(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    shutdown: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
        () = sleep(CONNECTION_TIMEOUT) => Ok(()),
    };
    if let Err(error) = ended {
        tracing::trace!(error = %error, "connection to the operations listener ended early");
    }
}
