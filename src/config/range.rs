//! Checks of numbers and durations.

use std::{ops::RangeInclusive, time::Duration};

use crate::model::error::ConfigError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the value if it is from `least` to a day.
pub(crate) fn in_range(
    what: &'static str,
    value: Duration,
    least: Duration,
    allowed: &'static str,
) -> Result<Duration, ConfigError> {
    if value < least || value > DAY {
        return Err(ConfigError::Range { what, value: format!("{value:?}"), allowed });
    }
    Ok(value)
}

/// Checks that a number is in a range.
pub(crate) fn count(
    what: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::Range { what, value: value.to_string(), allowed }) }
}
