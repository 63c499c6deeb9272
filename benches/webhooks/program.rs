//! A program under test, and what it costs by the kernel's account.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Killed with its handle.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it and waits until it listens at `address`.
    pub fn start(command: &mut Command, address: &str) -> Self {
        let program = Self::start_silent(command);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{command:?} does not listen"
            );
            sleep(Duration::from_millis(20));
        }
        program
    }

    /// Starts one that does not listen.
    pub fn start_silent(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Self { child }
    }

    /// Seconds of CPU so far.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }

    /// Peak resident memory.
    pub fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib = peak.split_whitespace().next().unwrap();
        kib.parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
