//! Connection.
/// stub
pub struct Connection;
/// stub
pub struct ConnectionActor;
