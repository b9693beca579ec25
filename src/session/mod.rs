//! The connection's state machine as a value: it decides, without a socket, a clock or randomness of its own.
//!
//! [`Engine::step`] maps an input and its time to actions. Frames, times and the jitter's seed are passed in, so every
//! order of events can be tested in virtual time, replayed and fuzzed.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use agora_chat::{Config, Credentials, session::{Action, Engine, Input, Now}};
//!
//! let config = Config::builder("org#app").addresses("http://127.0.0.1:1", "ws://127.0.0.1:1/websocket").build()?;
//! let mut engine = Engine::new(Arc::new(config), 7);
//! let mut actions = Vec::new();
//! let now = Now { mono: Duration::ZERO, wall: 1_700_000_000_000 };
//! engine.step(Input::Open(Credentials::token("alice", "YWMt-token")?.into()), now, &mut actions);
//! assert!(matches!(&actions[..], [Action::Connect { url }] if &**url == "ws://127.0.0.1:1/websocket"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod admission;
mod arrivals;
mod close;
mod connect;
mod context;
pub(crate) mod decode;
mod diagnostic;
mod engine;
mod episodes;
mod frames;
mod handshake;
mod heartbeat;
mod inbox;
mod input;
mod machine;
mod outbox;
mod phase;
mod retry;
mod server_text;
mod timers;
mod tokens;

pub use crate::{model::ConnectionState, wire::Frame};
pub use action::Action;
pub use diagnostic::Diagnostic;
pub use engine::Engine;
pub use inbox::in_flight::{Page, PageEvent, PageId};
pub use input::{Input, Now};
pub use tokens::fetch::{TokenFetch, TokenSource};
