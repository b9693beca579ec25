use crate::model::{error::Code, server_text::ServerText};
use std::fmt;

/// The server logged this device out (connection spec §9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kick {
    /// 207: the account was deleted.
    UserRemoved,
    /// 206: the user logged in on another device.
    LoggedInElsewhere {
        /// The other device's login extension, if any: up to 1024 characters as they came, shown without secrets.
        ext: Option<ServerText>,
    },
    /// 216: the password was changed.
    PasswordChanged,
    /// 217: forced off by an API call or from another device.
    ByOtherDevice,
}

impl Kick {
    /// Returns the vendor's number: 206, 207, 216 or 217.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Kick::UserRemoved => Code::USER_REMOVED,
            Kick::LoggedInElsewhere { .. } => Code::USER_LOGIN_ANOTHER_DEVICE,
            Kick::PasswordChanged => Code::KICKED_BY_CHANGE_PASSWORD,
            Kick::ByOtherDevice => Code::KICKED_BY_OTHER_DEVICE,
        }
    }

    /// Reads the kick a `StatisticsBody.operation` stands for; `None` for information (0) and unknown numbers.
    #[must_use]
    pub fn from_operation(operation: i32, reason: Option<String>) -> Option<Self> {
        match operation {
            1 => Some(Kick::UserRemoved),
            2 => Some(Kick::LoggedInElsewhere { ext: reason.map(ServerText::from) }),
            3 => Some(Kick::PasswordChanged),
            4 => Some(Kick::ByOtherDevice),
            _ => None,
        }
    }
}

const OWN_RESOURCE: &str = "log in again to take the place back, and give each program a resource of its own";

impl fmt::Display for Kick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kick::UserRemoved => "the user has been removed; register it again, or log in as another",
            Kick::LoggedInElsewhere { ext: Some(ext) } => {
                return write!(f, "the user has logged in on another device, which says {ext:?}; {OWN_RESOURCE}");
            }
            Kick::LoggedInElsewhere { ext: None } => {
                return write!(f, "the user has logged in on another device; {OWN_RESOURCE}");
            }
            Kick::PasswordChanged => "the password has been changed; log in with the new one",
            Kick::ByOtherDevice => {
                "another device or an administrator has logged the user out; log in again if that was not meant"
            }
        })
    }
}
