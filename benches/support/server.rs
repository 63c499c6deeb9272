//! A private Redis for the benchmarks.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A server of the benchmark's own; killed with its handle.
pub struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    pub fn start(aof: bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = std::env::temp_dir();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--appendonly", if aof { "yes" } else { "no" }])
            .args(["--appenddirname", &format!("bench-aof-{port}"), "--dir"])
            .arg(directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let redis = Self { child, port };
        let started = Instant::now();
        while TcpStream::connect(redis.address()).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "redis-server does not answer"
            );
            sleep(Duration::from_millis(20));
        }
        redis
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn flush(&self) {
        self.ask("FLUSHALL SYNC");
    }

    /// The number that a command answers.
    pub fn number(&self, command: &str) -> usize {
        self.ask(command)
            .trim_start_matches(':')
            .trim_end()
            .parse()
            .unwrap()
    }

    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "{command}\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ =
            std::fs::remove_dir_all(std::env::temp_dir().join(format!("bench-aof-{}", self.port)));
    }
}
