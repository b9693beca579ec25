//! An in-process stand-in for the service, for tests of bots and of this crate (feature `local-server`).
//!
//! It listens on a loopback port the system picks and offers what connection spec §17 asks of a compatible server:
//! registration, tokens, management of users and discovery over REST, `/websocket` with PROVISION, heartbeats, queues, kicks and logout, and
//! single chat between its users. Every handle can create users, look at what clients did, and make the server fail in
//! most of the ways a service or a network can.
//!
//! ```
//! use agora_chat::local_server::{Cut, LocalServer};
//! # #[actix_web::main]
//! # async fn main() -> Result<(), agora_chat::local_server::LocalServerError> {
//! let server = LocalServer::start().await?;
//! server.create_user("alice", "secret")?;
//! let config = server.config(); // for Connection::start
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
//! # Bounds
//! Of each user it keeps the last 1024 frames (at most 4 MiB), 10 000 undelivered messages for each of 64 devices and
//! as many for devices to come; of REST the last 4096 calls. It takes messages of up to 4 MiB and REST bodies of up to
//! 1 MiB, 20 000 links, 100 000 users and 200 000 tokens (the oldest token is forgotten for a new one). A client that
//! leaves 1024 frames unread is cut off. What had to be dropped is counted in [`Stats`].
//!
//! # What it does not do
//! Groups, rooms, rosters and presence: a message to a group is refused with `group not found`, other name spaces
//! are acknowledged and go nowhere.

mod accounts;
mod bodies;
mod changes;
mod channels;
mod control;
mod conversations;
mod error;
mod fault_proxy;
mod faults;
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
