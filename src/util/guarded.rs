//! Futures that an application lends, guarded against their panics.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// Runs the application's future to its end; `None` where it, or the closure that makes it, panics.
pub(crate) async fn guarded<T, F>(begin: impl FnOnce() -> Pin<Box<F>>) -> Option<T>
where
    F: Future<Output = T> + ?Sized,
{
    let mut begun = Begun(Some(catch_unwind(AssertUnwindSafe(begin)).ok()?));
    poll_fn(|task| {
        let Some(future) = &mut begun.0 else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// The application's future. Its destructor may panic too, also when it is dropped early.
struct Begun<F: ?Sized>(Option<Pin<Box<F>>>);

impl<F: ?Sized> Drop for Begun<F> {
    fn drop(&mut self) {
        let future = self.0.take();
        // Its answer, if it gave one, stands.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}
