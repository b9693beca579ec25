//! Starts actors.

use actix::{Actor, Addr, Context, dev::channel};
use actix_rt::ArbiterHandle;

/// Starts an actor whose mailbox has its capacity from the first message on; it is made on the arbiter's thread.
///
/// `start_in_arbiter` would leave the default of 16 in place until the arbiter gets round to starting it. On an arbiter that
/// has ended, the mailbox is dropped, and senders find it closed.
pub(crate) fn spawn_bounded<A>(
    arbiter: &ArbiterHandle,
    capacity: usize,
    make: impl FnOnce() -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let (to, mailbox) = channel::channel(capacity);
    let _ = arbiter.spawn_fn(move || {
        let _ = Context::with_receiver(mailbox).run(make());
    });
    Addr::new(to)
}
