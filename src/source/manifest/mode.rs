//! The two ways in which the engine runs a manifest.

/// How faithful to the format's reference the engine is. Components ask it where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Honest outcomes, guards, texts that keep their spelling.
    Worker,
    /// Exactly what the reference sends, waits for and says.
    Reference,
}

impl Mode {
    /// Whether credentials and page tokens keep their spelling where the reference would read
    /// them as numbers: `1e5` instead of `100000.0`.
    pub(super) fn keeps_spelling(self) -> bool {
        self == Self::Worker
    }

    /// Whether credentials go to the configured host only. The reference sends them to whatever
    /// address an answer names.
    pub(super) fn guards_credentials(self) -> bool {
        self == Self::Worker
    }
}
