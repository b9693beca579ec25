use super::{
    content::is_known,
    info::{TokenInfo, TokenKind},
};
use crate::{model::account::UserId, util::Escaped};

/// Reason that the service will probably refuse a token. May be logged: it names users and apps, never the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// By its own account it has ended.
    #[error("the token has expired {0} s ago by its own account; get a new one, and check this machine's clock")]
    Expired(
        /// Seconds since then.
        u64,
    ),
    /// It is for another user.
    #[error("the token is for the user {found:?}, not for {expected:?}; get one for the user who logs in")]
    OtherUser {
        /// The user in the token.
        found: String,
        /// The user who logs in.
        expected: String,
    },
    /// It is for another app.
    #[error("the token is for the app id {}, not for {}; get one from the app's own server", Escaped(.found), Escaped(.expected))]
    OtherApp {
        /// The app id in the token.
        found: String,
        /// The app id expected.
        expected: String,
    },
    /// It is an app's, with which no user can log in.
    #[error("the token is for the app and names no user; log in with a user's token")]
    ForApp,
    /// It is for other services of the vendor only.
    #[error("the token is not for the chat service; have a chat token built")]
    NotForChat,
    /// It cannot be read.
    #[error("the token begins like an Agora token but cannot be read; was it cut off when copied?")]
    Damaged,
}

impl TokenInfo {
    /// Returns the reasons why the service will probably refuse the token at this time, in milliseconds since 1970.
    ///
    /// With a `user` also whether that user can log in with it. The vendor's builders take a user's UUID in place of the
    /// id: a token that names one is not held against any user. With an `app_id` also whether it is for that app; letter
    /// case makes no difference. (An [`AppKey`](crate::AppKey) does not tell its app id.)
    ///
    /// ```
    /// use agora_chat::{UserId, token::{ChatTokenBuilder, TokenProblem}};
    /// use std::time::Duration;
    /// # let builder = ChatTokenBuilder::new("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")?;
    /// let (alice, bob): (UserId, UserId) = ("alice".parse()?, "bob".parse()?);
    /// let token = builder.user(&alice, Duration::from_secs(600))?.build(1_700_000_000, 1);
    /// assert!(token.inspect().problems(1_700_000_599_999, Some(&alice), None).is_empty());
    /// let problems = token.inspect().problems(1_700_000_600_000, Some(&bob), None);
    /// assert!(matches!(problems[..], [TokenProblem::Expired(0), TokenProblem::OtherUser { .. }]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn problems(&self, now_ms: u64, user: Option<&UserId>, app_id: Option<&str>) -> Vec<TokenProblem> {
        if self.kind == TokenKind::Damaged {
            return vec![TokenProblem::Damaged];
        }
        let expired =
            self.expires_at.and_then(|end| now_ms.checked_sub(end)).map(|ago| TokenProblem::Expired(ago / 1000));
        let other_app =
            app_id.zip(self.app_id.as_deref()).filter(|(expected, found)| !expected.eq_ignore_ascii_case(found));
        let other_app = other_app
            .map(|(expected, found)| TokenProblem::OtherApp { found: found.to_owned(), expected: expected.to_owned() });
        let unfit = (self.kind == TokenKind::AccessToken2).then(|| self.unfit(user)).flatten();
        [expired, other_app, unfit].into_iter().flatten().collect()
    }

    /// Returns whether an Agora token is for chat, and for this user if it matters.
    fn unfit(&self, user: Option<&UserId>) -> Option<TokenProblem> {
        if !self.services.contains(&TokenInfo::CHAT) {
            let all_seen = self.services.last().is_none_or(|&last| is_known(last));
            return all_seen.then_some(TokenProblem::NotForChat);
        }
        let expected = user?.as_str();
        match self.user.as_deref() {
            None => Some(TokenProblem::ForApp),
            Some(found) if found.eq_ignore_ascii_case(expected) || is_uuid(found) => None,
            Some(found) => Some(TokenProblem::OtherUser { found: found.to_owned(), expected: expected.to_owned() }),
        }
    }
}

/// Returns whether a user is named as the service's own UUIDs are written.
fn is_uuid(user: &str) -> bool {
    let parts = user.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    parts.eq([8, 4, 4, 4, 12].map(Some))
}
