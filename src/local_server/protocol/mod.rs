//! Frames of clients, and everything they and the handle set in motion (connection and messages spec).

mod accounts;
mod body_check;
mod changes;
mod deliver;
pub(crate) mod frames;
mod inject;
mod kicks;
pub(crate) mod membership;
mod payload;
mod presence;
mod provision;
mod receipts;
mod received;
mod rooms;
mod send;
mod sessions;
