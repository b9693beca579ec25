//! What is received, through the engine: every recorded meta against the events that the vendor's web SDK made of it,
//! and anything else against the promise that nothing is lost in silence (messages spec §2.5–2.9, §3, §4).

mod closures;
mod hostile;
mod messages;
mod notices;
use crate::support::receiver;
mod recorded;
mod vendor;
