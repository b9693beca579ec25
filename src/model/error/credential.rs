use crate::{
    model::account::{Nickname, UserId},
    util::Escaped,
};

/// A credential or profile value that would be refused by the service; nothing was sent.
///
/// The value itself is named only where it is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// No user id was given.
    #[error("the user id is empty")]
    EmptyUserId,
    /// The user id is longer than 64 bytes.
    #[error("the user id has {0} bytes; at most {max} are allowed", max = UserId::MAX_BYTES)]
    UserIdTooLong(usize),
    /// A character outside `a-z A-Z 0-9 _ - .` in a user id.
    #[error("user id `{}`: the character {found:?} is not one of a-z A-Z 0-9 _ - .", Escaped(.user))]
    UserIdCharacter {
        /// The refused user id.
        user: String,
        /// The first character that may not stand in one.
        found: char,
    },
    /// The user id is `.` or `..`, which in the path of a REST call is a step and no name.
    #[error("the user id must not be `.` or `..`")]
    UserIdStep,
    /// No password was given.
    #[error("the password is empty")]
    EmptyPassword,
    /// The nickname is longer than 100 characters.
    #[error("the nickname has {0} characters; at most {max} are allowed", max = Nickname::MAX_CHARS)]
    NicknameTooLong(usize),
    /// No token was given.
    #[error("the token is empty")]
    EmptyToken,
    /// A token that cannot be put into an HTTP header.
    #[error("the token holds white space or a control or non-ASCII character")]
    TokenCharacter,
}
