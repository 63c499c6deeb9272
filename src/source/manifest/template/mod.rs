//! Jinja templates as the format's reference evaluates them, compiled once at load.
