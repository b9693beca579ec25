//! Many accounts of one application, kept online in one process.
//!
//! A [`Fleet`] logs thousands of accounts in at a pace that the service allows, brings them back when the network or the
//! service fails, says of each one that is not online why and what to do, and logs all of them out in order. It spreads
//! them over threads of its own.
//!
//! | Wanted | By |
//! |---|---|
//! | add, remove, pause, resume, restart accounts, or give them other credentials | the calls of [`Fleet`] |
//! | answer messages | [`FleetConfig::on_message`], [`FleetConfig::handler`] |
//! | see one account | [`Fleet::account`] |
//! | see many | [`Fleet::summary`], [`Fleet::accounts`], [`Fleet::watch`] |
//! | hear all events | [`Fleet::subscribe`] |
//! | end in order | [`Fleet::drain`] |
//!
//! What it decides is in an engine without clock, socket or thread; the actors around it are thin.

mod actor;
#[cfg(feature = "fleet-admin")]
pub mod admin;
mod cause;
mod changes;
mod config;
mod counts;
mod drain;
mod engine;
mod error;
mod handle;
mod kicks;
mod metrics;
mod pace;
mod shard;
mod spec;
mod state;
mod table;

pub use cause::{Advice, Cause, CauseKind};
pub use changes::{Changes, FleetChange};
pub use config::FleetConfig;
pub use drain::{DrainReport, Left};
pub use error::FleetError;
pub use handle::{AccountHandle, Fleet, Queue, Summary};
pub use pace::{Breaker, BreakerState, LoginPace, SharedCause};
pub use spec::{AccountSpec, Added, Pause};
pub use state::{AccountChange, AccountState, OtherLogin, StateKind, Transition, WaitFor};
pub use table::{AccountSnapshot, Accounts, Filter, Page};
