//! Connections: which there are, how they are made, and when they are replaced.
//!
//! Commits ([`wire`](super::wire)) and renewals have connections of their own, so that a large
//! commit does not delay a renewal and a slow listing of versions delays neither. A connection that broke is replaced at
//! the next call; the library's own reconnecting is not used, because it hides when it happens.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, Pipeline, RedisError, RedisResult, Value,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::failure::{Failure, classify};
use super::scripts::Script;
use super::sentinel;
use crate::client::install_crypto_provider;
use crate::store::address::SentinelAddress;
use crate::store::{StoreAddress, StoreError};

/// Bound on making a connection, name resolution and greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bound on an answer where the caller has no tighter one. Long enough for a disk that stalls.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is replaced and not used: what stands between here and
/// Redis may have forgotten it without a word (clouds do after four to six minutes), and finding
/// out would cost a timeout.
pub(super) const LONGEST_IDLE: Duration = Duration::from_mins(1);

/// Where Redis is and how to log in. `Debug` hides the credentials.
#[derive(Clone)]
pub(super) struct Endpoint {
    server: ConnectionInfo,
    /// Who knows where the server is, if it may move.
    sentinels: Option<Arc<SentinelAddress>>,
    address: Arc<str>,
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Endpoint {
    /// One server. Connects to nothing.
    pub(super) fn direct(url: &url::Url) -> Result<Self, StoreError> {
        Self::new(url, StoreAddress::Redis(url.clone()).to_string(), None)
    }

    /// The server that sentinels name. Connects to nothing.
    pub(super) fn watched(sentinels: &SentinelAddress) -> Result<Self, StoreError> {
        Self::new(
            &sentinels.server,
            sentinels.to_string(),
            Some(Arc::new(sentinels.clone())),
        )
    }

    fn new(
        url: &url::Url,
        address: String,
        sentinels: Option<Arc<SentinelAddress>>,
    ) -> Result<Self, StoreError> {
        // The error is not passed on: it could repeat part of the URL.
        let server = url.clone().into_connection_info().map_err(|error| {
            StoreError::Misconfigured(format!(
                "cannot use the address {address}: {}",
                error.category()
            ))
        })?;
        if url.scheme() == "rediss" {
            // Without one the first handshake panics; `main` has installed it, tests may not have.
            install_crypto_provider();
        }
        Ok(Self {
            server,
            sentinels,
            address: address.into(),
            tls: Arc::default(),
        })
    }

    /// Host and port as of now, credentials, database.
    pub(super) async fn target(&self) -> RedisResult<ConnectionInfo> {
        let Some(sentinels) = &self.sentinels else {
            return Ok(self.server.clone());
        };
        let (host, port) = sentinel::master(sentinels).await?;
        let tls = matches!(self.server.addr(), ConnectionAddr::TcpTls { .. });
        Ok(self.server.clone().set_addr(sentinel::at(&host, port, tls)))
    }

    /// TLS with the machine's certificates, or those that `SSL_CERT_FILE` names: what the library
    /// uses for its own connections.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        let roots = || {
            let mut roots = RootCertStore::empty();
            let (_, ignored) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if ignored > 0 {
                tracing::debug!(ignored, "certificates that cannot be read");
            }
            roots
        };
        let config = self.tls.get_or_init(|| {
            let config = ClientConfig::builder().with_root_certificates(roots());
            Arc::new(config.with_no_client_auth())
        });
        Arc::clone(config)
    }

    /// Without credentials.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A connection whose calls fail after `response_timeout`; `None`: the caller bounds them.
    pub(super) async fn connect(
        &self,
        response_timeout: Option<Duration>,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(response_timeout);
        // The library bounds only some of the steps.
        timeout(CONNECT_TIMEOUT, async {
            Client::open(self.target().await?)?
                .get_multiplexed_async_connection_with_config(&config)
                .await
        })
        .await
        .unwrap_or_else(|_| Err(silent()))
    }

    /// A connection that hears the channels that match `pattern`.
    pub(super) async fn subscribe(&self, pattern: &str) -> RedisResult<PubSub> {
        timeout(CONNECT_TIMEOUT, async {
            let client = Client::open(self.target().await?)?;
            let mut subscription = client.get_async_pubsub().await?;
            subscription.psubscribe(pattern).await?;
            Ok(subscription)
        })
        .await
        .unwrap_or_else(|_| Err(silent()))
    }
}

/// The error of a server that does not answer in time.
pub(super) fn silent() -> RedisError {
    RedisError::from((ErrorKind::Io, "no answer in time"))
}

/// One connection, made when it is first needed and again after it broke. Calls of many callers
/// travel on it together.
#[derive(Debug)]
pub(super) struct Link {
    endpoint: Endpoint,
    current: Mutex<Option<Current>>,
    made: AtomicU64,
}

#[derive(Debug)]
struct Current {
    number: u64,
    connection: MultiplexedConnection,
    used: Instant,
}

impl Link {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            current: Mutex::new(None),
            made: AtomicU64::new(0),
        }
    }

    /// The connection and its number.
    pub(super) async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut current = self.current.lock().await;
        if let Some(current) = &mut *current
            && current.used.elapsed() < LONGEST_IDLE
        {
            current.used = Instant::now();
            return Ok((current.number, current.connection.clone()));
        }
        let connection = self.endpoint.connect(Some(RESPONSE_TIMEOUT)).await?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        *current = Some(Current {
            number,
            connection: connection.clone(),
            used: Instant::now(),
        });
        Ok((number, connection))
    }

    /// Forgets the connection with this number, unless another caller has replaced it already.
    pub(super) async fn discard(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|held| held.number == number) {
            *current = None;
        }
    }

    /// Sends `command` and waits at most `patience` for the answer.
    ///
    /// A command that ran into a broken connection is sent once more on a new one: callers pass
    /// only commands that may be repeated.
    pub(super) async fn call(&self, command: &Cmd, patience: Duration) -> RedisResult<Value> {
        match self.call_once(command, patience).await {
            Err(error) if is_broken(&error) => self.call_once(command, patience).await,
            answer => answer,
        }
    }

    async fn call_once(&self, command: &Cmd, patience: Duration) -> RedisResult<Value> {
        let mut number = None;
        let answer = timeout(patience, async {
            let (used, mut connection) = self.connection().await?;
            number = Some(used);
            command.query_async::<Value>(&mut connection).await
        });
        let answer = answer.await.unwrap_or_else(|_| Err(silent()));
        self.replace_if_broken(number, answer.as_ref().err()).await;
        answer
    }

    async fn replace_if_broken(&self, number: Option<u64>, error: Option<&RedisError>) {
        if let (Some(number), Some(error)) = (number, error)
            && matches!(classify(error), Failure::Ambiguous | Failure::Transient)
        {
            self.discard(number).await;
        }
    }

    /// Calls a script, telling the server the script first if it does not know it.
    pub(super) async fn run(
        &self,
        script: &Script,
        command: &Cmd,
        patience: Duration,
    ) -> RedisResult<Value> {
        match self.call(command, patience).await {
            Err(error) if classify(&error) == Failure::NoScript => {
                self.call(&script.load(), patience).await?;
                self.call(command, patience).await
            }
            answer => answer,
        }
    }

    /// Sends several commands at once; answers theirs in order. Repeated like [`call`](Self::call).
    pub(super) async fn pipe(
        &self,
        pipeline: &Pipeline,
        patience: Duration,
    ) -> RedisResult<Vec<Value>> {
        match self.pipe_once(pipeline, patience).await {
            Err(error) if is_broken(&error) => self.pipe_once(pipeline, patience).await,
            answer => answer,
        }
    }

    async fn pipe_once(&self, pipeline: &Pipeline, patience: Duration) -> RedisResult<Vec<Value>> {
        let mut number = None;
        let answer = timeout(patience, async {
            let (used, mut connection) = self.connection().await?;
            number = Some(used);
            pipeline.query_async::<Vec<Value>>(&mut connection).await
        });
        let answer = answer.await.unwrap_or_else(|_| Err(silent()));
        self.replace_if_broken(number, answer.as_ref().err()).await;
        answer
    }
}

/// Whether a new connection may help at once; one that was silent has cost enough time.
fn is_broken(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_timeout() && *error != silent()
}
