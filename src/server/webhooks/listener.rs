//! Accepts public connections: many, each within time and size.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::receive::router;
use super::{Peer, Public};

/// Bound on receiving a request's head, idle time on a kept connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Bound on a connection as a whole; senders that keep theirs make a new one.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(30);

/// Connections at a time. Beyond it new ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 4_096;

/// Bytes of a request's head; larger ones are answered 431.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Headers of a request; more are answered 431.
const MAX_HEADERS: usize = 100;

/// How long deliveries under way may take once the listener stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failed accept, which is nearly always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    // Answers are one small write each.
                    let _ = stream.set_nodelay(true);
                    let service = router.clone().layer(Extension(Peer(peer)));
                    let serving = answer(stream, service, shutdown.clone());
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
            tracing::warn!("gave up on public connections that did not finish");
        }
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok((stream, peer, place))
    }
}

/// Serves one connection to its end. Errors are the client's: it went away or spoke no HTTP.
async fn answer(stream: TcpStream, service: Router, shutdown: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
        () = sleep(CONNECTION_TIMEOUT) => {
            connection.as_mut().graceful_shutdown();
            timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::trace!(error = %error, "public connection ended early");
    }
}
