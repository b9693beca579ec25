//! Many accounts of one application in one process.

#[allow(dead_code, unused_imports, unreachable_pub, reason = "the fleet's engine, which uses it, is not there yet")]
pub(crate) mod pace;
