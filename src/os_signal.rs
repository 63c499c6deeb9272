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
pub struct OsSignals {
    incoming: mpsc::UnboundedReceiver<OsSignal>,
    /// Asked for and not told yet. Several requests count as one: the last file wins anyway.
    reload: bool,
    report: bool,
}

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
    Ok(OsSignals {
        incoming: receiver,
        reload: false,
        report: false,
    })
}

impl OsSignals {
    /// The next signal; a request to stop comes before all others.
    pub async fn next(&mut self) -> OsSignal {
        loop {
            while let Ok(signal) = self.incoming.try_recv() {
                if self.is_shutdown(signal) {
                    return OsSignal::Shutdown;
                }
            }
            if std::mem::take(&mut self.reload) {
                return OsSignal::Reload;
            }
            if std::mem::take(&mut self.report) {
                return OsSignal::Report;
            }
            if self.received().await {
                return OsSignal::Shutdown;
            }
        }
    }

    /// Returns at the next request to shut down. Others that come meanwhile are kept for
    /// [`next`](Self::next).
    pub async fn shutdown(&mut self) {
        while !self.received().await {}
    }

    /// Waits for a signal; whether it asks to shut down.
    async fn received(&mut self) -> bool {
        match self.incoming.recv().await {
            Some(signal) => self.is_shutdown(signal),
            None => std::future::pending().await,
        }
    }

    fn is_shutdown(&mut self, signal: OsSignal) -> bool {
        match signal {
            OsSignal::Shutdown => return true,
            OsSignal::Reload => self.reload = true,
            OsSignal::Report => self.report = true,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::OsSignal::{Reload, Report, Shutdown};
    use super::*;

    #[tokio::test]
    async fn reloads_count_as_one_and_nothing_else_is_lost() {
        let (sender, incoming) = mpsc::unbounded_channel();
        let mut signals = OsSignals {
            incoming,
            reload: false,
            report: false,
        };
        let send = |signal| sender.send(signal).unwrap();
        [Reload, Report, Reload].into_iter().for_each(send);
        assert_eq!(signals.next().await, Reload);
        assert_eq!(signals.next().await, Report);

        // While only a stop is waited for, a reload is kept.
        [Reload, Shutdown].into_iter().for_each(send);
        signals.shutdown().await;
        assert_eq!(signals.next().await, Reload);

        [Reload, Shutdown].into_iter().for_each(send);
        assert_eq!(signals.next().await, Shutdown);
    }
}
