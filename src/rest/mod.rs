//! The service's HTTP calls: registration, tokens, discovery (connection spec §2 and §3), users and their devices;
//! files, history, presence, attributes and conversations of a logged-in user (messages spec §5).
//!
//! A [`RestClient`] makes the calls; each failure is a [`RestError`] with a kind of its own and the vendor's number.
//! Calls keep the service's [`RateLimits`]. [`discover`] finds the service's addresses. Run them inside an actix
//! system.

mod address;
mod answer;
mod attributes;
mod classify;
mod client;
mod conversations;
mod device;
mod discovery;
mod download;
mod files;
#[cfg(feature = "fuzzing")]
#[path = "../../tests/fuzz/rest_errors.rs"]
pub(crate) mod fuzzing;
mod history;
pub(crate) mod http;
mod http_call;
mod lane;
mod multipart;
mod presence;
mod rate_limit;
mod rest_message;
mod secret_body;
mod session_call;
mod session_errors;
mod sliding_window;
mod spec;
#[cfg(test)]
mod tests;
mod token_url;
mod upload;
mod users;

pub use crate::model::error::{Operation, RestError, RestErrorKind};
pub use answer::{NewUser, RegisteredUser};
pub use attributes::{Attribute, UserAttributes};
pub use client::RestClient;
pub use conversations::{ConversationInfo, ConversationPage, RawMessage};
pub use device::{DeviceInfo, Resource, ResourceError};
pub use discovery::discover;
pub(crate) use discovery::discover_shown_by;
pub use download::{Download, Fetch};
pub use history::{HistoryCursor, HistoryPage, HistoryQuery, HistoryType};
pub use presence::{PresenceState, PresenceSubscription, PresenceSubscriptions};
pub use rate_limit::RateLimits;
pub(crate) use session_call::resource_of;
pub use token_url::TokenUrl;
pub use upload::{Progress, Upload};
