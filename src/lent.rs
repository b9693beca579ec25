//! What the application lends: closures and streams that may panic, when they are used and when they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something lent, whose panics cost nobody but whoever lent it.
pub(crate) struct Lent<T>(Option<T>);

impl<T> Lent<T> {
    pub(crate) fn new(lent: T) -> Self {
        Lent(Some(lent))
    }

    /// Uses it. `None` where it panics; it is dropped then, and so is every use after it.
    pub(crate) fn with<R>(&mut self, used: impl FnOnce(&mut T) -> R) -> Option<R> {
        let lent = self.0.as_mut()?;
        let done = catch_unwind(AssertUnwindSafe(|| used(lent))).ok();
        if done.is_none() {
            self.end();
        }
        done
    }

    /// It itself, for a use that is guarded elsewhere.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    fn end(&mut self) {
        let lent = self.0.take();
        // Nothing is left that could be told.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(lent)));
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::Lent;

    struct Explosive;

    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("on purpose, when dropped");
        }
    }

    #[test]
    fn what_is_lent_may_panic_when_it_is_used_and_when_it_is_dropped() {
        drop(Lent::new(Explosive));
        let mut lent = Lent::new(Explosive);
        assert_eq!(lent.with(|_| 1), Some(1));
        assert_eq!(lent.with(|_| panic!("on purpose")), None::<()>);
        assert_eq!(lent.with(|_| 2), None, "it is not used again");
    }
}
