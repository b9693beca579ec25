//! Messages and frames to clients, and a view of their activity.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    local_server::{
        data::{QueueName, online_twice},
        error::LocalServerError,
        handle::server::LocalServer,
        net::Outgoing,
        observed::{ClientFrame, LoggedSession, OnlineTwice, RestCall, SessionInfo, Stats},
        rates::{Activity, Rate, Rates},
    },
    model::message::Conversation,
};

impl LocalServer {
    /// Sends a chat message with this encoded `MessageBody` to a user, as if `from` had sent it; `from` need not exist.
    /// Returns the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`] when `to` does not exist.
    pub fn send(&self, from: &str, to: &str, body: Bytes) -> Result<u64, LocalServerError> {
        self.send_to(from, &Conversation::user(to), body)
    }

    /// Sends a text to a user, as if `from` had sent it. Returns the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`] when `to` does not exist.
    pub fn send_text(&self, from: &str, to: &str, text: &str) -> Result<u64, LocalServerError> {
        self.send_text_to(from, &Conversation::user(to), text)
    }

    /// Announces the queue of a conversation to a user's devices, empty or not; returns how many.
    pub fn notice(&self, user: &str, queue: &str) -> usize {
        self.shared.change(|state| state.notice(user, &QueueName::user(queue)))
    }

    /// Sends these bytes as one binary message to a user's devices, unchecked; returns how many.
    pub fn push_frame(&self, user: &str, frame: impl Into<Bytes>) -> usize {
        let frame = frame.into();
        self.push(user, || Outgoing::Binary(frame.clone()))
    }

    /// Sends these bytes as one binary message in fragments of `size` bytes to a user's devices; returns how many.
    pub fn push_fragments(&self, user: &str, frame: impl Into<Bytes>, size: usize) -> usize {
        let frame = frame.into();
        self.push(user, || Outgoing::Fragments(frame.clone(), size))
    }

    /// Sends a WebSocket text message to a user's devices; returns how many.
    pub fn push_text(&self, user: &str, text: &str) -> usize {
        self.push(user, || Outgoing::Text(text.to_owned()))
    }

    /// Sends a WebSocket Close with this code and text to a user's devices; returns how many. The text is cut at 123 bytes.
    pub fn push_close(&self, user: &str, code: u16, text: &str) -> usize {
        let text: String = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= 123).map(|(_, c)| c).collect();
        self.push(user, || Outgoing::Close(code, text.clone()))
    }

    fn push(&self, user: &str, out: impl Fn() -> Outgoing) -> usize {
        self.shared.change(|state| {
            let online = state.users.online(&user.to_lowercase());
            for (id, _) in &online {
                state.push(*id, out());
            }
            online.len()
        })
    }

    /// Returns the devices on which a user is online, the longest logged in first.
    #[must_use]
    pub fn sessions(&self, user: &str) -> Vec<SessionInfo> {
        let user = user.to_lowercase();
        self.shared.read(|state| state.links.devices().filter(|device| device.user == user).cloned().collect())
    }

    /// Returns every device online, the longest logged in first.
    #[must_use]
    pub fn all_sessions(&self) -> Vec<SessionInfo> {
        self.shared.read(|state| state.links.devices().cloned().collect())
    }

    /// Returns the log of sessions in the order in which they began: those online, and the last 100 000 that ended. Older
    /// ones are counted in [`Stats::dropped_sessions`].
    #[must_use]
    pub fn session_log(&self) -> Vec<LoggedSession> {
        let entries = self.shared.read(|state| state.sessions.entries());
        entries.iter().map(|entry| entry.logged()).collect()
    }

    /// Returns the pairs of sessions in which one user was online twice, in the order in which they began to be: at most
    /// the first 10 000 since the start; [`Stats::online_twice`] counts them all.
    ///
    /// A session lasts from its accepted PROVISION, which is in it, to its end, which is not. Two sessions of one user are
    /// a pair if there was an instant in both, whatever their resources: if one began before the other had ended. The
    /// server begins and ends sessions one at a time, and this order decides, not the milliseconds that are shown. A session that
    /// takes the place of another ends it first, so these are no pair. Neither is a pair lost when its sessions are
    /// dropped from the log.
    ///
    /// ```
    /// # use agora_chat::local_server::{LocalServer, LocalServerError};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), LocalServerError> {
    /// let server = LocalServer::start().await?;
    /// // ... clients come and go ...
    /// assert_eq!(server.online_twice(), []);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn online_twice(&self) -> Vec<OnlineTwice> {
        self.shared.read(|state| state.sessions.pairs()).iter().map(online_twice).collect()
    }

    /// Returns the number of devices online.
    #[must_use]
    pub fn online(&self) -> usize {
        self.shared.read(|state| state.links.devices().count())
    }

    /// Returns the last frames a user's devices sent, oldest first: at most 1024 and 4 MiB.
    #[must_use]
    pub fn sent_by(&self, user: &str) -> Vec<ClientFrame> {
        self.shared.read(|state| state.users.frames_of(user))
    }

    /// Returns the last REST and discovery calls, oldest first: at most 4096.
    #[must_use]
    pub fn rest_calls(&self) -> Vec<RestCall> {
        self.shared.read(|state| state.calls.to_vec())
    }

    /// Returns the number of PROVISIONs received, including refused ones.
    #[must_use]
    pub fn provision_count(&self) -> u64 {
        self.shared.read(|state| state.stats.provisions)
    }

    /// Returns the number of TCP links accepted.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.shared.read(|state| state.stats.connects)
    }

    /// Returns every count at once.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.read(|state| state.stats())
    }

    /// Returns how often clients did something, second by second.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agora_chat::local_server::{Activity, LocalServer, LocalServerError};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), LocalServerError> {
    /// let server = LocalServer::start().await?;
    /// // ... clients log in at their pace ...
    /// assert!(server.rate(Activity::Logins).peak_per_second() <= 100);
    /// assert!(server.rate(Activity::Probes).most_within(Duration::from_secs(60)) <= 12);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rate(&self, what: Activity) -> Rate {
        self.shared.look(|state| state.rates.rate(what))
    }

    /// Counts every rate anew from here on.
    pub fn reset_rates(&self) {
        self.shared.change(|state| state.rates = Rates::default());
    }

    /// Waits until a condition holds, checking it again after every change in the server.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agora_chat::local_server::{LocalServer, LocalServerError};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), LocalServerError> {
    /// let server = LocalServer::start().await?;
    /// server.wait_until(Duration::from_secs(5), |server| server.online() == 0).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LocalServerError::TimedOut`] if it does not hold within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut holds: impl FnMut(&LocalServer) -> bool,
    ) -> Result<(), LocalServerError> {
        let waited = timeout(limit, async {
            loop {
                let mut changed = std::pin::pin!(self.shared.changed.notified());
                // From here on no change is missed.
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        });
        waited.await.map_err(|_| LocalServerError::TimedOut(limit))
    }
}
