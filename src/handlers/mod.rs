//! Handlers.
/// stub
pub struct EventHandler;
/// stub
pub struct HandlerRegistry;
