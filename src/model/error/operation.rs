//! The REST calls by their names: one row of the table [`operations!`] for each.

use std::fmt;

/// Expands a macro over the table of all REST calls. A row has the name of the call with its docs, the words for it in
/// errors, and what [`rest`](crate::rest) has to know of it: the budget of calls it counts against, what its body is
/// sent as, and flags. The columns are explained at `Spec`, in `rest/spec.rs`.
macro_rules! operations {
    ($expand:ident) => {
        $expand! {
            /// Open registration of one user (connection spec §3.1).
            RegisterUser "registration" Users Json waits;
            /// Registration of one user by an app token (connection spec §3.1).
            RegisterUserAsApp "registration by app token" Users Json waits;
            /// Registration of a batch of users by an app token (connection spec §3.1).
            RegisterUsers "registration of a batch of users" Users Json waits;
            /// A token for a user's password (connection spec §3.2).
            PasswordToken "token request" Tokens Json;
            /// A user token for an Agora token (connection spec §3.3).
            ExchangeAgoraToken "exchange of an Agora token" Tokens Json;
            /// When a token ends (connection spec §3.4).
            TokenExpiry "query of a token's end" Own Json;
            /// An app token for client credentials.
            AppToken "app token request" Tokens Json;
            /// The service's addresses (connection spec §2).
            Discovery "service discovery" Own None;
            /// Deletion of a user by an app token.
            DeleteUser "deletion" Users Json waits names_user;
            /// Another password for a user by an app token.
            ChangePassword "change of password" Users Json waits names_user;
            /// The end of a user's deactivation by an app token.
            ActivateUser "activation" Users Json waits names_user;
            /// Deactivation of a user by an app token.
            DeactivateUser "deactivation" Users Json waits names_user;
            /// The devices a user is logged in on.
            Devices "list of devices" Users Json waits names_user;
            /// Logout of one device of a user by an app token.
            KickDevice "logout of a device" Users Json waits names_user;
            /// Logout of all devices of a user by an app token.
            KickAll "logout of all devices" Users Json waits names_user;
            /// Upload of a file (messages spec §5.1).
            Upload "upload" Own None session;
            /// Download of a file (messages spec §5.1).
            Download "download" Own None session;
            /// A page of a conversation's history (messages spec §5.3).
            History "history query" Own Json session waits;
            /// Deletion of messages from the history (messages spec §5.3).
            DeleteHistory "deletion from the history" Own Json session waits;
            /// Publishing of the own presence (messages spec §5.2).
            PublishPresence "publishing of presence" Own Json session waits;
            /// Subscription to the presence of users (messages spec §5.2).
            SubscribePresence "subscription to presence" Own Json session waits;
            /// The end of such subscriptions (messages spec §5.2).
            UnsubscribePresence "end of subscriptions to presence" Own Json session waits;
            /// A page of the own subscriptions (messages spec §5.2).
            PresenceSubscriptions "list of subscriptions to presence" Own Json session waits;
            /// The presence of users (messages spec §5.2).
            Presence "presence query" Own Json session waits;
            /// The own attributes set (messages spec §5.5).
            SetAttributes "setting of attributes" Own Form session waits;
            /// The attributes of users (messages spec §5.5).
            Attributes "attributes query" Own Json session waits;
            /// A page of the own conversations (messages spec §5.4).
            Conversations "list of conversations" Own Json session waits;
        }
    };
}

pub(crate) use operations;

macro_rules! define {
    ($($(#[$doc:meta])* $operation:ident $label:literal $budget:ident $body:ident $($flag:ident)*;)*) => {
        /// A REST call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $operation,)*
        }

        impl Operation {
            /// Every call.
            pub const ALL: &[Operation] = &[$(Operation::$operation),*];
        }

        impl fmt::Display for Operation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Operation::$operation => $label,)*
                })
            }
        }
    };
}

operations!(define);
