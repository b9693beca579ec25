use crate::{model::account::AppKeyError, util::Escaped};

/// A configuration that cannot work; nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The app key is malformed.
    #[error(transparent)]
    AppKey(#[from] AppKeyError),
    /// An address is malformed or of a scheme that cannot be used there.
    #[error("{what} address `{}`: {problem}", Escaped(.address))]
    Address {
        /// The kind of address.
        what: &'static str,
        /// The address as given.
        address: String,
        /// The problem.
        problem: &'static str,
    },
    /// A list of addresses is empty.
    #[error("no {0} address was given")]
    NoAddress(&'static str),
    /// A device name, id or extension is malformed.
    #[error("{what} `{}`: {problem}", Escaped(.value))]
    Device {
        /// The name of the value.
        what: &'static str,
        /// The value as given.
        value: String,
        /// The problem.
        problem: &'static str,
    },
    /// A number or a duration is out of its range.
    #[error("{what} is {}; it must be {allowed}", Escaped(.value))]
    Range {
        /// The setting.
        what: &'static str,
        /// The value as given.
        value: String,
        /// The allowed range.
        allowed: &'static str,
    },
}
