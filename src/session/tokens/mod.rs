//! Tokens: when they end, and how the next one comes.

pub(in crate::session) mod clock;
pub(in crate::session) mod renewal;

use crate::model::{
    account::Token,
    auth::{Credentials, KeptToken, Provider, Secret},
};
use crate::session::{
    context::Cx,
    tokens::{
        clock::{ServerClock, TokenClock, TokenEnd},
        renewal::Renewal,
    },
};

/// The tokens of a session: which one is used, when it ends, and who gives the next.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) secret: Secret,
    pub(super) token: Option<Token>,
    /// Who gives new tokens, if the application has somebody.
    pub(super) provider: Option<Provider>,
    pub(super) renewal: Renewal,
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

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        let token = if let Secret::Token(token) = &credentials.secret { Some(token.clone()) } else { None };
        Tokens {
            secret: credentials.secret,
            token,
            provider: credentials.provider,
            renewal: Renewal::default(),
            kept: false,
            spare: None,
            fetched_expiry: None,
            ended: false,
            clock: None,
            server_clock: None,
        }
    }

    /// Forgets the token: another is fetched as for a first attempt.
    pub(super) fn forget(&mut self) {
        self.token = None;
        self.fetched_expiry = None;
    }

    /// Whether the token is another than the one that PROVISION was sent with.
    pub(super) fn has_newer_than(&self, sent: &Token) -> bool {
        self.token.as_ref() != Some(sent)
    }

    /// Takes the server's clock from its answer to UNREAD.
    pub(super) fn heard_server_clock(&mut self, timestamp: u64, cx: &Cx<'_>) {
        self.server_clock = Some(ServerClock::new(timestamp, cx.now));
        if let Some(clock) = &mut self.clock {
            clock.heard_server_clock(timestamp, cx.now);
        }
    }

    /// Notes that an attempt is over. The pause may be long: what was new before it may be refused after it.
    pub(super) fn attempt_over(&mut self, resuming: bool) {
        self.renewal.spent = false;
        if resuming && self.ended {
            // The next attempt asks for a token.
            self.renewal.forget_next();
        }
    }
}
