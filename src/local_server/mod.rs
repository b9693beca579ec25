//! An in-process stand-in for the service, for tests of bots and of this crate (feature `local-server`).
//!
//! It listens on a loopback port the system picks, and is a compatible server in the sense of connection spec §17. It
//! offers registration, tokens, management of users and discovery over REST, and `/websocket` with PROVISION, heartbeats,
//! queues, kicks and logout. It delivers the messages of the messages spec: between users, in groups, threads and chat
//! rooms, with receipts, recalls, edits, history and files. Every handle can create users, groups and rooms, send as
//! anybody, read what clients did, and make the server fail in most of the ways a service or a network can.
//!
//! ```
//! use agora_chat::local_server::{Cut, LocalServer};
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = LocalServer::start().await?;
//! server.create_user("alice", "secret")?;
//! let config = server.config().build()?; // for Connection::start
//! # assert_eq!(config.app_key().as_str(), server.app_key());
//! // ... the client logs in ...
//! server.drop_links("alice", Cut::Rst); // ... and has to reconnect
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The server runs in a thread of its own, so a test may block its own thread, and it ends when the last handle is
//! dropped. It is not secure: it listens on `127.0.0.1` only and is meant for test users.
//!
//! A [`FaultProxy`] in front of it, or of anything else, makes the network in between fail.
//!
//! # Users by REST
//! An app token deletes users (kick 207), changes passwords (216, tokens revoked), deactivates and activates users, lists
//! devices and kicks one or all (217). The vendor documents that a deactivated user is logged out at once and cannot log
//! in, but not the codes: here its devices are kicked with 217, a login is refused with `IM_FORBIDDEN` (12) and a token for
//! its password with 400.
//!
//! # Messages
//! A message is passed on as it came, with `from`, a fresh id and the time set. A message in a thread gets its parent
//! added to its `meta`, an edit its `edit_msg`. The sender's other devices online get it too. Messages are stored in the
//! history, unless they are for those online only; commands are stored for recalls and receipts but not shown.
//! A client id that is repeated with the same message within 10 minutes gets the same answer, and the message is stored
//! once ([`set_repeat_window`](LocalServer::set_repeat_window)); it is not known whether the service does so. Only its
//! author can recall (for 2 minutes) or edit (5 times) a message.
//!
//! A body is refused with `PERMISSION_DENIED` (7) or `WRONG_PARAMETER` (4) if it names another sender, receiver or kind of
//! conversation than it has, if it has members that only the service writes, or if it confirms messages of another
//! conversation. It is not known what the service does. Tests of clients that receive such bodies
//! [let them pass](LocalServer::set_forged_bodies).
//!
//! Notices of a group come in the group's queue and are stored for those offline. A chat room is joined by a device, over
//! the socket, and left with its link: a client that reconnects has to join again. Messages it had not pulled by then still
//! arrive; those of a room it left by itself do not. Threads have members of their own: everybody in the group when made
//! by the handle, otherwise those who join.
//!
//! # REST of a user
//! With a user's token: files, presence, history, the list of conversations, attributes, groups, rooms (to look at) and
//! threads, in the shapes of messages spec §5, or of the vendor's documentation where that has none. The secret of a file
//! opens it without a token. A thumbnail is the file itself.
//!
//! # Bounds
//! For each user it stores the last 1024 frames (at most 4 MiB), 10 000 undelivered messages (or
//! [`queue_limit`](Builder::queue_limit)) for each of 64 devices and as many for devices to come, and 1000
//! conversations; of REST it stores the last 4096 calls,
//! of sessions all that are online, the last 100 000 that ended, and 10 000 pairs that overlapped. It accepts messages of up to 4 MiB and REST bodies of up to 1 MiB, 20 000
//! links, 100 000 users and 200 000 tokens (the oldest token is forgotten for a new one), 10 000 groups and threads of
//! 3000 members, and 10 000 rooms, of which a device may be in 100; members of a room of more than 500 users are not
//! notified of those who join and leave. The history holds 1000 messages of a conversation, 100 000 or 64 MiB in all. Files have up to
//! 10 MiB and 256 MiB in all; the oldest are dropped. The last 65 536 sends are recognised when they are repeated. A
//! client that leaves 1024 frames unread is cut off. Uploads in flight have up to 64 MiB (or
//! [`upload_limit`](Builder::upload_limit)), other bodies as much; one more waits, and is refused with 503 after 60 s. The
//! head of a request has 60 s (or [`request_timeout`](Builder::request_timeout)), a pause in its body as long, and the
//! whole body 10 minutes; past them the answer is 408. Messages dropped from queues are counted in [`Stats`].
//!
//! # Sessions
//! [`session_log`](LocalServer::session_log) has every session with when and how it ended, and
//! [`online_twice`](LocalServer::online_twice) the pairs in which one user was there twice. What a second login with the
//! same resource does is set by a [`DuplicatePolicy`].
//!
//! Other processes read the same from the server's port, without a token: `GET /_control/sessions` answers
//! `{"sessions":[{"user","resource","session","from_ms","to_ms","end","code"}]}`, where `end` is `logout`, `link`, `replaced`,
//! `kicked` or null and `code` the kick that was sent, or null; `GET /_control/online-twice` answers a list of
//! `{"user","from_ms","to_ms","sessions":[…]}`, empty when all is well. These are for programs on this machine that name it
//! as such (`Host`), not for pages of another origin; others get 403. No injected fault of REST applies to them.
//!
//! [`rate`](LocalServer::rate) tells how often clients came: in all, by the second, and the most in any second; `GET
//! /_control/rates` the same.
//!
//! # What it does not do
//! - Contacts and calls: requests in their name spaces are acknowledged and dropped. Their notices can be pushed by
//!   [`push_meta`](LocalServer::push_meta).
//! - Mutes, blocks, allow lists, administrators and announcements of groups and rooms. Their refusals can be injected by
//!   [`refuse_sends`](LocalServer::refuse_sends).
//! - Reactions, pins, marks, translation, silent mode, uploads in parts.

mod data;
mod error;
mod error_body;
mod fault_proxy;
mod faults;
mod handle;
mod ids;
mod limits;
mod net;
mod observed;
mod protocol;
mod rates;
mod rest;
mod serve;
mod settings;
mod state;

pub use error::LocalServerError;
pub use fault_proxy::{Direction, FaultProxy, Faults, ProxyCounts};
pub use faults::{DevicePolicy, DuplicatePolicy, RestFault};
pub use handle::{Builder, LocalServer};
pub use net::{Cut, Door, Drip};
pub use observed::{
    ClientFrame, FrameKind, LoggedSession, OnlineTwice, RestCall, SessionEnd, SessionInfo, Stats, StoredFile,
    StoredMessage,
};
pub use rates::{Activity, Rate};
