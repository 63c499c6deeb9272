//! A TCP proxy that cuts a connection at a chosen moment.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Where a connection is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Half of the bytes that hold the marker arrive, then the connection is gone.
    MidRequest,
    /// The server gets everything and executes it; the answer does not come back.
    BeforeReply,
    /// As `BeforeReply`, but the connection stays open and silent.
    Silence,
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
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let request = &buffer[..length];
        let cut = {
            let mut armed = armed.lock().unwrap();
            let hit = armed.as_ref().is_some_and(|(_, marker)| {
                request
                    .windows(marker.len())
                    .any(|bytes| bytes == &marker[..])
            });
            if hit { armed.take() } else { None }
        };
        let Some((cut, _)) = cut else {
            if server.write_all(request).is_err() {
                break;
            }
            continue;
        };
        if cut == Cut::MidRequest {
            let _ = server.write_all(&request[..length / 2]);
            break;
        }
        *silent.lock().unwrap() = true;
        let _ = server.write_all(request);
        if cut == Cut::BeforeReply {
            // Closing at once could make the server drop what it has not read yet.
            thread::sleep(Duration::from_millis(50));
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
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
