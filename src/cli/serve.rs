//! Options of `serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::RunArgs;
use super::duration::parse_duration;

/// What a process that listens publicly does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Role {
    /// Receives deliveries and queues them; other processes run the connectors
    Receiver,
    /// Also runs the connectors, which poll and take what was queued
    #[default]
    All,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Those of `run`
    #[command(flatten)]
    pub run: RunArgs,

    /// Public listener for webhooks
    #[arg(
        long,
        env = "CONNECTOR_WORKER_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// What this process does
    #[arg(long, value_enum, default_value_t, value_name = "ROLE")]
    pub role: Role,

    /// Proxies whose X-Forwarded-For is believed: addresses or networks, comma-separated
    #[arg(long, value_delimiter = ',', value_parser = network, value_name = "NETWORKS")]
    pub trusted_proxies: Vec<IpNet>,

    /// Requests per second that one address may make; 0 sets no limit
    #[arg(long, default_value_t = 20_000, value_name = "NUMBER")]
    pub rate_per_address: u32,

    /// Requests per second that one connector takes; 0 sets no limit
    #[arg(long, default_value_t = 50_000, value_name = "NUMBER")]
    pub rate_per_connector: u32,

    /// How long a sender may take for a body
    #[arg(long, value_parser = parse_duration, default_value = "10s", value_name = "DURATION")]
    pub body_timeout: Duration,
}

/// An address is the network that holds nothing else.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    let network = text.trim().parse::<IpNet>().ok().or_else(address);
    network.ok_or_else(|| {
        "write an address such as 10.0.0.7 or a network such as 10.0.0.0/8".to_owned()
    })
}
