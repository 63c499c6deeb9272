//! Figures of the process itself, under the names every Prometheus dashboard knows.

use std::fmt::Write;

/// Ticks per second of the CPU times in `/proc`: fixed for user space on every Linux port.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends memory, CPU time and open files in exposition format; nothing where there is no `/proc`.
pub(super) fn render(out: &mut String) {
    let mut gauge = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a `String` cannot fail.
            let _ = write!(
                out,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
            );
        }
    };
    gauge(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|text| resident_bytes(&text)),
    );
    gauge(
        "process_cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
        std::fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| cpu_seconds(&text)),
    );
    gauge(
        "process_open_fds",
        "gauge",
        "Number of open file descriptors.",
        std::fs::read_dir("/proc/self/fd")
            .ok()
            .and_then(|entries| u32::try_from(entries.count()).ok())
            .map(f64::from),
    );
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u32 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The program's name comes second, in parentheses, and may hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_right_columns() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2_097_152.0)
        );
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("garbage"), None);
    }
}
