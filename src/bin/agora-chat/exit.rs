//! Exit statuses.

/// Ended as asked.
pub(crate) const DONE: u8 = 0;
/// It could not start for a reason that may pass: a folder or port in use, a disk.
pub(crate) const NOT_STARTED: u8 = 1;
/// The command line, or a file that it names, is wrong; as clap's own.
pub(crate) const USAGE: u8 = 2;
/// Nobody reads standard output any more.
pub(crate) const NOBODY_READS: u8 = 6;
/// A second signal cut the end short.
pub(crate) const INTERRUPTED: u8 = 130;
