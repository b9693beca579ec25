//! The outcome of a request (connection spec §6.3, §8.2).

use super::schema::schema;

schema! {
    /// The outcome of a request.
    #[derive(Eq, Hash)]
    pub struct Status {
        error_code: Option<i32> => (enumeration = "ErrorCode", optional, tag = "1"),
        reason: Option<String> => (string, optional, tag = "2"),
        /// The servers to turn to, with `REDIRECT`.
        redirect_info: Vec<RedirectInfo> => (message, repeated, tag = "3"),
    }

    /// Outcome of a request; its meaning depends on the request (connection spec §6.3, §8.2).
    pub enum ErrorCode {
        Ok = 0 => "OK",
        Fail = 1 => "FAIL",
        Unauthorized = 2 => "UNAUTHORIZED",
        MissingParameter = 3 => "MISSING_PARAMETER",
        WrongParameter = 4 => "WRONG_PARAMETER",
        Redirect = 5 => "REDIRECT",
        TokenExpired = 6 => "TOKEN_EXPIRED",
        PermissionDenied = 7 => "PERMISSION_DENIED",
        NoRoute = 8 => "NO_ROUTE",
        UnknownCommand = 9 => "UNKNOWN_COMMAND",
        PbParserError = 10 => "PB_PARSER_ERROR",
        BindAnotherDevice = 11 => "BIND_ANOTHER_DEVICE",
        ImForbidden = 12 => "IM_FORBIDDEN",
        TooManyDevices = 13 => "TOO_MANY_DEVICES",
        PlatformLimit = 14 => "PLATFORM_LIMIT",
        UserMuted = 15 => "USER_MUTED",
        EncryptDisable = 16 => "ENCRYPT_DISABLE",
        EncryptEnable = 17 => "ENCRYPT_ENABLE",
        DecryptFailure = 18 => "DECRYPT_FAILURE",
        PermissionDeniedExternal = 19 => "PERMISSION_DENIED_EXTERNAL",
        /// Known to newer clients only.
        ResourceChanged = 20 => "RESOURCE_CHANGED",
    }

    /// Another server to turn to.
    #[derive(Eq, Hash)]
    pub struct RedirectInfo {
        host: Option<String> => (string, optional, tag = "1"),
        port: Option<u32> => (uint32, optional, tag = "2"),
    }
}
