//! What one process cost by the kernel's account.

use std::process::{Command, Stdio};
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
