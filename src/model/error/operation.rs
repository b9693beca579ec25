//! The REST calls by their names.

use std::fmt;

/// Which REST call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Open registration of one user (connection spec §3.1).
    RegisterUser,
    /// Registration of one user by an app token (connection spec §3.1).
    RegisterUserAsApp,
    /// Registration of a batch of users by an app token (connection spec §3.1).
    RegisterUsers,
    /// A token for a user's password (connection spec §3.2).
    PasswordToken,
    /// A user token for an Agora token (connection spec §3.3).
    ExchangeAgoraToken,
    /// When a token ends (connection spec §3.4).
    TokenExpiry,
    /// An app token for client credentials.
    AppToken,
    /// The service's addresses (connection spec §2).
    Discovery,
    /// Deletion of a user by an app token.
    DeleteUser,
    /// Another password for a user by an app token.
    ChangePassword,
    /// The end of a user's deactivation by an app token.
    ActivateUser,
    /// Deactivation of a user by an app token.
    DeactivateUser,
    /// The devices a user is logged in on.
    Devices,
    /// Logout of one device of a user by an app token.
    KickDevice,
    /// Logout of all devices of a user by an app token.
    KickAll,
    /// Upload of a file (messages spec §5.1).
    Upload,
    /// Download of a file (messages spec §5.1).
    Download,
    /// A page of a conversation's history (messages spec §5.3).
    History,
    /// Deletion of messages from the history (messages spec §5.3).
    DeleteHistory,
    /// The own presence told to others (messages spec §5.2).
    PublishPresence,
    /// Subscription to the presence of users (messages spec §5.2).
    SubscribePresence,
    /// The end of such subscriptions (messages spec §5.2).
    UnsubscribePresence,
    /// A page of the own subscriptions (messages spec §5.2).
    PresenceSubscriptions,
    /// The presence of users (messages spec §5.2).
    Presence,
    /// The own attributes set (messages spec §5.5).
    SetAttributes,
    /// The attributes of users (messages spec §5.5).
    Attributes,
    /// A page of the own conversations (messages spec §5.4).
    Conversations,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::RegisterUser => "registration",
            Operation::RegisterUserAsApp => "registration by app token",
            Operation::RegisterUsers => "registration of a batch of users",
            Operation::PasswordToken => "token request",
            Operation::ExchangeAgoraToken => "exchange of an Agora token",
            Operation::TokenExpiry => "query of a token's end",
            Operation::AppToken => "app token request",
            Operation::Discovery => "service discovery",
            Operation::DeleteUser => "deletion",
            Operation::ChangePassword => "change of password",
            Operation::ActivateUser => "activation",
            Operation::DeactivateUser => "deactivation",
            Operation::Devices => "list of devices",
            Operation::KickDevice => "logout of a device",
            Operation::KickAll => "logout of all devices",
            Operation::Upload => "upload",
            Operation::Download => "download",
            Operation::History => "history query",
            Operation::DeleteHistory => "deletion from the history",
            Operation::PublishPresence => "publishing of presence",
            Operation::SubscribePresence => "subscription to presence",
            Operation::UnsubscribePresence => "end of subscriptions to presence",
            Operation::PresenceSubscriptions => "list of subscriptions to presence",
            Operation::Presence => "presence query",
            Operation::SetAttributes => "setting of attributes",
            Operation::Attributes => "attributes query",
            Operation::Conversations => "list of conversations",
        })
    }
}
