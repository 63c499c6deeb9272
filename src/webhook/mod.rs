//! Webhooks: what a provider sends by itself, from the bytes of a request to records.
//!
//! A manifest says as data how deliveries of its provider are signed, named and mapped
//! ([`Webhooks`]); a [`Verifier`] joins that with a connector's secrets. Only [`Verifier::verify`]
//! makes a [`Delivery<Verified>`] of what a stranger sent, and everything behind it takes nothing
//! else.

mod delivery;
mod explain;
mod jwt;
mod payload;
mod place;
mod read;
mod routing;
mod scheme;
mod sign;
mod spec;
mod stored;
mod verify;

pub use delivery::{Delivery, Unverified, Verified};
pub use explain::{Finding, explain};
pub use payload::{Payload, Unreadable};
pub use place::{InvalidPlace, Place};
pub use read::read;
pub use routing::{Mapped, Unmappable};
pub use scheme::{
    Content, Encoding, Hash, Hmac, Jwt, KeyForm, Scheme, Stamp, StampPlace, Token, Unit,
};
pub use sign::{Signed, Unsignable, sign};
pub use spec::{Action, Change, Detail, Handshake, Pattern, Route, Webhooks};
pub use verify::{Refusal, Verifier};
