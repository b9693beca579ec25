//! Futures that an application lends.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use crate::util::lent::{Lent, caught};

/// Awaits the application's future. `None` where it panics, or what makes it does; a panic of its destructor takes no answer
/// back.
pub(crate) async fn guarded<T, F>(begin: impl FnOnce() -> Pin<Box<F>>) -> Option<T>
where
    F: Future<Output = T> + ?Sized,
{
    let mut begun = Lent::new(caught(begin)?);
    poll_fn(|task| match begun.with(|future| future.as_mut().poll(task)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}
