//! What values take in memory.
//!
//! Everything that waits somewhere is bounded by this one weight: pages in the handler's hand, dead letters, events before
//! subscribers, sends that are kept. It is an upper bound of what the allocator gives for a value, so a value that shares
//! parts with others is counted as if it were alone.

use std::sync::Arc;

use bytes::Bytes;

/// Something whose memory can be told without walking through more than its own parts.
pub(crate) trait Weigh {
    /// Returns how many bytes it takes on the heap, beside its own `size_of`.
    fn heap(&self) -> usize;

    /// Returns how many bytes it takes in all.
    fn weight(&self) -> usize
    where
        Self: Sized,
    {
        size_of::<Self>().saturating_add(self.heap())
    }
}

/// What an allocation takes beside what was asked for: the allocator's header, and rounding to 16 bytes.
const ALLOCATION: usize = 24;

/// The reference counts of an [`Arc`].
const COUNTS: usize = 2 * size_of::<usize>();

/// Returns what one allocation of so many bytes takes; nothing where none is made.
#[inline]
pub(crate) const fn allocation(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.saturating_add(ALLOCATION) }
}

impl Weigh for String {
    #[inline]
    fn heap(&self) -> usize {
        allocation(self.capacity())
    }
}

impl Weigh for Arc<str> {
    #[inline]
    fn heap(&self) -> usize {
        allocation(self.len().saturating_add(COUNTS))
    }
}

impl Weigh for Box<str> {
    #[inline]
    fn heap(&self) -> usize {
        allocation(self.len())
    }
}

impl Weigh for Bytes {
    /// The bytes it shows: what it keeps alive beside them is for its holder to say.
    #[inline]
    fn heap(&self) -> usize {
        // A shared one has a small allocation of its own with its counts.
        allocation(self.len()).saturating_add(if self.is_empty() { 0 } else { allocation(3 * size_of::<usize>()) })
    }
}

impl<T: Weigh> Weigh for Option<T> {
    #[inline]
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, T::heap)
    }
}

impl<T: Weigh> Weigh for Box<T> {
    #[inline]
    fn heap(&self) -> usize {
        allocation(size_of::<T>()).saturating_add((**self).heap())
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    #[inline]
    fn heap(&self) -> usize {
        let places = allocation(self.capacity().saturating_mul(size_of::<T>()));
        self.iter().fold(places, |sum, item| sum.saturating_add(item.heap()))
    }
}

impl<A: Weigh, B: Weigh> Weigh for (A, B) {
    #[inline]
    fn heap(&self) -> usize {
        self.0.heap().saturating_add(self.1.heap())
    }
}

/// Types that are all in their own `size_of`.
macro_rules! flat {
    ($($flat:ty),+ $(,)?) => {
        $(impl $crate::util::weight::Weigh for $flat {
            #[inline]
            fn heap(&self) -> usize {
                0
            }
        })+
    };
}

/// Weighs a struct by its fields, all of which are to be named: a new one does not compile unless it is weighed.
macro_rules! weigh {
    ($($whole:ty { $($field:ident),+ $(,)? })+) => {
        $(impl $crate::util::weight::Weigh for $whole {
            fn heap(&self) -> usize {
                let Self { $($field),+ } = self;
                0_usize$(.saturating_add($crate::util::weight::Weigh::heap($field)))+
            }
        })+
    };
}

pub(crate) use {flat, weigh};

flat!(bool, u16, u32, u64, usize, i32, i64, f64, std::time::Duration);
