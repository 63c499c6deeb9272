//! A private Redis, and what one process cost by the kernel's account.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of one run of one program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of CPU.
    pub cpu: f64,
    /// Peak resident memory in MiB.
    pub rss: f64,
}

pub fn median(figures: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `command` to its end, which must be a success.
pub fn run(command: &mut Command) -> Figures {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let directory = format!("/proc/{}", child.id());
    let mut figures = Figures::default();
    // A process that ended but was not waited for still shows its CPU time.
    loop {
        let stat = std::fs::read_to_string(format!("{directory}/stat")).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        figures.cpu = ticks / 100.0;
        if fields[0] == "Z" {
            figures.wall = started.elapsed().as_secs_f64();
            break;
        }
        let status = std::fs::read_to_string(format!("{directory}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        });
        figures.rss = figures.rss.max(peak.unwrap_or(0.0) / 1024.0);
        sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success(), "{command:?} failed");
    figures
}

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

    /// Entries of both programs' streams.
    pub fn entries(&self) -> usize {
        ["XLEN loop", "XLEN raw-input-signals"]
            .iter()
            .map(|command| self.number(command))
            .sum()
    }

    fn number(&self, command: &str) -> usize {
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
