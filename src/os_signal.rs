//! Operating-system signals as messages: SIGHUP → reload, SIGTERM and SIGINT → shut down,
//! SIGUSR1 → log the state of each loop.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;

/// What the operating system asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OsSignal {
    /// Read the configuration again.
    Reload,
    /// Stop; the second time at once.
    Shutdown,
    /// Log the state of each loop.
    Report,
}

/// Receives signals from the moment of [`install`].
#[derive(Debug)]
pub struct OsSignals(mpsc::UnboundedReceiver<OsSignal>);

/// Takes the signals over from the system's defaults. Called before any I/O: a SIGHUP that
/// arrives while the process starts must reload, not kill.
pub fn install() -> io::Result<OsSignals> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    // Unbounded, but each message is a byte and somebody has to send each of them by hand.
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let message = match signal {
                    SIGHUP => OsSignal::Reload,
                    SIGUSR1 => OsSignal::Report,
                    _ => OsSignal::Shutdown,
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        })?;
    Ok(OsSignals(receiver))
}

impl OsSignals {
    /// The next signal. Reloads that queued up count as one: the last file wins anyway.
    pub async fn next(&mut self) -> OsSignal {
        let Some(mut signal) = self.0.recv().await else {
            return std::future::pending().await;
        };
        while signal == OsSignal::Reload {
            match self.0.try_recv() {
                Ok(next) => signal = next,
                Err(_) => break,
            }
        }
        signal
    }

    /// Returns at the next request to shut down, ignoring the others.
    pub async fn shutdown(&mut self) {
        while self.next().await != OsSignal::Shutdown {}
    }
}
