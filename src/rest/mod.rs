//! The service's HTTP calls: registration, tokens, discovery (connection spec §2 and §3).
//!
//! A [`RestClient`] makes the calls; each failure is a [`RestError`] with a kind of its own and the vendor's number.
//! [`discover`] finds the service's addresses. The calls are awc's: run them inside an actix system.

mod answer;
mod classify;
mod client;
mod discovery;
mod error;
mod exchange;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod kind;

pub use answer::{Grant, NewUser, RegisteredUser};
pub(crate) use classify::parse_retry_after;
pub use client::RestClient;
pub use discovery::discover;
pub use error::RestError;
pub use kind::{Operation, RestErrorKind};
