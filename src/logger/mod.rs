//! Logger.
/// stub
pub struct LogLevel;
/// stub
pub struct LoggerActor;
