//! Messages on stdout, in large writes. Whoever reads slowly slows the source down.

use std::collections::HashMap;
use std::io::{self, Write};

use super::message::{Descriptor, Message, SourceStats, State, StreamState, raw};
use crate::clock::Clock;
use crate::json::{Value, printed, without_nulls, write_string};

/// Written at once. Too small costs system calls, too large delays the first record.
const CHUNK_BYTES: usize = 64 << 10;

/// Prints messages, and counts records for the states that follow them.
pub(super) struct Output {
    to: Box<dyn Write + Send>,
    waiting: Vec<u8>,
    /// Records of each stream since its last state.
    counts: HashMap<String, u64>,
    pub(super) clock: Clock,
}

/// The records of one stream, of which all but the data is the same.
pub(super) struct RecordLine {
    before: Vec<u8>,
}

impl RecordLine {
    pub(super) fn of(stream: &str) -> Self {
        let mut before = b"{\"type\":\"RECORD\",\"record\":{\"stream\":".to_vec();
        write_string(stream, &mut before);
        before.extend_from_slice(b",\"data\":");
        Self { before }
    }
}

impl Output {
    pub(super) fn stdout(clock: Clock) -> Self {
        Self::to(Box::new(io::stdout()), clock)
    }

    pub(super) fn to(to: Box<dyn Write + Send>, clock: Clock) -> Self {
        Self {
            to,
            waiting: Vec::with_capacity(CHUNK_BYTES + (CHUNK_BYTES >> 2)),
            counts: HashMap::new(),
            clock,
        }
    }

    /// Prints a record; `data` is JSON on one line. Its members that are null are left out, as the
    /// reference's serializer leaves out every field of a message that is nothing.
    pub(super) fn record(&mut self, line: &RecordLine, data: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(&line.before);
        self.waiting
            .extend_from_slice(&printed(without_nulls(data)));
        let now = self.clock.now().as_millisecond();
        writeln!(self.waiting, ",\"emitted_at\":{now}}}}}")?;
        if self.waiting.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Counts records of a stream, which its next state will tell.
    pub(super) fn count(&mut self, stream: &str, records: u64) {
        match self.counts.get_mut(stream) {
            Some(count) => *count += records,
            None => drop(self.counts.insert(stream.to_owned(), records)),
        }
    }

    /// Prints the state of a stream.
    pub(super) fn state(&mut self, stream: &str, state: &Value) -> io::Result<()> {
        let records = self.counts.remove(stream).unwrap_or(0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "the protocol counts in floats; nobody has so many records"
        )]
        let record_count = records as f64;
        self.send(&Message::State {
            state: State {
                kind: "STREAM",
                stream: StreamState {
                    stream_descriptor: Descriptor::of(stream),
                    stream_state: raw(state),
                },
                source_stats: SourceStats { record_count },
            },
        })
    }

    /// Prints a message at once.
    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        serde_json::to_writer(&mut self.waiting, message)?;
        self.waiting.push(b'\n');
        self.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&self.waiting)?;
        self.waiting.clear();
        self.to.flush()
    }
}

/// Prints a message that does not wait for its turn. Output is only ever whole lines, so it falls
/// between two of them.
pub(super) fn aside(message: &Message) {
    let printed = serde_json::to_vec(message).map_err(io::Error::from);
    let printed = printed.and_then(|mut line| {
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line).and_then(|()| stdout.flush())
    });
    if let Err(error) = printed {
        // The next record will fail as well, and end the command.
        tracing::error!(%error, "cannot print a message");
    }
}
