//! Accepts connections: so many at a time, each within time and size, and lets them finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept, which is nearly always "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the connections of one listener may take.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Connections at a time. Beyond it new ones wait in the listener's queue.
    pub(super) connections: usize,
    /// Bound on receiving a request's head, idle time on a kept connection included.
    pub(super) head_timeout: Duration,
    /// Bound on a connection as a whole; whoever keeps one makes a new one.
    pub(super) connection_timeout: Duration,
    /// Bytes of a request's head; larger ones are answered 431.
    pub(super) head_bytes: usize,
    /// Headers of a request; more are answered 431.
    pub(super) headers: usize,
    /// How long answers under way may take once the listener stops.
    pub(super) drain_timeout: Duration,
}

/// Answers requests with `router_of` their sender until `shutdown`, then lets those under way
/// finish, for a bounded time.
pub(super) async fn serve(
    listener: TcpListener,
    bounds: &'static Bounds,
    shutdown: CancellationToken,
    router_of: impl Fn(SocketAddr) -> Router,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                // Answers are one small write each.
                let _ = stream.set_nodelay(true);
                let answering = answer(stream, router_of(peer), bounds, shutdown.clone());
                connections.spawn(async move {
                    answering.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(bounds.drain_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("gave up on connections that did not finish");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // The semaphore is never closed; if it were, refusing connections is the right answer.
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// Serves one connection to its end. Errors are the client's: it went away or spoke no HTTP.
async fn answer(stream: TcpStream, router: Router, bounds: &Bounds, shutdown: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(bounds.head_bytes)
        .max_headers(bounds.headers)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let over = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(bounds.connection_timeout) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = over => {
            connection.as_mut().graceful_shutdown();
            timeout(bounds.drain_timeout, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::trace!(error = %error, "a connection ended early");
    }
}
