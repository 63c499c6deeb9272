//! Which connectors run in this process.
