//! Pauses that a server asks for: `Retry-After`.

use std::time::{Duration, SystemTime};

/// Longest pause accepted from a server.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the time of an answer: its own `Date`, which is of the same clock as a date in its `Retry-After`; without
/// one, this machine's time.
pub(crate) fn answered_at(date: Option<&str>) -> SystemTime {
    date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or_else(SystemTime::now)
}

/// Parses the pause of a `Retry-After` header, in seconds or as an HTTP date; `now` is [`answered_at`].
pub(crate) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(value.parse().map_or(MAX_PAUSE, Duration::from_secs).min(MAX_PAUSE));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default().min(MAX_PAUSE))
}
