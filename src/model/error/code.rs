//! The vendor's numeric codes (connection spec §14, messages spec §6).

use std::fmt;

/// A numeric code of the vendor's table (connection spec §14).
///
/// Codes are stable: the same number stands in the event, the log record and the error. Numbers
/// this crate does not know are kept.
///
/// ```
/// use agora_chat::Code;
/// assert_eq!(Code::USER_LOGIN_ANOTHER_DEVICE.number(), 206);
/// assert_eq!(Code::from(206).name(), Some("WEBIM_CONNCTION_USER_LOGIN_ANOTHER_DEVICE"));
/// assert_eq!(Code::from(206).to_string(), "206");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Code(i32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $wire:literal;)*) => {
        impl Code {
            $(
                #[doc = concat!("`", $wire, "`")]
                $(#[$doc])*
                pub const $name: Code = Code($number);
            )*

            /// Every code of the table, in ascending order.
            pub const ALL: &'static [Code] = &[$(Code($number)),*];

            /// Returns the vendor's name of the number, as the vendor spells it; `None` for an unknown number.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($wire),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    REQUEST_ABORT = -4, "REQUEST_ABORT";
    REQUEST_PARAMETER_ERROR = -3, "REQUEST_PARAMETER_ERROR";
    REQUEST_UNKNOWN = -2, "REQUEST_UNKNOWN";
    REQUEST_TIMEOUT = -1, "REQUEST_TIMEOUT";
    /// The vendor gives 0 to `REQUEST_SUCCESS` too.
    USER_NOT_ASSIGNED = 0, "WEBIM_CONNCTION_USER_NOT_ASSIGN_ERROR";
    OPEN_ERROR = 1, "WEBIM_CONNCTION_OPEN_ERROR";
    AUTH_ERROR = 2, "WEBIM_CONNCTION_AUTH_ERROR";
    TOKEN_EXCHANGE_FAILED = 12, "WEBIM_CONNCTION_GETROSTER_ERROR";
    DISCONNECTED = 16, "WEBIM_CONNCTION_DISCONNECTED";
    REST_ERROR = 17, "WEBIM_CONNCTION_AJAX_ERROR";
    APP_KEY_NOT_ASSIGNED = 27, "WEBIM_CONNCTION_APPKEY_NOT_ASSIGN_ERROR";
    INVALID_TOKEN = 28, "WEBIM_CONNCTION_TOKEN_NOT_ASSIGN_ERROR";
    CALLBACK_INNER_ERROR = 31, "WEBIM_CONNCTION_CALLBACK_INNER_ERROR";
    CLIENT_OFFLINE = 32, "WEBIM_CONNCTION_CLIENT_OFFLINE";
    CONNECTION_CLOSED = 39, "WEBIM_CONNECTION_CLOSED";
    CONNECTION_ERROR = 40, "WEBIM_CONNECTION_ERROR";
    MAX_LIMIT = 50, "MAX_LIMIT";
    MESSAGE_NOT_FOUND = 51, "MESSAGE_NOT_FOUND";
    NO_PERMISSION = 52, "NO_PERMISSION";
    OPERATION_UNSUPPORTED = 53, "OPERATION_UNSUPPORTED";
    OPERATION_NOT_ALLOWED = 54, "OPERATION_NOT_ALLOWED";
    TOKEN_EXPIRED = 56, "WEBIM_TOKEN_EXPIRED";
    SERVING_DISABLED = 57, "WEBIM_SERVER_SERVING_DISABLED";
    UPLOAD_FAILED = 101, "WEBIM_UPLOADFILE_ERROR";
    DOWNLOAD_FAILED = 200, "WEBIM_DOWNLOADFILE_ERROR";
    /// Messages spec §6.
    PARSE_FILE_ERROR = 203, "PARSE_FILE_ERROR";
    USER_NOT_FOUND = 204, "USER_NOT_FOUND";
    MESSAGE_PARAMETER_ERROR = 205, "MESSAGE_PARAMETER_ERROR";
    USER_LOGIN_ANOTHER_DEVICE = 206, "WEBIM_CONNCTION_USER_LOGIN_ANOTHER_DEVICE";
    USER_REMOVED = 207, "WEBIM_CONNCTION_USER_REMOVED";
    USER_ALREADY_LOGIN = 208, "WEBIM_USER_ALREADY_LOGIN";
    TOO_MANY_DEVICES = 214, "USER_LOGIN_TOO_MANY_DEVICES";
    KICKED_BY_CHANGE_PASSWORD = 216, "WEBIM_CONNCTION_USER_KICKED_BY_CHANGE_PASSWORD";
    KICKED_BY_OTHER_DEVICE = 217, "WEBIM_CONNCTION_USER_KICKED_BY_OTHER_DEVICE";
    USER_MUTED_BY_ADMIN = 219, "USER_MUTED_BY_ADMIN";
    DEVICE_CHANGED = 220, "USER_DEVICE_CHANGED";
    USER_NOT_FRIEND = 221, "USER_NOT_FRIEND";
    FILE_FORBIDDEN = 222, "WEBIM_DOWNLOADFILE_ERROR_NO_PERMISSION";
    FILE_EXPIRED = 223, "WEBIM_DOWNLOADFILE_ERROR_EXPIRED";
    DISCOVERY_FAILED = 304, "SERVER_GET_DNSLIST_FAILED";
    SERVER_BUSY = 500, "SERVER_BUSY";
    ILLEGAL_CONTENT = 501, "MESSAGE_INCLUDE_ILLEGAL_CONTENT";
    EXTERNAL_LOGIC_BLOCKED = 502, "MESSAGE_EXTERNAL_LOGIC_BLOCKED";
    SERVER_UNKNOWN_ERROR = 503, "SERVER_UNKNOWN_ERROR";
    RECALL_TIME_LIMIT = 504, "MESSAGE_RECALL_TIME_LIMIT";
    SERVICE_NOT_ENABLED = 505, "SERVICE_NOT_ENABLED";
    NOT_IN_ALLOW_LIST = 506, "SERVICE_NOT_ALLOW_MESSAGING";
    MUTED = 507, "SERVICE_NOT_ALLOW_MESSAGING_MUTE";
    MODERATION_BLOCKED = 508, "MESSAGE_MODERATION_BLOCKED";
    RATE_LIMITED = 509, "MESSAGE_CURRENT_LIMITING";
    SEND_DISCONNECTED = 510, "MESSAGE_WEBSOCKET_DISCONNECTED";
    MESSAGE_TOO_LARGE = 511, "MESSAGE_SIZE_LIMIT";
    SEND_TIMEOUT = 512, "MESSAGE_SEND_TIMEOUT";
    GROUP_ALREADY_JOINED = 601, "GROUP_ALREADY_JOINED";
    GROUP_NOT_JOINED = 602, "GROUP_NOT_JOINED";
    PERMISSION_DENIED = 603, "PERMISSION_DENIED";
    LOAD_MESSAGE_ERROR = 604, "WEBIM_LOAD_MSG_ERROR";
    GROUP_NOT_EXIST = 605, "GROUP_NOT_EXIST";
    GROUP_MEMBERS_FULL = 606, "GROUP_MEMBERS_FULL";
    GROUP_MEMBERS_LIMIT = 607, "GROUP_MEMBERS_LIMIT";
    GROUP_IS_DISABLED = 608, "GROUP_IS_DISABLED";
    MEMBER_ATTRIBUTES_FAILED = 609, "GROUP_MEMBER_ATTRIBUTES_SET_FAILED";
    REST_PARAMS_STATUS = 700, "REST_PARAMS_STATUS";
    CHATROOM_NOT_JOINED = 702, "CHATROOM_NOT_JOINED";
    CHATROOM_MEMBERS_FULL = 704, "CHATROOM_MEMBERS_FULL";
    CHATROOM_NOT_EXIST = 705, "CHATROOM_NOT_EXIST";
    SDK_RUNTIME_ERROR = 999, "SDK_RUNTIME_ERROR";
    PRESENCE_TOO_LONG = 1100, "PRESENCE_PARAM_EXCEED";
    REACTION_ALREADY_ADDED = 1101, "REACTION_ALREADY_ADDED";
    REACTION_CREATING = 1102, "REACTION_CREATING";
    REACTION_ILLEGAL = 1103, "REACTION_OPERATION_IS_ILLEGAL";
    TRANSLATION_FAILED = 1204, "TRANSLATION_FAILED";
    THREAD_NOT_EXIST = 1300, "THREAD_NOT_EXIST";
    THREAD_ALREADY_EXIST = 1301, "THREAD_ALREADY_EXIST";
    EDIT_NOT_EXIST = 1302, "MODIFY_MESSAGE_NOT_EXIST";
    EDIT_FORMAT_ERROR = 1303, "MODIFY_MESSAGE_FORMAT_ERROR";
    EDIT_FAILED = 1304, "MODIFY_MESSAGE_FAILED";
    CONVERSATION_NOT_EXIST = 1400, "CONVERSATION_NOT_EXIST";
}

impl Code {
    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl From<i32> for Code {
    fn from(number: i32) -> Self {
        Code(number)
    }
}

impl From<Code> for i32 {
    fn from(code: Code) -> Self {
        code.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    /// Connection spec §14 as published, number by number, kept apart from the macro so that a slip in one shows.
    const PUBLISHED: &[(i32, &str)] = &[
        (-4, "REQUEST_ABORT"),
        (-3, "REQUEST_PARAMETER_ERROR"),
        (-2, "REQUEST_UNKNOWN"),
        (-1, "REQUEST_TIMEOUT"),
        (0, "WEBIM_CONNCTION_USER_NOT_ASSIGN_ERROR"),
        (1, "WEBIM_CONNCTION_OPEN_ERROR"),
        (2, "WEBIM_CONNCTION_AUTH_ERROR"),
        (12, "WEBIM_CONNCTION_GETROSTER_ERROR"),
        (16, "WEBIM_CONNCTION_DISCONNECTED"),
        (17, "WEBIM_CONNCTION_AJAX_ERROR"),
        (27, "WEBIM_CONNCTION_APPKEY_NOT_ASSIGN_ERROR"),
        (28, "WEBIM_CONNCTION_TOKEN_NOT_ASSIGN_ERROR"),
        (31, "WEBIM_CONNCTION_CALLBACK_INNER_ERROR"),
        (32, "WEBIM_CONNCTION_CLIENT_OFFLINE"),
        (39, "WEBIM_CONNECTION_CLOSED"),
        (40, "WEBIM_CONNECTION_ERROR"),
        (50, "MAX_LIMIT"),
        (51, "MESSAGE_NOT_FOUND"),
        (52, "NO_PERMISSION"),
        (53, "OPERATION_UNSUPPORTED"),
        (54, "OPERATION_NOT_ALLOWED"),
        (56, "WEBIM_TOKEN_EXPIRED"),
        (57, "WEBIM_SERVER_SERVING_DISABLED"),
        (101, "WEBIM_UPLOADFILE_ERROR"),
        (200, "WEBIM_DOWNLOADFILE_ERROR"),
        (203, "PARSE_FILE_ERROR"),
        (204, "USER_NOT_FOUND"),
        (205, "MESSAGE_PARAMETER_ERROR"),
        (206, "WEBIM_CONNCTION_USER_LOGIN_ANOTHER_DEVICE"),
        (207, "WEBIM_CONNCTION_USER_REMOVED"),
        (208, "WEBIM_USER_ALREADY_LOGIN"),
        (214, "USER_LOGIN_TOO_MANY_DEVICES"),
        (216, "WEBIM_CONNCTION_USER_KICKED_BY_CHANGE_PASSWORD"),
        (217, "WEBIM_CONNCTION_USER_KICKED_BY_OTHER_DEVICE"),
        (219, "USER_MUTED_BY_ADMIN"),
        (220, "USER_DEVICE_CHANGED"),
        (221, "USER_NOT_FRIEND"),
        (222, "WEBIM_DOWNLOADFILE_ERROR_NO_PERMISSION"),
        (223, "WEBIM_DOWNLOADFILE_ERROR_EXPIRED"),
        (304, "SERVER_GET_DNSLIST_FAILED"),
        (500, "SERVER_BUSY"),
        (501, "MESSAGE_INCLUDE_ILLEGAL_CONTENT"),
        (502, "MESSAGE_EXTERNAL_LOGIC_BLOCKED"),
        (503, "SERVER_UNKNOWN_ERROR"),
        (504, "MESSAGE_RECALL_TIME_LIMIT"),
        (505, "SERVICE_NOT_ENABLED"),
        (506, "SERVICE_NOT_ALLOW_MESSAGING"),
        (507, "SERVICE_NOT_ALLOW_MESSAGING_MUTE"),
        (508, "MESSAGE_MODERATION_BLOCKED"),
        (509, "MESSAGE_CURRENT_LIMITING"),
        (510, "MESSAGE_WEBSOCKET_DISCONNECTED"),
        (511, "MESSAGE_SIZE_LIMIT"),
        (512, "MESSAGE_SEND_TIMEOUT"),
        (601, "GROUP_ALREADY_JOINED"),
        (602, "GROUP_NOT_JOINED"),
        (603, "PERMISSION_DENIED"),
        (604, "WEBIM_LOAD_MSG_ERROR"),
        (605, "GROUP_NOT_EXIST"),
        (606, "GROUP_MEMBERS_FULL"),
        (607, "GROUP_MEMBERS_LIMIT"),
        (608, "GROUP_IS_DISABLED"),
        (609, "GROUP_MEMBER_ATTRIBUTES_SET_FAILED"),
        (700, "REST_PARAMS_STATUS"),
        (702, "CHATROOM_NOT_JOINED"),
        (704, "CHATROOM_MEMBERS_FULL"),
        (705, "CHATROOM_NOT_EXIST"),
        (999, "SDK_RUNTIME_ERROR"),
        (1100, "PRESENCE_PARAM_EXCEED"),
        (1101, "REACTION_ALREADY_ADDED"),
        (1102, "REACTION_CREATING"),
        (1103, "REACTION_OPERATION_IS_ILLEGAL"),
        (1204, "TRANSLATION_FAILED"),
        (1300, "THREAD_NOT_EXIST"),
        (1301, "THREAD_ALREADY_EXIST"),
        (1302, "MODIFY_MESSAGE_NOT_EXIST"),
        (1303, "MODIFY_MESSAGE_FORMAT_ERROR"),
        (1304, "MODIFY_MESSAGE_FAILED"),
        (1400, "CONVERSATION_NOT_EXIST"),
    ];

    #[test]
    fn every_published_code_keeps_its_number_and_name() {
        let ours: Vec<_> = Code::ALL.iter().map(|c| (c.number(), c.name().unwrap_or("?"))).collect();
        assert_eq!(ours, PUBLISHED);
    }

    #[test]
    fn an_unknown_number_is_kept() {
        assert_eq!(Code::from(4242).number(), 4242);
        assert_eq!(Code::from(4242).name(), None);
    }
}
