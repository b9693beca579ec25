//! Bytes of links: ports, relays, and faults on request.

mod copy;
mod outgoing;
mod port;
mod relay;

pub use self::{
    copy::{Cut, Drip},
    port::Door,
};
pub(crate) use self::{
    copy::{LinkEnd, LinkFaults, Shaping, finish, relay_both, reset},
    outgoing::Outgoing,
    port::Port,
    relay::{Flow, cut_requested, relay},
};
