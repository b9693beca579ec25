//! The handle: starting and stopping, users, messages, faults, and a view of client activity.

mod accounts;
mod control;
mod conversations;
mod server;
mod traffic;

pub use server::{Builder, LocalServer};
