//! The REST a bot needs, against scripted servers: files, history, presence, attributes, conversations.

mod bad_text;
mod calls;
mod charged;
mod connection;
mod downloads;
mod echoes;
mod errors;
mod given_up;
use crate::support::scripted;
mod secrets;
mod support;
mod uploads;
