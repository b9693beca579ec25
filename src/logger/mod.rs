//! Logging: [slog](https://docs.rs/slog) with a level that changes at run time, to the terminal and a rotating file.
//!
//! A record passes the [`LevelFilter`] first, in the caller's thread: when its level is off, that is all it costs.
//! Otherwise it goes into a bounded queue, and one thread of the logger's own writes it, so that neither a slow disk
//! nor a stopped terminal ever holds up an arbiter. Records that do not fit into the queue are counted
//! ([`LogHandle::dropped`]) and reported by a line in their place.
//!
//! A line is the local time at which the record was made, the level, the message, and the key-value pairs:
//! `2026-02-03T09:20:37.962+01:00 INFO  connected, user: alice, attempt: 2`. Control characters, line separators and
//! controls of writing direction in messages and values are escaped, so that text from the network can neither forge a
//! line nor command the terminal. A line is cut after 64 KiB.
//!
//! Nothing here is global: two loggers in one process are independent.
//!
//! ```
//! use agora_chat::logger::{LogConfig, LogHandle, LogLevel, Terminal};
//! use slog::{debug, info};
//!
//! # fn main() -> Result<(), agora_chat::logger::LogError> {
//! let log = LogHandle::start(LogConfig::new().terminal(Terminal::Stdout).level(LogLevel::Info))?;
//! let logger = log.slog();
//! info!(logger, "ready"; "port" => 8080);
//! debug!(logger, "not written: the level is INFO");
//! log.set_level(LogLevel::Debug);
//! debug!(logger, "written");
//! log.shutdown_blocking(std::time::Duration::from_secs(1))?;
//! # Ok(())
//! # }
//! ```
//!
//! # At the end
//! Await [`LogHandle::shutdown`] (or send [`Shutdown`]) as the last thing: it writes all that is queued and waits for
//! it. Dropping the last handle and the last `slog::Logger` does the same, but holds the thread for up to a second.
//! `std::process::exit` skips both: flush before it.
//!
//! # Levels in release builds
//! slog removes records above its *static* level when it is compiled. This crate asks for `release_max_level_trace`, so
//! every level can be switched on in release builds too, unless another crate of the build asks for a lower one: the
//! lowest wins.

mod actor;
mod config;
mod file;
mod handle;
mod level;
mod line;
mod queue;

pub use crate::util::Escaped;
pub use actor::{DisableAll, EnableAll, Flush, GetLevel, LoggerActor, Reopen, SetLevel, Shutdown};
pub use config::{LogConfig, LogError, Terminal};
pub use handle::LogHandle;
pub use level::{InvalidLevel, LevelFilter, LevelSwitch, LogLevel};
