//! Authentication: credentials, token providers and token builders.

pub mod agora_token;
mod credentials;
mod grant;
mod provider;

pub use credentials::Credentials;
pub(crate) use credentials::Secret;
pub use grant::{Expiry, TokenGrant};
pub(crate) use provider::Provider;
pub use provider::{ProvideToken, ProvidingToken, TokenProvider, TokenReason, TokenRequest};
