//! What the tests share: a Redis per run, a worker process, a provider that can be told what to answer.

pub mod api;
pub mod issuer;
pub mod items;
pub mod ops;
pub mod party;
pub mod proxy;
pub mod redis;

pub mod raw_http;
pub mod scripted;
pub mod worker;
