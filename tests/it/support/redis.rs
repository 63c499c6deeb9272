//! A real `redis-server` of a test's own: private port, private directory, gone with its handle.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// How often a start is tried: another process may take the free port first.
const STARTS: u32 = 5;
/// Steps of [`STEP`] to wait for a server that loads its data.
const STEPS: u32 = 1000;
const STEP: Duration = Duration::from_millis(10);

/// A running server; killed on drop.
pub struct RedisServer {
    port: u16,
    args: Vec<String>,
    directory: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// A server without persistence: everything is gone after [`restart`](Self::restart).
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server that loses nothing that it acknowledged, whenever it is killed.
    pub fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server with further arguments, which win over the defaults: `["--appendonly", "yes"]`.
    pub fn start_with(args: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self {
            port: 0,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            directory,
            child: None,
        };
        for _ in 0..STARTS {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("redis-server does not start: {}", server.log());
    }

    /// A sentinel that watches the server at `master` under the name `main` and replaces it about
    /// a second after it is gone.
    pub fn start_sentinel(master: SocketAddr) -> Self {
        let watch = format!(
            "sentinel monitor main {} {} 1\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n",
            master.ip(),
            master.port()
        );
        let mut server = Self {
            port: 0,
            args: Vec::new(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            child: None,
        };
        for _ in 0..STARTS {
            server.port = free_port();
            let settings = format!(
                "port {}\nbind 127.0.0.1\nlogfile {}\n{watch}",
                server.port,
                server.log_path().display()
            );
            let file = server.directory.path().join("sentinel.conf");
            std::fs::write(&file, settings).expect("a file of our own");
            let mut command = Command::new("redis-server");
            command.arg(file).arg("--sentinel");
            if server.wait_for(command) {
                return server;
            }
        }
        panic!("the sentinel does not start: {}", server.log());
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A blocking connection, to look at what was written.
    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .expect("a connection to the test's own Redis")
    }

    /// Ends it at once, as a power cut of the process would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A stopped process takes SIGKILL too.
            child.kill().expect("redis-server can be killed");
            child.wait().expect("redis-server ends");
        }
    }

    /// Kills it if it runs and starts it again on the same port with the same directory.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..STARTS {
            if self.launch() {
                return;
            }
        }
        panic!("redis-server does not start again: {}", self.log());
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("redis-server runs");
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", child.id())])
            .status()
            .expect("sh runs");
        assert!(status.success(), "cannot send SIG{name} to redis-server");
    }

    fn launch(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .arg("--logfile")
            .arg(self.log_path())
            .args(&self.args);
        self.wait_for(command)
    }

    /// Starts the process and waits until it answers; `false` when it ended instead.
    fn wait_for(&mut self, mut command: Command) -> bool {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .expect("redis-server is needed by these tests and is not installed");
        for _ in 0..STEPS {
            if child.try_wait().expect("a child of ours").is_some() {
                return false;
            }
            // Asking the process first: a stranger on the same port would answer as well.
            if self.answers() {
                self.child = Some(child);
                return true;
            }
            sleep(STEP);
        }
        self.child = Some(child);
        self.kill();
        panic!("redis-server does not answer: {}", self.log());
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1))
        else {
            return false;
        };
        let mut answer = [0_u8; 5];
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .and_then(|()| stream.write_all(b"PING\r\n"))
            .and_then(|()| stream.read_exact(&mut answer))
            // A server with a password answers too; one that loads its data does not count.
            .is_ok_and(|()| matches!(&answer, b"+PONG" | b"-NOAU"))
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("redis.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
