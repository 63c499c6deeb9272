//! The store in Redis.
