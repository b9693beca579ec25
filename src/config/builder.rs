//! The settings of a configuration, in any order.

use std::{net::IpAddr, time::Duration};

use super::{Addresses, Config, Endpoints, KickPolicy, Limits, Reconnect, range::in_range};
#[cfg(doc)]
use crate::config::Flapping;
use crate::{
    model::error::ConfigError,
    net::{Proxy, Roots},
    store::StateDir,
    util::{impls::setters, lent},
};

/// A [`Config`] that is being put together, from [`Config::builder`].
///
/// Setters never fail and may come in any order; [`build`](Self::build) checks everything once.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder(pub(super) Config);

impl ConfigBuilder {
    /// Uses one REST base and one WebSocket address instead of discovery. Those of another machine must be encrypted
    /// (`https`, `wss`), unless [`allow_plaintext`](Self::allow_plaintext) is given.
    pub fn addresses(self, rest: impl Into<String>, socket: impl Into<String>) -> Self {
        self.endpoints(Endpoints::Fixed(Addresses { rest: vec![rest.into()], socket: vec![socket.into()] }))
    }

    setters! {
        /// Sets the endpoints of the service. Default: discovery over the vendor's bootstrap hosts.
        endpoints(endpoints: Endpoints) |this| this.0.endpoints = endpoints;

        /// Persists each account's device identity and token in this folder. Default: nothing is persisted.
        ///
        /// The stored resource and device id take precedence over random ones, but not over those given by
        /// [`Account::device`](crate::Account::device); name and platform number are the account's. A login by password
        /// tries the stored token first, while it is valid, and fetches a new one if the service refuses it. A login by
        /// token uses and stores the token given.
        ///
        /// `open` waits at most 5 s for 2 small files to be read, and for one to be written at an account's first
        /// login. File access happens on threads of the crate's own, one operation at a time for each account.
        state_dir(state: StateDir) |this| this.0.state_dir = Some(state);

        /// Sets the policy of reconnecting. Default: [`Reconnect::default`].
        reconnect(reconnect: Reconnect) |this| this.0.reconnect = reconnect;

        /// Sends a heartbeat (UNREAD) after `idle` without any frame from the server, and twice `idle` after the last
        /// one at the latest; gives the link up if nothing arrives for `answer` after it. Pings count as signs of life,
        /// but not as frames. Defaults: 30 s and 10 s (connection spec §7.1).
        heartbeat(idle: Duration, answer: Duration) |this| {
            this.0.heartbeat_idle = idle;
            this.0.heartbeat_answer = answer;
        };

        /// Limits connecting: `connect` for DNS, TCP, TLS and upgrade together, `provision` for PROVISION's answer.
        /// Defaults: 10 s each (connection spec §4).
        connect_timeouts(connect: Duration, provision: Duration) |this| {
            this.0.connect_timeout = connect;
            this.0.provision_timeout = provision;
        };

        /// Limits one REST call at one host; where several are tried, each has this limit. Default: 15 s (connection
        /// spec §3).
        rest_timeout(limit: Duration) |this| this.0.rest_timeout = limit;

        /// Retries the first login by [`open`](crate::Connection::open) until it succeeds, instead of 3 attempts within
        /// [`login_deadline`](Self::login_deadline). Default: `false`.
        ///
        /// For a program that starts before its service or its network is up. `open` then waits without a limit. It
        /// ends when the login is accepted, when something fails for good
        /// ([`OpenError::is_final`](crate::OpenError::is_final): a wrong password, a refused token), with
        /// [`close`](crate::Connection::close), or after [`Reconnect::max_attempts`] failed attempts where that is set.
        /// The pauses are those of [`reconnect`](Self::reconnect), even if reconnecting is disabled there. Each failed
        /// attempt is published as [`Reconnecting`](crate::EventKind::Reconnecting); meanwhile the state is
        /// [`LoggingIn`](crate::ConnectionState::LoggingIn), and [`Health`](crate::connection::Health) has the attempts
        /// and the last cause.
        ///
        /// ```
        /// use agora_chat::Config;
        /// let config = Config::builder("org#app").keep_trying_first_login(true).build()?;
        /// # Ok::<(), agora_chat::errors::ConfigError>(())
        /// ```
        keep_trying_first_login(keep_trying: bool) |this| this.0.keep_trying_first_login = keep_trying;

        /// Limits a login as a whole, from `open` to its answer, including pauses, also those that the service
        /// requests. It has no effect with [`keep_trying_first_login`](Self::keep_trying_first_login). Default: 30 s.
        login_deadline(limit: Duration) |this| this.0.login_deadline = limit;

        /// Limits one request for a session's next token, to a [`TokenProvider`](crate::TokenProvider) or by password.
        /// Default: 30 s.
        token_timeout(limit: Duration) |this| this.0.token_timeout = limit;

        /// Limits the wait for the answer to LOGOUT, and so `close`; zero does not wait. Default: 2 s.
        logout_timeout(limit: Duration) |this| this.0.logout_timeout = limit;

        /// Limits the wait for the answer to a sent message; past it the send fails with 512 and the link is given up.
        /// Joining or leaving a chat room has the same limit, and then fails with -1. The time counts from when the
        /// message is written, not from when it is buffered. It restarts with each page that was pulled before the
        /// message was written, and stops while a large message arrives that the answer may be behind. Default: 15 s
        /// (connection spec §8.3, messages spec §1.10).
        send_timeout(limit: Duration) |this| this.0.send_timeout = limit;

        /// Limits how long a message sent while a lost link is being regained waits for the next one; past it the send
        /// fails with [`SendError::Expired`](crate::SendError::Expired), and it was certainly not sent. Their number is
        /// bounded by [`Limits::buffered_sends`]. Default: 60 s, the longest backoff by default.
        ///
        /// Time in which the floor of [`Flapping`] allows no attempt (60 s by default) does not count, so that a
        /// message has an attempt to go with. A longer pause that a server requests, or that [`KickPolicy::RetryAfter`]
        /// makes, does count.
        buffer_sends_for(limit: Duration) |this| this.0.buffer_sends_for = limit;

        /// Rejoins the chat rooms of a session after a reconnect. Default: `true`.
        ///
        /// They are joined before anything else goes over the new link, with the same extension, but never [leaving
        /// others](crate::messages::RoomRequest::leaving_others), so that rooms joined later stay. The first 64 rooms
        /// are rejoined, or as many as fit in 256 KiB. [`RoomLost`](crate::EventKind::RoomLost) reports up to 1 024
        /// rooms beyond them, a room that refuses, and one that does not answer twice. A room is not rejoined once the
        /// application has left it, or the service has reported that it was destroyed or that the account was removed
        /// from it (messages spec §4.2).
        rejoin_rooms(rejoin: bool) |this| this.0.rejoin_rooms = rejoin;

        /// Sends a delivery receipt for every message that arrives from another user, before the application sees it
        /// (messages spec §3). Default: `false`.
        ///
        /// Only single chats have them, including commands; groups, rooms and pieces of streamed texts have none. At
        /// most half of [`Limits::pending_sends`] are receipts, at least one; 1 024 more wait, and further ones are
        /// dropped. One that is not answered has no other effect. The log has the number of those dropped or not
        /// answered.
        delivery_receipts(send: bool) |this| this.0.delivery_receipts = send;

        /// Sets the reaction to a kick by another device. Default: [`KickPolicy::Park`].
        kick_policy(policy: KickPolicy) |this| this.0.kick_policy = policy;

        /// Sets the bounds of one connection. Default: [`Limits::default`].
        limits(limits: Limits) |this| this.0.limits = limits;

        /// Reaches the service through a proxy. Default: [`Proxy::environment`].
        proxy(proxy: Proxy) |this| this.0.network = this.0.network.with_proxy(proxy);

        /// Trusts these root certificates besides the system's. Default: none.
        ///
        /// Connections that share one `Arc<Config>`, or clones of one `Config`, share one TLS configuration.
        extra_roots(roots: Roots) |this| this.0.network = this.0.network.with_roots(roots);

        /// Connects from this address of this machine, WebSocket and REST alike. Default: the system chooses.
        ///
        /// For machines with several addresses, and for more connections to one host than one address has ports (about
        /// 28 000). Hosts are then reached over the address's own family only, IPv4 or IPv6.
        local_address(address: IpAddr) |this| this.0.network = this.0.network.with_local(address);
    }

    /// Allows `http` and `ws` addresses of other machines, over which passwords and tokens travel readable by everybody on
    /// the way. Default: only loopback addresses may be plain, also those from discovery or a redirect, and only if they are
    /// not reached through a proxy on another machine. `localhost` is a loopback address: if it resolves to another one,
    /// that is not used.
    pub fn allow_plaintext(mut self) -> Self {
        self.0.network = self.0.network.with_plaintext();
        self
    }

    /// Logs through this logger, such as [`LogHandle::slog`](crate::LogHandle::slog). Default: nothing is logged.
    ///
    /// It is called on the connection's thread, so it must not block. It may panic, as one that ends in `.fuse()` does
    /// when its disk is full: the record is lost and counted ([`Health::lost_records`](crate::connection::Health::lost_records)), the
    /// first time is reported on stderr, and there is no other effect. One that panics at every record is tried once a second.
    pub fn logger(mut self, logger: slog::Logger) -> Self {
        (self.0.logger, self.0.lost_records) = lent::guarded(&logger);
        self
    }

    /// Checks all settings and returns the configuration.
    ///
    /// # Errors
    /// - [`ConfigError::AppKey`] for a malformed app key.
    /// - [`ConfigError::Address`] for a malformed address, a scheme other than `http`/`https` and `ws`/`wss`, or an address
    ///   of another machine that is not encrypted; [`ConfigError::NoAddress`] for an empty list.
    /// - [`ConfigError::Range`] for a number or a duration out of its range. Timeouts are from 10 ms to a day (that of
    ///   LOGOUT from zero); the ranges of [`Reconnect`], [`Flapping`](crate::config::Flapping), [`KickPolicy`] and [`Limits`]
    ///   are documented at their fields.
    pub fn build(mut self) -> Result<Config, ConfigError> {
        let config = &mut self.0;
        config.app_key = config.app_key.as_str().parse()?;
        config.endpoints.check(&config.network)?;
        config.reconnect.check()?;
        config.kick_policy.check()?;
        config.limits.check()?;
        for (what, limit) in [
            ("the heartbeat idle time", config.heartbeat_idle),
            ("the heartbeat answer time", config.heartbeat_answer),
            ("the connect timeout", config.connect_timeout),
            ("the PROVISION timeout", config.provision_timeout),
            ("the REST timeout", config.rest_timeout),
            ("the login deadline", config.login_deadline),
            ("the token timeout", config.token_timeout),
            ("the send timeout", config.send_timeout),
            ("the time sends are buffered for", config.buffer_sends_for),
        ] {
            in_range(what, limit, Duration::from_millis(10), "from 10 ms to a day")?;
        }
        in_range("the logout timeout", config.logout_timeout, Duration::ZERO, "at most a day")?;
        Ok(self.0)
    }
}
