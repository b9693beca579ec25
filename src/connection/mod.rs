//! One account's connection: the actor that acts, and the handle that applications hold.

mod actor;
pub(crate) mod frame;
mod handle;
mod messages;
mod pump;
mod shared;
mod socket;

pub use actor::ConnectionActor;
pub use handle::Connection;
pub use messages::{Close, Open, RegisterUser, RenewToken, SendMessage, State};
