//! The connections that commits travel on, one call at a time.
//!
//! Beside the library's own connection because of what a commit is: a quarter of a megabyte that
//! is written once into the buffer that goes to the socket, and sent again as it is if the answer
//! gets lost; and because what a connection watches is its own. A connection whose call was given
//! up is never used again.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use redis::{Cmd, ConnectionAddr, ErrorKind, RedisError, RedisResult, Value};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::connection::{Endpoint, LONGEST_IDLE};
use super::failure::{Failure, classify};

/// Commits under way at the same time; each connector has one, so more only wait in Redis.
const MOST: usize = 8;

/// Encoded commands.
pub(super) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// No command yet, and room for about `bytes` bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Begins a command of `args` arguments, its name included.
    pub(super) fn command(&mut self, args: usize) {
        self.head(b'*', args);
    }

    /// Appends an argument.
    pub(super) fn arg(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.head(b'$', value.len());
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Appends arguments.
    pub(super) fn args(&mut self, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        for value in values {
            self.arg(value);
        }
    }

    /// Appends a number as text.
    pub(super) fn number(&mut self, value: u64) {
        let mut digits = [0; 20];
        let start = format_digits(value, &mut digits);
        self.arg(&digits[start..]);
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends what [`take_part`](Self::take_part) answered.
    pub(super) fn encoded(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    /// What was encoded so far, to be used again and again.
    pub(super) fn take_part(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn head(&mut self, kind: u8, count: usize) {
        let mut digits = [0; 20];
        let start = format_digits(count as u64, &mut digits);
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&digits[start..]);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// The bytes to send.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Writes decimal digits to the end of `digits`; answers where they begin.
fn format_digits(mut value: u64, digits: &mut [u8; 20]) -> usize {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).expect("a digit is below ten");
        value /= 10;
        if value == 0 {
            return start;
        }
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// One connection.
pub(super) struct Wire {
    socket: Box<dyn Socket>,
    received: Vec<u8>,
}

impl Wire {
    /// Connects and logs in. The caller bounds the time.
    async fn connect(endpoint: &Endpoint) -> RedisResult<Self> {
        let settings = endpoint.target().await?;
        let (host, port, tls) = match settings.addr() {
            ConnectionAddr::Tcp(host, port) => (host, *port, false),
            ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
            _ => return Err((ErrorKind::InvalidClientConfig, "not a TCP address").into()),
        };
        let plain = TcpStream::connect((&**host, port)).await?;
        // A commit is one large write: nothing is gained by waiting for more.
        plain.set_nodelay(true)?;
        let socket: Box<dyn Socket> = if tls {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(endpoint.tls());
            Box::new(connector.connect(name, plain).await?)
        } else {
            Box::new(plain)
        };
        let mut wire = Self {
            socket,
            received: Vec::with_capacity(1024),
        };
        let login = settings.redis_settings();
        if let Some(password) = login.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(name) = login.username() {
                auth.arg(name);
            }
            wire.ask(auth.arg(password)).await.map_err(|error| {
                // As the library says it, so that both read the same.
                RedisError::from((
                    ErrorKind::AuthenticationFailed,
                    "the server did not accept the password",
                    error.code().unwrap_or_default().to_owned(),
                ))
            })?;
        }
        if login.db() != 0 {
            wire.ask(redis::cmd("SELECT").arg(login.db())).await?;
        }
        // A server that takes no more clients says so now, and not in place of an answer.
        match wire.ask(&redis::cmd("PING")).await {
            Err(error) if classify(&error) != Failure::Refused => Err(error),
            _ => Ok(wire),
        }
    }

    async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.call(&command.get_packed_command()).await
    }

    /// Sends a command and reads its answer. Dropped in between, the connection is of no more use.
    pub(super) async fn call(&mut self, request: &[u8]) -> RedisResult<Value> {
        let mut answer = None;
        self.send(&[request]).await?;
        self.receive(1, |bytes| answer = Some(parsed(bytes)))
            .await?;
        self.is_done()?;
        answer.unwrap_or(Ok(Value::Nil))
    }

    /// Sends commands, in any number of parts. Dropped in between, the connection is of no more
    /// use.
    pub(super) async fn send(&mut self, parts: &[&[u8]]) -> RedisResult<()> {
        for part in parts {
            self.socket.write_all(part).await?;
        }
        Ok(self.socket.flush().await?)
    }

    /// Passes on the next answers, undecoded: most need only a look at their first byte.
    pub(super) async fn receive(
        &mut self,
        answers: usize,
        each: impl FnMut(&[u8]),
    ) -> RedisResult<()> {
        let nothing = std::future::pending::<&[u8]>();
        self.receive_sending(answers, each, nothing).await.map(drop)
    }

    /// As [`receive`](Self::receive); meanwhile sends what `more` comes to. Answers whether it
    /// did.
    pub(super) async fn receive_sending<'m>(
        &mut self,
        answers: usize,
        mut each: impl FnMut(&[u8]),
        more: impl Future<Output = &'m [u8]>,
    ) -> RedisResult<bool> {
        let mut more = std::pin::pin!(more);
        let mut is_sent = false;
        let (mut at, mut left) = (0, answers);
        while left > 0 {
            let rest = &self.received[at..];
            if let Some(length) = complete(rest)? {
                each(&rest[..length]);
                at += length;
                left -= 1;
                continue;
            }
            tokio::select! {
                read = self.socket.read_buf(&mut self.received) => if read? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                },
                more = &mut more, if !is_sent => {
                    is_sent = true;
                    self.send(&[more]).await?;
                }
            }
        }
        self.received.drain(..at);
        Ok(is_sent)
    }

    /// An error if there is anything that nobody asked for.
    pub(super) fn is_done(&self) -> RedisResult<()> {
        if self.received.is_empty() {
            Ok(())
        } else {
            Err((ErrorKind::Parse, "more answers than commands").into())
        }
    }
}

/// An answer as a value, or the error that it is.
pub(super) fn parsed(answer: &[u8]) -> RedisResult<Value> {
    redis::parse_redis_value(answer)?.extract_error()
}

/// Length of the first answer in `bytes`, once all of it is there.
fn complete(bytes: &[u8]) -> RedisResult<Option<usize>> {
    let mut at = 0;
    let mut expected = 1_usize;
    while expected > 0 {
        expected -= 1;
        let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else {
            return Ok(None);
        };
        let line = &bytes[at..at + end];
        at += end + 1;
        let count = || {
            std::str::from_utf8(line.get(1..)?.trim_ascii())
                .ok()?
                .parse::<i64>()
                .ok()
        };
        match line.first() {
            Some(b'+' | b'-' | b':') => {}
            Some(kind @ (b'$' | b'*')) => {
                let count = count().ok_or((ErrorKind::Parse, "a length that is no number"))?;
                // Negative: nil.
                let count = usize::try_from(count).unwrap_or_default();
                if *kind == b'*' {
                    expected = expected.saturating_add(count);
                } else if !line.starts_with(b"$-") {
                    at = at.saturating_add(count).saturating_add(2);
                    if at > bytes.len() {
                        return Ok(None);
                    }
                }
            }
            _ => return Err((ErrorKind::Parse, "an answer of an unknown kind").into()),
        }
    }
    Ok(Some(at))
}

/// Connections that wait for the next commit.
pub(super) struct Wires {
    endpoint: Endpoint,
    /// Each with the time of its last use; the last one used is at the end.
    idle: Mutex<Vec<(Instant, Wire)>>,
    room: Arc<Semaphore>,
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl Wires {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            idle: Mutex::new(Vec::new()),
            room: Arc::new(Semaphore::new(MOST)),
        }
    }

    /// A connection for one commit; made if none is idle. Holds a place until it is returned or
    /// dropped.
    pub(super) async fn take(&self) -> RedisResult<Taken> {
        let place = (self.room.clone().acquire_owned().await)
            .map_err(|_| RedisError::from((ErrorKind::Client, "the store is closed")))?;
        let idle = {
            let mut idle = self.idle();
            idle.retain(|(used, _)| used.elapsed() < LONGEST_IDLE);
            idle.pop()
        };
        let wire = match idle {
            Some((_, wire)) => wire,
            None => Wire::connect(&self.endpoint).await?,
        };
        Ok(Taken {
            wire,
            _place: place,
        })
    }

    /// Whether a commit would get a connection at once.
    pub(super) fn has_room(&self) -> bool {
        self.room.available_permits() > 0
    }

    /// Keeps a connection whose last call was answered.
    pub(super) fn put_back(&self, taken: Taken) {
        self.idle().push((Instant::now(), taken.wire));
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Wire)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use.
pub(super) struct Taken {
    pub(super) wire: Wire,
    _place: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_library_would_send() {
        let mut request = Request::with_capacity(20);
        request.command(4);
        request.arg("EVALSHA");
        request.arg(b"\r\n\0");
        request.number(0);
        request.number(u64::MAX);
        let mut command = redis::cmd("EVALSHA");
        command.arg(&b"\r\n\0"[..]).arg(0).arg(u64::MAX);
        assert_eq!(request.into_bytes(), command.get_packed_command());
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        for answer in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":1234\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "$0\r\n\r\n",
            "*0\r\n",
            "$5\r\nab\r\nc\r\n",
            "*3\r\n$2\r\nOK\r\n:1\r\n*2\r\n+a\r\n$-1\r\n",
        ] {
            let bytes = answer.as_bytes();
            for end in 0..bytes.len() {
                assert_eq!(complete(&bytes[..end]), Ok(None), "{answer:?} to {end}");
            }
            assert_eq!(complete(bytes), Ok(Some(bytes.len())), "{answer:?}");
            let two = [bytes, b"+OK\r\n"].concat();
            assert_eq!(complete(&two), Ok(Some(bytes.len())), "{answer:?}");
        }
        for broken in ["HTTP/1.1 400\r\n", "$x\r\n", "*\r\n", "\r\n"] {
            assert!(complete(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }
}
