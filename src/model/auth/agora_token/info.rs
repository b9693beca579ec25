use super::{
    content::{Content, PREFIX, Signed},
    easemob,
};
use crate::{model::account::Token, util::impls::names};

names! {
    /// The form that a token has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum TokenKind {
        /// `007…`, from one of Agora's token builders.
        AccessToken2 = "access-token-2",
        /// `YWMt…`, from the service itself.
        Easemob = "easemob",
        /// `dt-…`, from the console, for a trial.
        Temporary = "temporary",
        /// `007…`, but what follows cannot be read: often a token that was cut off when copied.
        Damaged = "damaged",
        /// None of the forms known here.
        Unknown = "unknown",
    }
}

/// Contents of a token, without the token: it may be logged. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Its form.
    pub kind: TokenKind,
    /// The app it is for: 32 hex digits, of an [`AccessToken2`](TokenKind::AccessToken2) only.
    pub app_id: Option<String>,
    /// The user of a chat [`AccessToken2`](TokenKind::AccessToken2), at most 255 bytes; none in an app's token.
    pub user: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub issued_at: Option<u64>,
    /// When it ends, in milliseconds since 1970. A hint: the service says at login when a token really ends.
    pub expires_at: Option<u64>,
    /// The services it is for, by the vendor's numbers, of an [`AccessToken2`](TokenKind::AccessToken2) only; chat is
    /// [`TokenInfo::CHAT`]. Ends with the first one whose fields are not known here.
    pub services: Vec<u16>,
}

impl TokenInfo {
    /// The number of the chat service.
    pub const CHAT: u16 = super::content::CHAT;

    fn of(kind: TokenKind) -> Self {
        TokenInfo { kind, app_id: None, user: None, issued_at: None, expires_at: None, services: Vec::new() }
    }

    pub(super) fn of_content(content: Content) -> Self {
        let issued_at = u64::from(content.issued_at) * 1000;
        let lives = [Some(content.life), content.chat.as_ref().map(|chat| chat.life)];
        let life = lives.into_iter().flatten().filter(|&life| life != 0).min();
        TokenInfo {
            kind: TokenKind::AccessToken2,
            app_id: Some(content.app_id),
            user: content.chat.map(|chat| chat.user).filter(|user| !user.is_empty()),
            issued_at: Some(issued_at),
            expires_at: life.map(|life| issued_at + u64::from(life) * 1000),
            services: content.services,
        }
    }
}

impl Token {
    /// Reads what the token says of itself; any text is read in bounded time and memory
    /// ([`MAX_CONTENT`](super::MAX_CONTENT)).
    ///
    /// ```
    /// use agora_chat::{token::TokenKind, account::Token};
    /// assert_eq!(Token::new("dt-0123456789abcdef")?.inspect().kind, TokenKind::Temporary);
    /// # Ok::<(), agora_chat::errors::CredentialError>(())
    /// ```
    #[must_use]
    pub fn inspect(&self) -> TokenInfo {
        let token = self.expose();
        if token.starts_with(PREFIX) {
            let content = Signed::unpack(token).and_then(|signed| Content::read(signed.content()));
            content.map_or_else(|| TokenInfo::of(TokenKind::Damaged), TokenInfo::of_content)
        } else if token.starts_with(easemob::PREFIX) {
            let (issued_at, expires_at) =
                easemob::times(token).map_or((None, None), |(issued_at, end)| (Some(issued_at), end));
            TokenInfo { issued_at, expires_at, ..TokenInfo::of(TokenKind::Easemob) }
        } else if token.starts_with("dt-") {
            TokenInfo::of(TokenKind::Temporary)
        } else {
            TokenInfo::of(TokenKind::Unknown)
        }
    }
}
