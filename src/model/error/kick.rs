use crate::model::{error::Code, server_text::ServerText};

/// The server logged this device out (connection spec §9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kick {
    /// 207: the account was deleted.
    #[error("the user has been removed; register it again, or log in as another")]
    UserRemoved,
    /// 206: the user logged in on another device.
    #[error("the user has logged in on another device{}; {OWN_RESOURCE}", said(.ext.as_ref()))]
    LoggedInElsewhere {
        /// The other device's login extension, if any: up to 1024 characters as they came, shown without secrets.
        ext: Option<ServerText>,
    },
    /// 216: the password was changed.
    #[error("the password has been changed; log in with the new one")]
    PasswordChanged,
    /// 217: forced off by an API call or from another device.
    #[error("another device or an administrator has logged the user out; log in again if that was not meant")]
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

fn said(ext: Option<&ServerText>) -> String {
    ext.map(|ext| format!(", which says {ext:?}")).unwrap_or_default()
}
