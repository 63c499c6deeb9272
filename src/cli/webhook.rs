//! `webhook …`: recorded deliveries, signed and sent or looked into.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

/// `webhook …`
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Sign a recorded delivery as its provider would, and send it
    Send(SendArgs),
    /// Say whether a recorded delivery would be trusted, and if not, why; prints no secret
    Verify(VerifyArgs),
}

/// A recorded delivery and who would send it.
#[derive(Debug, Clone, Args)]
pub struct RecordedArgs {
    /// The body, byte for byte
    pub file: PathBuf,
    /// Its headers: `Name: value` lines or a JSON object [default: NAME.headers or
    /// NAME.headers.json beside NAME.body or NAME.body.json, if there is one]
    #[arg(long, value_name = "FILE")]
    pub headers: Option<PathBuf>,
    /// One more header, `Name: value`; wins over the file; repeatable
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,
    /// Connector type whose manifest says how deliveries are signed, or `standard_webhooks`,
    /// `svix`, `stripe`
    #[arg(long, value_name = "TYPE", required_unless_present = "manifest")]
    pub provider: Option<String>,
    /// A manifest that says so
    #[arg(long, value_name = "FILE", conflicts_with = "provider")]
    pub manifest: Option<PathBuf>,
    /// File with the secret; a line end at its end does not count
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The secret; other users of this machine may see it, a file is safer
    #[arg(
        long,
        value_name = "SECRET",
        required_unless_present = "secret_file",
        conflicts_with = "secret_file"
    )]
    pub secret: Option<String>,
}

/// Options of `webhook send`.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// The delivery
    #[command(flatten)]
    pub recorded: RecordedArgs,
    /// Where to: `http://127.0.0.1:8080/webhooks/CONNECTOR`
    #[arg(long, value_name = "URL")]
    pub to: url::Url,
    /// Id of the delivery, where the provider sends it in a header: the same again is a
    /// redelivery [default: as recorded, else a new one]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// Options of `webhook verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The delivery
    #[command(flatten)]
    pub recorded: RecordedArgs,
    /// When it was received [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub at: Option<Timestamp>,
    /// Path and query that it was sent to, where they are signed
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/",
        hide_default_value = true
    )]
    pub path: String,
}
