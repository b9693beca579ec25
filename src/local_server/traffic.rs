//! Sending to clients, and seeing what they did.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    ClientFrame, LocalServer, LocalServerError, RestCall, SessionInfo, Stats, queues::QueueName, socket::Outgoing,
};
use crate::model::message::Conversation;

impl LocalServer {
    /// Sends a chat message with this encoded `MessageBody` to a user, as if `from` had sent it; `from` need not exist.
    /// Answers the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`] when `to` does not exist.
    pub fn send(&self, from: &str, to: &str, body: Bytes) -> Result<u64, LocalServerError> {
        self.send_to(from, &Conversation::user(to), body)
    }

    /// Sends a text to a user, as if `from` had sent it. Answers the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`] when `to` does not exist.
    pub fn send_text(&self, from: &str, to: &str, text: &str) -> Result<u64, LocalServerError> {
        self.send_text_to(from, &Conversation::user(to), text)
    }

    /// Announces the queue of a conversation to a user's devices, whether it holds something or not; answers to how many.
    pub fn notice(&self, user: &str, queue: &str) -> usize {
        self.shared.change(|state| state.notice(user, &QueueName::user(queue)))
    }

    /// Sends these bytes as one binary message to a user's devices, whatever they are; answers to how many.
    pub fn push_frame(&self, user: &str, frame: impl Into<Bytes>) -> usize {
        let frame = frame.into();
        self.push(user, || Outgoing::Binary(frame.clone()))
    }

    /// Sends these bytes as one binary message in fragments of `size` bytes to a user's devices; answers to how many.
    pub fn push_fragments(&self, user: &str, frame: impl Into<Bytes>, size: usize) -> usize {
        let frame = frame.into();
        self.push(user, || Outgoing::Fragments(frame.clone(), size))
    }

    /// Sends a WebSocket text message to a user's devices; answers to how many.
    pub fn push_text(&self, user: &str, text: &str) -> usize {
        self.push(user, || Outgoing::Text(text.to_owned()))
    }

    /// Sends a WebSocket Close with this code and text to a user's devices; answers to how many. The text is cut at 123
    /// bytes.
    pub fn push_close(&self, user: &str, code: u16, text: &str) -> usize {
        let text: String = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= 123).map(|(_, c)| c).collect();
        self.push(user, || Outgoing::Close(code, text.clone()))
    }

    fn push(&self, user: &str, out: impl Fn() -> Outgoing) -> usize {
        self.shared.change(|state| {
            let online = state.online(&user.to_lowercase());
            for (id, _) in &online {
                state.push(*id, out());
            }
            online.len()
        })
    }

    /// The devices on which a user is online, the longest logged in first.
    #[must_use]
    pub fn sessions(&self, user: &str) -> Vec<SessionInfo> {
        let user = user.to_lowercase();
        self.shared.look(|state| state.devices_online().filter(|device| device.user == user).cloned().collect())
    }

    /// Every device online, the longest logged in first.
    #[must_use]
    pub fn all_sessions(&self) -> Vec<SessionInfo> {
        self.shared.look(|state| state.devices_online().cloned().collect())
    }

    /// How many devices are online.
    #[must_use]
    pub fn online(&self) -> usize {
        self.shared.look(|state| state.devices_online().count())
    }

    /// The last frames a user's devices sent, oldest first: at most 1024 and 4 MiB.
    #[must_use]
    pub fn sent_by(&self, user: &str) -> Vec<ClientFrame> {
        self.shared.look(|state| state.frames_of(user))
    }

    /// The last REST and discovery calls, oldest first: at most 4096.
    #[must_use]
    pub fn rest_calls(&self) -> Vec<RestCall> {
        self.shared.look(|state| state.calls())
    }

    /// How many PROVISIONs were taken, refused ones included.
    #[must_use]
    pub fn provision_count(&self) -> u64 {
        self.shared.look(|state| state.stats.provisions)
    }

    /// How many TCP links were taken.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.shared.look(|state| state.stats.connects)
    }

    /// Every count at once.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.look(|state| state.stats())
    }

    /// Waits until something holds, looking again after every change in the server.
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
    /// [`LocalServerError::TimedOut`] when it does not hold within `limit`.
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
