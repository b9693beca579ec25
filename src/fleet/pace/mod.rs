//! Pacing of logins: who may dial now, and when the next one may.
//!
//! [`Pacer`] is a value without a clock, socket or random numbers of its own. Every dial of a fleet asks it: first logins,
//! reconnects and moves. It holds three bounds at once:
//!
//! - the **rate**: in any second at most [`LoginPace::per_second`] go ([`rate`]);
//! - the **concurrency**: at most [`LoginPace::concurrent`] are under way; one that never ends is not counted any more
//!   after [`HOLD`], so a hang costs one slot for that long, and nobody else's turn;
//! - the **breaker** of the endpoint: while the service fails for everybody, nobody dials but a few probes ([`circuit`]).
//!
//! Who waits stands in a line per endpoint and [`Lane`] ([`line`]). The lanes are served 4 : 2 : 1, the oldest first, so
//! none starves. An account that has failed asks again after its own pause, and so stands behind all others.

mod circuit;
mod line;
mod pacer;
mod rate;
mod settings;
#[cfg(test)]
mod tests;

pub use circuit::{BreakerState, SharedCause};
#[cfg(test)]
pub(crate) use pacer::HOLD;
pub(crate) use pacer::{Lane, Outcome, Pacer, Place, Why};
pub use settings::{Breaker, LoginPace};
