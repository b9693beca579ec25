//! How an account proves who it is.

pub mod agora_token;
mod credentials;
mod kept_token;
mod provider;

pub use credentials::Credentials;
pub(crate) use credentials::Secret;
pub(crate) use kept_token::KeptToken;
pub(crate) use provider::Provider;
pub use provider::{ProvideToken, ProvidedToken, ProvidingToken, TokenProvider, TokenReason, TokenRequest};
