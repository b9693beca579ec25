//! Connections over real sockets: against the local server, and against peers played by hand where the local server
//! cannot play them.

mod admission;
mod backlog;
mod close;
mod ended;
mod gate;
mod handle;
mod holding_on;
mod kept;
mod kick_wars;
mod large;
mod log_levels;
mod losses;
mod main_job;
mod named_devices;
mod odd_peers;
pub(crate) mod raw;
mod refused;
mod renewal;
mod rooms;
mod stalls;
mod subscribers;
pub(crate) mod support;
mod token;
mod upgrades;
mod watching;
