//! Connection.

pub(crate) mod frame;

/// stub
pub struct Connection;
/// stub
pub struct ConnectionActor;
