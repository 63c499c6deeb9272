//! The operations listener of a worker, as a client sees it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant as Clock};

use serde_json::Value;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a worker listens.
#[derive(Clone, Copy)]
pub struct Ops {
    port: u16,
}

impl Ops {
    /// A free port, below those that the system hands out to others meanwhile.
    pub fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let from = std::process::id().wrapping_mul(37);
        loop {
            let number = from.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
            let port = 20_000 + u16::try_from(number).expect("less than 12,000");
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Self { port };
            }
        }
    }

    /// For `--http-addr`.
    pub fn address(self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Status and body; `None` while nobody listens.
    pub fn get(self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The JSON document at `path`; null while nobody listens.
    pub fn json(self, path: &str) -> Value {
        self.get(path)
            .and_then(|(_, body)| serde_json::from_str(&body).ok())
            .unwrap_or_default()
    }

    /// All connectors.
    pub fn connectors(self) -> Vec<Value> {
        let document = self.json("/connectors");
        document["connectors"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// One connector; null when it is not there.
    pub fn connector(self, name: &str) -> Value {
        let mut all = self.connectors().into_iter();
        all.find(|connector| connector["name"] == name)
            .unwrap_or_default()
    }

    /// Waits until all connectors together are as wanted.
    pub fn wait_for(self, what: &str, is_so: impl Fn(&[Value]) -> bool) {
        self.wait_until(what, || is_so(&self.connectors()));
    }

    /// Waits until something holds.
    pub fn wait_until(self, what: &str, mut is_so: impl FnMut() -> bool) {
        let started = Clock::now();
        while !is_so() {
            assert!(
                started.elapsed() < PATIENCE,
                "not so: {what}\n{:#?}",
                self.connectors()
            );
            sleep(Duration::from_millis(20));
        }
    }
}
