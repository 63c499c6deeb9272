//! Options of the commands that print signals.

use clap::Args;

/// Options of `preview`.
#[derive(Debug, Clone, Args)]
pub struct PreviewArgs {
    /// Connector name
    pub name: String,
    /// Stop each stream after about this many records
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
    /// Only this stream; repeatable
    #[arg(long, value_name = "STREAM")]
    pub stream: Vec<String>,
}

/// Options of `tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Output stream
    #[arg(default_value = "raw-input-signals")]
    pub stream: String,
    /// Begin with the oldest signal that is kept, not with the next
    #[arg(long)]
    pub from_start: bool,
    /// End after this many signals
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}
