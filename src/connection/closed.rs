/// Outcome of [`Connection::close`](super::Connection::close).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Closed {
    /// The server has answered LOGOUT: it knows that the account is offline here.
    LoggedOut,
    /// There was no session to end.
    NotLoggedIn,
    /// The session ended on this side alone: the link was down or not up yet, or LOGOUT was not answered within
    /// [`ConfigBuilder::logout_timeout`](crate::ConfigBuilder::logout_timeout). The server may show the account as
    /// online until it notices that the link is gone.
    Cut,
    /// The connection's actor ended first, with its arbiter or by a panic: nobody was left to wait for the server's
    /// answer, and LOGOUT may not have left. [`Connection::ended`](super::Connection::ended) says why.
    ///
    /// A program that sees this stops its actix system before its connections are closed. `actix_web::HttpServer` does
    /// so on SIGTERM and SIGINT unless it is told to `disable_signals()`: see the [module's
    /// page](crate::connection#at-the-end-of-a-program).
    ActorGone,
}

impl Closed {
    /// Returns whether nothing is left of the session on either side.
    #[must_use]
    pub const fn is_clean(self) -> bool {
        matches!(self, Closed::LoggedOut | Closed::NotLoggedIn)
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Closed::LoggedOut => "logged out",
            Closed::NotLoggedIn => "nobody was logged in",
            Closed::Cut => "closed without the server's answer; it may show the account as online for a while",
            Closed::ActorGone => {
                "the connection's actor ended before it was closed; close connections before their actix system stops"
            }
        })
    }
}
