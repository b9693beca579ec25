//! Futures that an application lends.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// What the application's future comes to; `None` where it, or what makes it, panics.
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

/// The application's future, which may panic in its destructor too, also when it is given up.
struct Begun<F: ?Sized>(Option<Pin<Box<F>>>);

impl<F: ?Sized> Drop for Begun<F> {
    fn drop(&mut self) {
        let future = self.0.take();
        // Its answer stands, if it gave one.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}
