use std::time::Duration;

use ring::hmac::{HMAC_SHA256, Key, sign, verify};
use secrecy::{ExposeSecret as _, SecretString};

use super::content::{Content, Signed, is_hex_32};
use crate::{
    model::account::{Token, UserId},
    util::{impls::impl_debug, unix_time},
};

/// No token can be built from these values. The certificate is never named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenBuildError {
    /// The app id is not 32 hex digits.
    #[error("the app id is not 32 hex digits; it is the project's App ID in the vendor's console, not the app key")]
    AppId,
    /// The certificate is not 32 hex digits.
    #[error("the app certificate is not 32 hex digits; it is the project's App Certificate in the vendor's console")]
    Certificate,
    /// The life is less than a second or more than 2³² − 1 seconds.
    #[error("a token's life is 1 to {max} whole seconds, not {0:?}", max = u32::MAX)]
    Life(Duration),
}

/// Builds chat tokens for the users of one app and for the app itself, as the vendor's own builders do.
///
/// For servers: who holds the certificate can log in as anybody. It is wiped from memory when dropped and shows in no
/// `Debug` output and no error.
#[derive(Clone)]
pub struct ChatTokenBuilder {
    app_id: String,
    certificate: SecretString,
}

impl ChatTokenBuilder {
    /// Takes the project's App ID and App Certificate; letter case matters in both.
    ///
    /// # Errors
    /// [`TokenBuildError::AppId`] or [`TokenBuildError::Certificate`] if it is not 32 hex digits.
    pub fn new(app_id: &str, certificate: impl Into<String>) -> Result<Self, TokenBuildError> {
        let certificate = SecretString::from(certificate.into());
        if !is_hex_32(app_id) {
            Err(TokenBuildError::AppId)
        } else if !is_hex_32(certificate.expose_secret()) {
            Err(TokenBuildError::Certificate)
        } else {
            Ok(ChatTokenBuilder { app_id: app_id.to_owned(), certificate })
        }
    }

    /// Returns the App ID.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Returns a token with which this user can log in, valid for these whole seconds from its issue; a fraction is
    /// dropped. The vendor allows at most a day.
    ///
    /// # Errors
    /// [`TokenBuildError::Life`] for less than a second or more than 2³² − 1 seconds.
    pub fn user<'a>(&'a self, user: &'a UserId, life: Duration) -> Result<NewChatToken<'a>, TokenBuildError> {
        Ok(NewChatToken { builder: self, user: Some(user), life: seconds(life)? })
    }

    /// Returns a token for REST calls in the app's name, such as [`RestClient`](crate::RestClient)'s with an app token.
    ///
    /// # Errors
    /// As for [`user`](Self::user).
    pub fn app(&self, life: Duration) -> Result<NewChatToken<'_>, TokenBuildError> {
        Ok(NewChatToken { builder: self, user: None, life: seconds(life)? })
    }

    /// Returns whether a token is for this app and signed with its certificate, expired or not, in constant time.
    #[must_use]
    pub fn signed(&self, token: &Token) -> bool {
        let read = Signed::unpack(token.expose()).and_then(|signed| Some((Content::read(signed.content())?, signed)));
        read.is_some_and(|(content, signed)| {
            content.app_id == self.app_id
                && verify(&self.key(content.issued_at, content.salt), signed.content(), signed.signature()).is_ok()
        })
    }

    /// Returns the key of one token: the certificate under the time of issue, under the salt.
    fn key(&self, issued_at: u32, salt: u32) -> Key {
        let under = |number: u32, what: &[u8]| sign(&Key::new(HMAC_SHA256, &number.to_le_bytes()), what);
        let certificate = self.certificate.expose_secret().as_bytes();
        Key::new(HMAC_SHA256, under(salt, under(issued_at, certificate).as_ref()).as_ref())
    }
}

impl_debug!(|this: ChatTokenBuilder| "ChatTokenBuilder({}, <redacted>)", this.app_id);

fn seconds(life: Duration) -> Result<u32, TokenBuildError> {
    u32::try_from(life.as_secs()).ok().filter(|&life| life != 0).ok_or(TokenBuildError::Life(life))
}

/// A token to be issued, from [`ChatTokenBuilder::user`] or [`ChatTokenBuilder::app`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NewChatToken<'a> {
    builder: &'a ChatTokenBuilder,
    user: Option<&'a UserId>,
    life: u32,
}

impl NewChatToken<'_> {
    /// Issues it at this time in seconds since 1970; the same salt makes the same token. Takes 256 KiB for a moment.
    #[must_use]
    pub fn build(&self, issued_at: u32, salt: u32) -> Token {
        let builder = self.builder;
        let content = Content::of_chat(&builder.app_id, (issued_at, self.life, salt), self.user.map(UserId::as_str));
        let signature = sign(&builder.key(issued_at, salt), &content);
        Token::of_own_make(Signed::pack(signature.as_ref(), &content))
    }

    /// Issues it now with a salt by chance, from 1 to 99 999 999 like the vendor's builders.
    #[must_use]
    pub fn build_now(&self) -> Token {
        let now = u32::try_from(unix_time::now_ms() / 1000).unwrap_or(u32::MAX);
        self.build(now, fastrand::u32(1..=99_999_999))
    }
}
