//! The real binary as a child process, with its configuration in a directory of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant as Clock};

/// Path of the binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_connector-worker");

/// How a worker is to be started; the same worker can be started many times.
#[derive(Clone)]
pub struct Worker {
    directory: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Worker {
    /// A worker in `directory`, where `connectors.json` is; it listens nowhere.
    pub fn new(directory: &Path) -> Self {
        let worker = Self {
            directory: directory.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        worker.env("CONNECTOR_WORKER_HTTP_ADDR", "none")
    }

    /// One more argument.
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command with a clean environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .current_dir(&self.directory)
            .args(&self.arguments)
            .env_clear()
            .env("RUST_LOG", "connector_worker=debug")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end with these further arguments.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the worker starts");
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("data is UTF-8"),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts it; its log goes to `NAME.log` in its directory, one start after the other.
    pub fn start(&self, name: &str) -> Process {
        let log = self.directory.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        Process {
            child: child.expect("the worker starts"),
            log,
        }
    }
}

/// What a command that ended left.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub out: String,
    /// Talk.
    pub log: String,
}

impl Ran {
    /// The data as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A running worker; killed on drop.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Sends `TERM`, `HUP`, `STOP`, `CONT`, …
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &script])
            .status()
            .expect("sh runs");
        assert!(status.success(), "cannot send SIG{name}");
    }

    /// Waits until signals no longer have the system's defaults: the earliest that a signal means
    /// what the manual says.
    pub fn wait_for_handlers(&self) {
        let status = format!("/proc/{}/status", self.child.id());
        for _ in 0..10_000 {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            // HUP is signal 1, TERM 15.
            if mask.is_some_and(|mask| mask & 1 != 0 && mask & (1 << 14) != 0) {
                return;
            }
            sleep(Duration::from_millis(1));
        }
        panic!("the worker takes no signals:\n{}", self.log());
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        self.child.wait().expect("a child ends");
    }

    /// Waits for the end by itself.
    pub fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let started = Clock::now();
        while started.elapsed() < most {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return Some(status);
            }
            sleep(Duration::from_millis(10));
        }
        None
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log holds `text`.
    pub fn wait_for_log(&self, text: &str, most: Duration) {
        let started = Clock::now();
        while !self.log().contains(text) {
            assert!(
                started.elapsed() < most,
                "the log has no {text:?}:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
