//! Messages over links that are cut and processes that are killed, at every step of them: nothing lost, nothing
//! acknowledged unhandled, order kept, nothing twice but where that is promised.

mod cutter;
mod failures;
mod pulls;
mod restarts;
mod sends;
mod support;
