//! What receiving a delivery costs, beside a handler that only answers 200 in the same run.
//!
//! `cargo bench --bench webhooks -- [--seconds 10] [--held 30] [--rate 5000] [--connections 64]
//! [--aof]` starts a private `redis-server` and sends signed deliveries of GitHub, recorded bodies
//! of which each has an id of its own: first as many as go to the bare handler and to
//! `connector-worker serve`, then at a steady rate, then at that rate while the consumer is held
//! back, which has to end with as many signals as deliveries were accepted. It prints one table;
//! absolute figures belong to the machine.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark measures real time, fails by panicking and talks on stdout"
)]

mod bare;
mod program;
mod send;
#[path = "../support/server.rs"]
mod server;

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use program::Program;
use send::{Load, SECRET, Sent};
use server::Redis;

/// One connector with room for everything, and one with the bounds that are the default.
const LOADED: &str = "loaded";
const HELD: &str = "held";

struct Options {
    seconds: u64,
    held: u64,
    rate: u32,
    connections: usize,
    aof: bool,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str, default: u64| {
            let at = arguments.iter().position(|argument| argument == name);
            let value = at.and_then(|at| arguments.get(at + 1)?.parse().ok());
            value.unwrap_or(default)
        };
        Self {
            seconds: value("--seconds", 10),
            held: value("--held", 30),
            rate: u32::try_from(value("--rate", 5_000)).unwrap(),
            connections: usize::try_from(value("--connections", 64)).unwrap(),
            aof: arguments.iter().any(|argument| argument == "--aof"),
        }
    }

    fn load(&self, seconds: u64, rate: Option<u32>) -> Load {
        Load {
            connections: self.connections,
            time: Duration::from_secs(seconds),
            rate,
        }
    }
}

fn main() {
    // The same binary is the bare handler, and the API that has nothing to list.
    if let Ok(address) = std::env::var("BARE_HANDLER") {
        return bare::serve(&address);
    }
    let options = Options::read();
    let redis = Redis::start(options.aof);
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench {
        worker: Worker::new(directory.path(), &redis),
        redis: &redis,
        options: &options,
    };
    println!(
        "\n{} connections, bodies of {} KB, AOF {}\n",
        options.connections,
        send::body_bytes() / 1000,
        if options.aof { "everysec" } else { "off" },
    );
    println!("| phase | taken/s | 503/s | p50 ms | p95 ms | p99 ms | CPU us each | peak RSS MiB |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let bare = bench.bare();
    let received = bench.received("as many as go", None, false);
    bench.received("as many as go, consumer at work", None, true);
    let steady = bench.received(&format!("{}/s", options.rate), Some(options.rate), false);
    bench.received(
        &format!("{}/s, consumer at work", options.rate),
        Some(options.rate),
        true,
    );
    println!(
        "\n{:.0} % of the bare handler's rate (target 25); at {}/s p95 {:.1} ms (25), p99 {:.1} ms (100)\n",
        100.0 * received.rate() / bare.rate(),
        options.rate,
        steady.percentile(95.0),
        steady.percentile(99.0),
    );
    bench.held_back();
}

struct Bench<'b> {
    worker: Worker,
    redis: &'b Redis,
    options: &'b Options,
}

impl Bench<'_> {
    fn bare(&self) -> Sent {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let bare = Program::start(command.env("BARE_HANDLER", &address), &address);
        let load = self.options.load(self.options.seconds, None);
        // The first second warms up.
        send::run(&address, LOADED, &self.options.load(1, None));
        let before = bare.cpu();
        let sent = send::run(&address, LOADED, &load);
        row("bare handler", &sent, bare.cpu() - before, bare.peak_mib());
        sent
    }

    fn received(&mut self, phase: &str, rate: Option<u32>, with_consumer: bool) -> Sent {
        self.redis.flush();
        let (receiver, address) = self.worker.receiver();
        let _consumer = with_consumer.then(|| self.worker.consumer());
        send::run(&address, LOADED, &self.options.load(1, rate));
        let before = receiver.cpu();
        let sent = send::run(
            &address,
            LOADED,
            &self.options.load(self.options.seconds, rate),
        );
        row(phase, &sent, receiver.cpu() - before, receiver.peak_mib());
        sent
    }

    /// What was accepted is processed, what is over the bound got 503, memory is bounded.
    fn held_back(&mut self) {
        self.redis.flush();
        let (receiver, address) = self.worker.receiver();
        let before = receiver.cpu();
        let load = self
            .options
            .load(self.options.held, Some(self.options.rate));
        let sent = send::run(&address, HELD, &load);
        let phase = format!("{} s without a consumer", self.options.held);
        row(&phase, &sent, receiver.cpu() - before, receiver.peak_mib());
        assert_eq!(sent.failed, 0, "neither taken nor told to come back");
        let consumer = self.worker.consumer();
        let started = Instant::now();
        let waiting = format!("XLEN connector-webhooks-{HELD}");
        while self.redis.number(&waiting) > 0 {
            assert!(
                started.elapsed() < Duration::from_mins(5),
                "the queue is not processed"
            );
            sleep(Duration::from_millis(50));
        }
        let wall = started.elapsed().as_secs_f64();
        let signals = self.redis.number("XLEN raw-input-signals");
        println!(
            "\n{} accepted, {} told to come back, {signals} signals: {:.0} a second with their \
             consumer, which took {:.0} MiB at most",
            sent.taken,
            sent.refused,
            f64::from(u32::try_from(signals).unwrap()) / wall,
            consumer.peak_mib(),
        );
        assert_eq!(
            u64::try_from(signals).unwrap(),
            sent.taken,
            "accepted = processed"
        );
    }
}

fn row(phase: &str, sent: &Sent, cpu: f64, rss: f64) {
    println!(
        "| {phase} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {rss:.0} |",
        sent.rate(),
        sent.refused_rate(),
        sent.percentile(50.0),
        sent.percentile(95.0),
        sent.percentile(99.0),
        1e6 * cpu / sent.answered(),
    );
}

/// How receiver and consumer are started.
struct Worker {
    directory: std::path::PathBuf,
    redis: String,
    _api: Program,
}

impl Worker {
    fn new(directory: &Path, redis: &Redis) -> Self {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let api = Program::start(command.env("BARE_HANDLER", &address), &address);
        let connector = |name: &str, webhook: serde_json::Value| {
            serde_json::json!({
                "name": name, "type": "GITHUB", "streams": ["issues"], "webhook": webhook,
                "pollIntervalMs": 3_600_000, "outputMaxLen": 0,
                "providerConfig": {
                    "baseUrl": format!("http://{address}"), "repositories": ["Codertocat/Hello-World"],
                },
            })
        };
        let roomy = serde_json::json!({
            "secrets": [SECRET], "maxQueued": 10_000_000, "maxQueuedBytes": 100_000_000_000_u64,
        });
        let config = serde_json::json!({ "connectors": [
            connector(LOADED, roomy),
            connector(HELD, serde_json::json!({ "secrets": [SECRET] })),
        ]});
        std::fs::write(directory.join("connectors.json"), config.to_string()).unwrap();
        Self {
            directory: directory.to_owned(),
            redis: format!("redis://{}", redis.address()),
            _api: api,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector-worker"));
        command
            .current_dir(&self.directory)
            .env_clear()
            .env("RUST_LOG", "warn")
            // With it metrics are counted, as in production.
            .env("CONNECTOR_WORKER_HTTP_ADDR", "127.0.0.1:0")
            .env("REDIS_URL", &self.redis);
        command
    }

    fn receiver(&self) -> (Program, String) {
        let address = free_address();
        let mut command = self.command();
        command.args(["serve", "--role", "receiver", "--listen", &address]);
        (Program::start(&mut command, &address), address)
    }

    fn consumer(&self) -> Program {
        Program::start_silent(self.command().arg("run"))
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
