//! The setting of a state folder.

use crate::store::StateDir;

use crate::config::Config;

impl Config {
    /// Keeps each account's device identity and token in this folder over restarts. Default: nothing is kept.
    ///
    /// The kept resource and device id go before random ones and not before those given by
    /// [`device`](Config::device); name and platform number are the configuration's. A login by password tries the
    /// kept token first, while it lasts, and fetches a new one when the service refuses it. A login by token uses the
    /// token given, and keeps it.
    ///
    /// `open` waits at most 5 s for two small files to be read, and one to be written at an account's first login. All of
    /// it is done on threads of the crate's own, one piece of work at a time for each account.
    #[must_use]
    pub fn state_dir(mut self, state: StateDir) -> Self {
        self.state_dir = Some(state);
        self
    }
}
