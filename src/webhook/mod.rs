//! Webhooks: what a provider sends by itself, from the bytes of a request to records.
//!
//! A manifest says as data how deliveries of its provider are signed, named and mapped
//! ([`Webhooks`]); a [`Verifier`] joins that with a connector's secrets. Only [`Verifier::verify`]
//! makes a [`Delivery<Verified>`] of what a stranger sent, and everything behind it takes nothing
//! else.

mod delivery;
mod explain;
mod jwt;
mod oidc;
mod payload;
mod place;
mod read;
mod routing;
mod scheme;
mod sign;
mod signature;
mod spec;
mod stored;
mod token;
mod verify;

pub use delivery::{Delivery, Unverified, Verified};
pub use explain::{Finding, explain};
pub use oidc::{Identity, KeySet, NoKeys};
pub use payload::{Payload, Unreadable};
pub use place::{InvalidPlace, Place};
pub use read::{read, read_schemes};
pub use routing::{Mapped, Unmappable};
pub use scheme::{
    Algorithm, Content, Encoding, Jwt, KeyForm, Oidc, Scheme, Signature, Stamp, StampPlace, Token,
    Unit,
};
pub use sign::{Signed, Unsignable, sign};
pub use spec::{Action, Change, Detail, Handshake, Id, Pattern, Route, Webhooks};
pub use stored::Kept;
pub use verify::{Refusal, Verifier};
