//! Tokens: when they end, and how the next one comes.

pub(in crate::session) mod clock;
pub(in crate::session) mod renewal;

use crate::model::{
    account::Token,
    auth::{KeptToken, Provider, Secret},
};
use crate::session::tokens::{
    clock::{ServerClock, TokenClock, TokenEnd},
    renewal::Renewal,
};

/// The tokens of a session: which one is used, when it ends, and who gives the next.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) secret: Secret,
    pub(super) token: Option<Token>,
    /// Who gives new tokens, if the application has somebody.
    pub(super) provider: Option<Provider>,
    pub(super) renewal: Renewal,
    /// The token before the last renewal: the server still knows it.
    pub(super) former_token: Option<Token>,
    /// Whether the token is one kept from an earlier session, which a password or a provider can replace.
    pub(super) kept: bool,
    /// A kept token whose end seems to have passed; the last resort of a login that can get no other.
    pub(super) spare: Option<KeptToken>,
    /// The end of a token fetched by REST, for servers whose PROVISION answer does not tell it.
    pub(super) fetched_expiry: Option<TokenEnd>,
    /// Whether the token has certainly ended: a new one is needed before the next attempt.
    pub(super) ended: bool,
    pub(super) clock: Option<TokenClock>,
    pub(super) server_clock: Option<ServerClock>,
}
