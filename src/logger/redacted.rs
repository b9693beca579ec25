//! Placeholder for secrets.

use std::fmt;

/// Marks the place of a secret in a log line; it never holds one.
///
/// ```
/// use agora_chat::logger::Redacted;
/// # let logger = slog::Logger::root(slog::Discard, slog::o!());
/// slog::info!(logger, "logging in"; "user" => "alice", "token" => Redacted);
/// assert_eq!(Redacted.to_string(), "<redacted>");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted;

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl slog::Value for Redacted {
    fn serialize(&self, _: &slog::Record<'_>, key: slog::Key, serializer: &mut dyn slog::Serializer) -> slog::Result {
        serializer.emit_str(key, "<redacted>")
    }
}
