//! A TCP proxy that cuts a connection at a chosen moment.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Where a connection is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Half of the packet that holds the marker arrives, then the connection is gone.
    MidRequest,
    /// So many bytes arrive, counted from the packet that holds the marker, then the connection is
    /// gone.
    AfterBytes(usize),
    /// The server gets everything and executes it; the answer does not come back.
    BeforeReply,
    /// As `BeforeReply`, but the connection stays open and silent.
    Silence,
    /// Nothing is cut, but this and what follows it on the connection arrives late.
    Late(Duration),
}

/// What is waited for, until it has come.
type Armed = Mutex<Option<(Cut, Vec<u8>)>>;

/// Passes connections on to a server until it is told to cut one.
pub struct Proxy {
    address: SocketAddr,
    armed: Arc<Armed>,
}

impl Proxy {
    /// Listens on a free port and forwards to `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&armed);
        // Ends with the process: a test has a handful of connections at most.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let silent = Arc::new(Mutex::new(false));
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let quiet = Arc::clone(&silent);
                thread::spawn(move || pass_answers(from, to, &quiet));
                let armed = Arc::clone(&shared);
                thread::spawn(move || pass_requests(client, server, &armed, &silent));
            }
        });
        Self { address, armed }
    }

    /// `redis://…` of the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Cuts the next connection whose request holds `marker`.
    pub fn cut_at(&self, cut: Cut, marker: &[u8]) {
        *self.armed.lock().unwrap() = Some((cut, marker.to_vec()));
    }

    /// Whether the cut has happened.
    pub fn has_cut(&self) -> bool {
        self.armed.lock().unwrap().is_none()
    }
}

fn pass_requests(
    mut client: TcpStream,
    mut server: TcpStream,
    armed: &Armed,
    silent: &Mutex<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = None;
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let request = &buffer[..length];
        match hit(armed, request) {
            Some(Cut::MidRequest) => left = Some(length / 2),
            Some(Cut::AfterBytes(count)) => left = Some(count),
            Some(Cut::BeforeReply) => {
                *silent.lock().unwrap() = true;
                let _ = server.write_all(request);
                // Closing at once could make the server drop what it has not read yet.
                thread::sleep(Duration::from_millis(50));
                break;
            }
            Some(Cut::Silence) => *silent.lock().unwrap() = true,
            Some(Cut::Late(delay)) => thread::sleep(delay),
            None => {}
        }
        let passed = left.unwrap_or(length).min(length);
        if server.write_all(&request[..passed]).is_err() {
            break;
        }
        if let Some(count) = &mut left {
            *count -= passed;
            if *count == 0 {
                break;
            }
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// What to do from this packet on, if it is the one that was waited for.
fn hit(armed: &Armed, request: &[u8]) -> Option<Cut> {
    let mut armed = armed.lock().unwrap();
    let (_, marker) = armed.as_ref()?;
    let is_hit = request
        .windows(marker.len())
        .any(|bytes| bytes == &marker[..]);
    if is_hit {
        armed.take().map(|(cut, _)| cut)
    } else {
        None
    }
}

fn pass_answers(mut server: TcpStream, mut client: TcpStream, silent: &Mutex<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        if !*silent.lock().unwrap() && client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
