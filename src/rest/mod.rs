//! The service's HTTP calls: registration, tokens, discovery (connection spec §2 and §3), users and their devices; files,
//! history, presence, attributes and conversations of a logged-in user (messages spec §5).
//!
//! A [`RestClient`] makes the calls; each failure is a [`RestError`] with a kind of its own and the vendor's number.
//! Calls keep the service's [`RateLimits`]. [`discover`] finds the service's addresses. The calls are awc's: run them inside an actix system.

mod address;
mod answer;
mod attributes;
mod classify;
mod client;
mod conversations;
mod device;
mod discovery;
mod download;
mod error;
mod exchange;
mod files;
mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod governor;
mod history;
mod kind;
mod lane;
#[cfg(test)]
mod memory_tests;
mod message_form;
mod own;
mod own_errors;
mod presence;
mod secret_body;
mod upload;
mod users;
mod window;

pub use answer::{Grant, NewUser, RegisteredUser};
pub use attributes::{Attribute, UserAttributes};
pub(crate) use classify::{answered_at, parse_retry_after};
pub use client::RestClient;
pub use conversations::{ConversationInfo, ConversationPage, RawMessage};
pub use device::{DeviceInfo, Resource, ResourceError};
pub use discovery::discover;
pub(crate) use discovery::discover_shown_by;
pub use download::{Download, Fetch};
pub use error::RestError;
pub use governor::RateLimits;
pub use history::{HistoryCursor, HistoryPage, HistoryQuery, HistoryType};
pub use kind::{Operation, RestErrorKind};
pub(crate) use own::own_resource;
pub use presence::{PresenceState, PresenceSubscription, PresenceSubscriptions};
pub use upload::{Progress, Upload};
