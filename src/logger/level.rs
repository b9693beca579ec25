//! Levels, and the switch that sets one for all threads at once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use slog::{Drain, FilterLevel, Level, OwnedKVList, Record};

use crate::util::Escaped;

/// Lowest level at which records are written (connection spec §15).
///
/// Numbers and names are the vendor's: 0 `TRACE`, 1 `DEBUG`, 2 `INFO`, 3 `WARN`, 4 `ERROR`, 5 `SILENT`. slog's
/// `Critical` counts as `ERROR`.
///
/// ```
/// use agora_chat::logger::LogLevel;
///
/// assert_eq!("warn".parse(), Ok(LogLevel::Warn));
/// assert_eq!("3".parse(), Ok(LogLevel::Warn));
/// assert_eq!(LogLevel::try_from(3u8), Ok(LogLevel::Warn));
/// assert!("loud".parse::<LogLevel>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LogLevel {
    /// 0: everything.
    Trace = 0,
    /// 1.
    Debug = 1,
    /// 2.
    Info = 2,
    /// 3.
    Warn = 3,
    /// 4.
    Error = 4,
    /// 5: nothing.
    Silent = 5,
}

impl LogLevel {
    /// All levels, in the order of their numbers.
    pub const ALL: [LogLevel; 6] =
        [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Silent];

    /// Returns the level's number, 0 to 5.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the level's name in upper case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "TRACE",
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
            LogLevel::Silent => "SILENT",
        }
    }

    /// Returns whether a record of slog's level is written at this level.
    #[must_use]
    pub fn allows(self, level: Level) -> bool {
        // `Silent` stands above every `LogLevel` a record can have.
        LogLevel::from(level) >= self
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Critical | Level::Error => LogLevel::Error,
            Level::Warning => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        }
    }
}

impl From<LogLevel> for FilterLevel {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => FilterLevel::Trace,
            LogLevel::Debug => FilterLevel::Debug,
            LogLevel::Info => FilterLevel::Info,
            LogLevel::Warn => FilterLevel::Warning,
            LogLevel::Error => FilterLevel::Error,
            LogLevel::Silent => FilterLevel::Off,
        }
    }
}

/// A number or word is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a log level; give 0 to 5, or TRACE, DEBUG, INFO, WARN, ERROR or SILENT in any case", Escaped(.value))]
pub struct InvalidLevel {
    value: String,
}

impl InvalidLevel {
    /// Length in characters at which a refused word is cut.
    const KEPT: usize = 32;

    fn new(value: impl fmt::Display) -> Self {
        InvalidLevel { value: value.to_string().chars().take(Self::KEPT).collect() }
    }
}

impl TryFrom<u8> for LogLevel {
    type Error = InvalidLevel;

    fn try_from(number: u8) -> Result<Self, InvalidLevel> {
        LogLevel::ALL.get(usize::from(number)).copied().ok_or_else(|| InvalidLevel::new(number))
    }
}

impl TryFrom<i64> for LogLevel {
    type Error = InvalidLevel;

    fn try_from(number: i64) -> Result<Self, InvalidLevel> {
        u8::try_from(number).map_err(|_| InvalidLevel::new(number)).and_then(LogLevel::try_from)
    }
}

impl FromStr for LogLevel {
    type Err = InvalidLevel;

    fn from_str(word: &str) -> Result<Self, InvalidLevel> {
        let by_name = |level: &LogLevel| level.name().eq_ignore_ascii_case(word);
        let by_digit = |level: &LogLevel| word.as_bytes() == [b'0' + level.number()];
        LogLevel::ALL
            .into_iter()
            .find(|level| by_name(level) || by_digit(level))
            .ok_or_else(|| InvalidLevel::new(word.escape_debug()))
    }
}

/// A level shared by all clones: every thread sees a change with its next record.
#[derive(Clone, Debug)]
pub struct LevelSwitch(Arc<AtomicU8>);

impl LevelSwitch {
    /// Makes a new switch, set to `level`.
    #[must_use]
    pub fn new(level: LogLevel) -> Self {
        LevelSwitch(Arc::new(AtomicU8::new(level.number())))
    }

    /// Returns the current level.
    #[must_use]
    pub fn get(&self) -> LogLevel {
        // Relaxed, here and below: the level alone is shared, it guards no other memory.
        LogLevel::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(LogLevel::Silent)
    }

    /// Sets the level.
    pub fn set(&self, level: LogLevel) {
        self.0.store(level.number(), Ordering::Relaxed);
    }

    /// Returns whether a record of slog's level is written now.
    #[inline]
    #[must_use]
    pub fn allows(&self, level: Level) -> bool {
        LogLevel::from(level).number() >= self.0.load(Ordering::Relaxed)
    }
}

/// Drain that passes on the records that its switch allows.
///
/// It belongs outside any asynchronous drain: inside one, a record would be serialised and queued before it is refused.
#[derive(Clone, Debug)]
pub struct LevelFilter<D> {
    inner: D,
    switch: LevelSwitch,
}

impl<D> LevelFilter<D> {
    /// Puts `switch` in front of `inner`.
    pub fn new(inner: D, switch: LevelSwitch) -> Self {
        LevelFilter { inner, switch }
    }
}

impl<D: Drain> Drain for LevelFilter<D> {
    /// Is `None` for a record that was not passed on.
    type Ok = Option<D::Ok>;
    type Err = D::Err;

    #[inline]
    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<Self::Ok, Self::Err> {
        if self.switch.allows(record.level()) { self.inner.log(record, values).map(Some) } else { Ok(None) }
    }

    #[inline]
    fn is_enabled(&self, level: Level) -> bool {
        self.switch.allows(level) && self.inner.is_enabled(level)
    }

    fn flush(&self) -> Result<(), slog::FlushError> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOG: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

    #[test]
    fn every_name_in_any_case_and_every_number_is_a_level() {
        for (number, level) in (0u8..).zip(LogLevel::ALL) {
            assert_eq!(level.number(), number);
            assert_eq!(LogLevel::try_from(number), Ok(level));
            assert_eq!(LogLevel::try_from(i64::from(number)), Ok(level));
            assert_eq!(number.to_string().parse(), Ok(level));
            let name = level.to_string();
            let mixed: String =
                name.chars().enumerate().map(|(i, c)| if i % 2 == 0 { c.to_ascii_lowercase() } else { c }).collect();
            for word in [name.clone(), name.to_lowercase(), mixed] {
                assert_eq!(word.parse(), Ok(level), "{word}");
            }
        }
    }

    #[test]
    fn anything_else_is_refused_by_an_error_that_says_what_is_accepted() {
        for word in ["", " ", "6", "-1", "2.5", "00", "03", "+3", "warning", " info", "info ", "all", "ınfo", "2\n"] {
            let error = word.parse::<LogLevel>().unwrap_err().to_string();
            assert!(error.contains("0 to 5") && error.contains("SILENT"), "{word:?}: {error}");
        }
        for number in [-1, 6, 7, 255, 256, 258, i64::MIN, i64::MAX] {
            assert!(LogLevel::try_from(number).unwrap_err().to_string().contains(&number.to_string()));
        }
        assert!(LogLevel::try_from(6u8).is_err());
        assert!("x".repeat(1_000_000).parse::<LogLevel>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn a_level_allows_itself_and_all_above_it() {
        for level in LogLevel::ALL {
            let filter = FilterLevel::from(level);
            let switch = LevelSwitch::new(level);
            for slog_level in SLOG {
                let allowed = LogLevel::from(slog_level) >= level;
                assert_eq!(level.allows(slog_level), allowed);
                assert_eq!(switch.allows(slog_level), allowed);
                assert_eq!(filter.accepts(slog_level), allowed);
            }
        }
        assert!(LogLevel::Error.allows(Level::Critical));
        assert!(!LogLevel::Silent.allows(Level::Critical));
        assert!(LogLevel::Trace.allows(Level::Trace));
    }

    #[test]
    fn is_enabled_follows_the_switch_and_the_drain_behind_it() {
        let switch = LevelSwitch::new(LogLevel::Warn);
        assert!(!LevelFilter::new(slog::Discard, switch.clone()).is_enabled(Level::Error));
        let filter = LevelFilter::new(Open, switch.clone());
        assert!(filter.is_enabled(Level::Warning) && !filter.is_enabled(Level::Info));
        switch.set(LogLevel::Info);
        assert!(filter.is_enabled(Level::Info));
        assert_eq!(switch.get(), LogLevel::Info);
    }

    struct Open;

    impl Drain for Open {
        type Ok = ();
        type Err = slog::Never;

        fn log(&self, _: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
            Ok(())
        }
    }
}
