//! An in-process stand-in for the service, for tests of bots and of this crate (feature `local-server`).
//!
//! It listens on a loopback port the system picks and offers what connection spec §17 asks of a compatible server:
//! registration, tokens, management of users and discovery over REST, `/websocket` with PROVISION, heartbeats, queues,
//! kicks and logout, and the messages of the messages spec: between users, in groups, threads and chat rooms, with
//! receipts, recalls, edits, history and files. Every handle can create users, groups and rooms, send as anybody, look
//! at what clients did, and make the server fail in most of the ways a service or a network can.
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
//! server.drop_links("alice", Cut::Rst); // ... and has to come back
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The server runs in a thread of its own, so a test may block its own thread, and it ends when the last handle is
//! dropped. It is no secure server: it listens on `127.0.0.1` only and is meant for made-up users.
//!
//! A [`FaultProxy`] in front of it, or in front of anything else, makes the network between fail.
//!
//! # Users by REST
//! An app token deletes users (kick 207), changes passwords (216, tokens revoked), deactivates and activates users, lists
//! devices and kicks one or all (217). The vendor documents that a deactivated user goes off at once and cannot log in,
//! but not with which numbers: here its devices are kicked with 217, a login is refused with `IM_FORBIDDEN` (12) and a
//! token for its password with 400.
//!
//! # Messages
//! A message is passed on as it came, with `from`, a fresh id and the time set; a message in a thread has what it hangs
//! on added to its `meta`, an edit its `edit_msg`. The sender's other devices online get it too. What is said goes into
//! the history, unless it is for those online only; commands are kept for recalls and receipts but not shown.
//! A client id that comes again with the same message is answered as the first time, for ten minutes, and the message is
//! stored once ([`set_repeat_window`](LocalServer::set_repeat_window)): whether the service does so is not known.
//! Only its author can recall (for two minutes) or edit (five times) a message.
//!
//! A body that names another sender, receiver or kind of conversation than it has, that says what only the service says, or
//! that confirms messages of another conversation is refused, with `PERMISSION_DENIED` (7) or `WRONG_PARAMETER` (4): what
//! the service does is not known. Tests of what a client makes of such bodies
//! [let them pass](LocalServer::set_forged_bodies).
//!
//! Word of a group comes in the group's queue and is kept for those offline. A chat room is joined by a device, over the
//! socket, and left with its link: a client that comes back has to join again. What it had not fetched by then still
//! comes; what it has not fetched of a room it leaves by itself does not. Threads have members of their own, all of the
//! group when made by the handle, else those who join.
//!
//! # REST of a user
//! With a user's token: files, presence, history, the list of conversations, attributes, groups, rooms (to look at) and
//! threads, in the shapes of messages spec §5 (where it knows them, else those of the vendor's documentation). A file is
//! also opened by its secret alone. A thumbnail is the file itself.
//!
//! # Bounds
//! Of each user it keeps the last 1024 frames (at most 4 MiB), 10 000 undelivered messages (or
//! [`queue_limit`](Builder::queue_limit)) for each of 64 devices and as many for devices to come, and 1000
//! conversations; of REST the last 4096 calls. It takes messages of up to 4 MiB and REST bodies of up to 1 MiB, 20 000
//! links, 100 000 users and 200 000 tokens (the oldest token is forgotten for a new one), 10 000 groups and threads of
//! 3000 members, and 10 000 rooms, of which a device may be in 100; members of a room of more than 500 users are not
//! told who comes and goes. The history holds 1000 messages of a conversation, 100 000 or 64 MiB in all. Files have up to
//! 10 MiB and 256 MiB in all; the oldest are dropped. The last 65 536 sends are recognised when they are repeated. A
//! client that leaves 1024 frames unread is cut off. Uploads in flight take up to 64 MiB at once (or
//! [`upload_limit`](Builder::upload_limit)), other bodies as much; one more waits, and is refused with 503 after 60 s. A
//! request whose head takes 60 s (or [`request_timeout`](Builder::request_timeout)), whose body stands still for as long or
//! takes ten minutes in all, is answered 408. What had to be dropped of queues is counted in [`Stats`].
//!
//! # What it does not do
//! Contacts and calls: what is sent in their name spaces is acknowledged and goes nowhere (what they would bring can be
//! pushed by [`push_meta`](LocalServer::push_meta)). Of groups and rooms: mutes, blocks, allow lists, administrators and
//! announcements (their refusals can be played by [`refuse_sends`](LocalServer::refuse_sends)). Reactions, pins, marks,
//! translation, silent mode, uploads in parts.

mod accounts;
mod bodies;
mod changes;
mod channels;
mod control;
mod conversations;
mod error;
mod fault_proxy;
mod faults;
mod forged;
mod frames;
mod front;
mod group_rest;
mod groups;
mod handle;
mod history;
mod http;
mod limits;
mod membership;
mod multipart;
mod observed;
mod payload;
mod port;
mod presence;
mod protocol;
mod pump;
mod queue;
mod queues;
mod receipts;
mod relay;
mod repeats;
mod rest;
mod roaming;
mod rooms;
mod routing;
mod rules;
mod sessions;
mod shared;
mod socket;
mod state;
mod traffic;
mod uploads;
mod users;

pub use error::LocalServerError;
pub use fault_proxy::{Direction, Door, FaultProxy, Faults, ProxyCounts};
pub use faults::{DevicePolicy, RestFault};
pub use handle::{Builder, LocalServer};
pub use observed::{ClientFrame, FrameKind, RestCall, SessionInfo, Stats, StoredFile, StoredMessage};
pub use pump::{Cut, Drip};
