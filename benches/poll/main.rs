//! What a poll costs, beside a hand-written minimal loop in the same run.
//!
//! `cargo bench --bench poll -- [--items 50000] [--runs 5] [--latency-ms 0] [--aof]` starts a local
//! API of issues of about 2 KB (100 a page), a private `redis-server`, and runs both programs
//! through the same phases: cold (all new), unchanged, 1 % changed. It prints one table with
//! ratios; the absolute figures belong to the machine.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark measures real time, fails by panicking and talks on stdout"
)]

mod api;
mod looped;
mod measure;
#[path = "../support/server.rs"]
mod server;

use std::path::Path;
use std::process::Command;

use api::Api;
use measure::{Figures, median, run};
use server::Redis;

const MANIFEST: &str = include_str!("issues.yaml");

struct Options {
    items: usize,
    runs: usize,
    latency_ms: u64,
    aof: bool,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1)?.parse::<u64>().ok()
        };
        let count =
            |name: &str, default: u64| usize::try_from(value(name).unwrap_or(default)).unwrap();
        Self {
            items: count("--items", 50_000),
            runs: count("--runs", 5),
            latency_ms: value("--latency-ms").unwrap_or(0),
            aof: arguments.iter().any(|argument| argument == "--aof"),
        }
    }
}

fn main() {
    // The same binary is the minimal loop.
    if let Ok(api) = std::env::var("MINIMAL_LOOP") {
        return looped::poll(&api, &std::env::var("REDIS").unwrap());
    }
    let options = Options::read();
    let api = Api::start(options.items, options.latency_ms);
    let redis = Redis::start(options.aof);
    let directory = tempfile::tempdir().unwrap();
    let mut minimal = Command::new(std::env::current_exe().unwrap());
    minimal
        .env("MINIMAL_LOOP", api.address())
        .env("REDIS", redis.address());
    let mut worker = worker(directory.path(), &api, &redis);

    let phases = ["cold", "unchanged", "1 % changed"];
    let programs = ["minimal loop", "connector-worker"];
    let mut figures: Vec<Vec<Vec<Figures>>> = vec![vec![Vec::new(); phases.len()]; programs.len()];
    for round in 0..=options.runs {
        for (program, command) in [&mut minimal, &mut worker].into_iter().enumerate() {
            redis.flush();
            for (phase, _) in phases.iter().enumerate() {
                if phase == 2 {
                    api.change_one_percent();
                }
                let before = entries(&redis);
                let measured = run(command);
                let added = entries(&redis) - before;
                let expected = [options.items, 0, options.items / 100][phase];
                assert_eq!(
                    added, expected,
                    "{} published {added} in phase {}",
                    programs[program], phases[phase]
                );
                // The first round warms caches up.
                if round > 0 {
                    figures[program][phase].push(measured);
                }
            }
        }
    }
    report(&options, &phases, &programs, &figures);
}

/// Entries of both programs' streams.
fn entries(redis: &Redis) -> usize {
    redis.number("XLEN loop") + redis.number("XLEN raw-input-signals")
}

/// `connector-worker poll` on a full-refresh manifest of the benchmark's own.
fn worker(directory: &Path, api: &Api, redis: &Redis) -> Command {
    std::fs::write(directory.join("issues.yaml"), MANIFEST).unwrap();
    let config = serde_json::json!({ "connectors": [{
        "name": "bench", "type": "MANIFEST", "manifest": "issues.yaml",
        "providerConfig": { "baseUrl": format!("http://{}", api.address()) },
    }]});
    std::fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector-worker"));
    command
        .current_dir(directory)
        .args(["poll", "bench"])
        .env_clear()
        .env("RUST_LOG", "warn")
        .env("REDIS_URL", format!("redis://{}", redis.address()));
    command
}

fn report(options: &Options, phases: &[&str], programs: &[&str], figures: &[Vec<Vec<Figures>>]) {
    println!(
        "\n{} items, latency {} ms, AOF {}, median of {} runs\n",
        options.items,
        options.latency_ms,
        if options.aof { "everysec" } else { "off" },
        options.runs
    );
    println!("| phase | program | records/s | records/CPU-s | wall ms | CPU ms | peak RSS MiB |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    let of = |program: usize, phase: usize, figure: fn(&Figures) -> f64| {
        median(&figures[program][phase], figure)
    };
    let items = f64::from(u32::try_from(options.items).unwrap());
    for (phase, name) in phases.iter().enumerate() {
        for (program, title) in programs.iter().enumerate() {
            let (wall, cpu) = (
                of(program, phase, |f| f.wall),
                of(program, phase, |f| f.cpu),
            );
            println!(
                "| {name} | {title} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
                items / wall,
                items / cpu,
                wall * 1e3,
                cpu * 1e3,
                of(program, phase, |f| f.rss)
            );
        }
    }
    println!(
        "\ncold: {:.0} % of the loop's records/s, {:.0} % of its records per CPU-second",
        100.0 * of(0, 0, |f| f.wall) / of(1, 0, |f| f.wall),
        100.0 * of(0, 0, |f| f.cpu) / of(1, 0, |f| f.cpu)
    );
    println!(
        "unchanged: {:.1} times the loop's CPU",
        of(1, 1, |f| f.cpu) / of(0, 1, |f| f.cpu)
    );
    println!(
        "1 % changed: {:.2} times the CPU of unchanged",
        of(1, 2, |f| f.cpu) / of(1, 1, |f| f.cpu)
    );
}
