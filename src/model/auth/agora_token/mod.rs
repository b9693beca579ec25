//! Tokens read and built on this machine: what a token says of itself, and user and app tokens from an app's
//! certificate, as the vendor's token builders make them.
//!
//! | Begins with | Made by | Read here |
//! |---|---|---|
//! | `007` | an Agora token builder ("AccessToken2") | app id, user, services, issue and end |
//! | `YWMt` | the service itself, for a password or app credentials | issue and end, as a hint |
//! | `dt-` | the console, for a trial | nothing, it is opaque |
//!
//! Nothing read here is proof: only the service, or who holds the certificate ([`ChatTokenBuilder::signed`]), can tell
//! whether a token is good. A [`Connection`](crate::Connection) writes a warning to its log for a token that is
//! expired or somebody else's, and tries it all the same.
//!
//! ```
//! use std::time::Duration;
//! use agora_chat::{UserId, token::{ChatTokenBuilder, TokenKind}};
//!
//! let builder = ChatTokenBuilder::new("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")?;
//! let alice: UserId = "alice".parse()?;
//! let token = builder.user(&alice, Duration::from_secs(3600))?.build_now();
//!
//! let info = token.inspect();
//! assert_eq!((info.kind, info.user.as_deref()), (TokenKind::AccessToken2, Some("alice")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The certificate signs tokens for every user of the app: it belongs on a server, never into a program that users
//! hold.

mod builder;
mod content;
mod easemob;
#[cfg(feature = "fuzzing")]
#[allow(clippy::expect_used, reason = "a harness fails loudly")]
#[path = "../../../../tests/fuzz/tokens.rs"]
pub(crate) mod fuzzing;
mod info;
mod problem;
#[cfg(test)]
mod tests;

pub use builder::{ChatTokenBuilder, NewChatToken, TokenBuildError};
pub use content::MAX_CONTENT;
pub use info::{TokenInfo, TokenKind};
pub use problem::TokenProblem;
