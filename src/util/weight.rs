//! Weights: upper bounds of the memory that values take.
//!
//! Everything that waits is bounded by this one weight: pages in flight, dead letters, subscribers' backlogs, buffered
//! sends. It is an upper bound of a value's allocations. A value that shares parts with others is counted as if it were
//! alone.

use std::sync::Arc;

use bytes::Bytes;

/// A value that can state its memory by walking through its own parts only.
pub(crate) trait Weigh {
    /// Returns the bytes it takes on the heap, besides its own `size_of`.
    fn heap(&self) -> usize;

    /// Returns the bytes it takes in all.
    fn weight(&self) -> usize
    where
        Self: Sized,
    {
        size_of::<Self>().saturating_add(self.heap())
    }
}

/// Bytes that an allocation takes besides those asked for: the allocator's header, and rounding to 16 bytes.
const ALLOCATION: usize = 24;

/// The reference counts of an [`Arc`].
const COUNTS: usize = 2 * size_of::<usize>();

/// Returns the weight of one allocation of `bytes` bytes; 0 where none is made.
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
    /// Counts the bytes it shows; its holder accounts for a larger buffer behind it.
    #[inline]
    fn heap(&self) -> usize {
        // A shared one has a small allocation of its own for its counts.
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

/// Declares types without heap memory.
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

/// Implements [`Weigh`] for a struct by its fields, or for an enum by those of its variants. All have to be named, so a
/// new one does not compile until it is weighed.
macro_rules! weigh {
    ($(enum $whole:ident { $($variant:ident $(($value:ident))? $({ $($field:ident),+ })?),+ $(,)? })+) => {
        $(impl $crate::util::weight::Weigh for $whole {
            #[inline]
            fn heap(&self) -> usize {
                match self {
                    $(Self::$variant $(($value))? $({ $($field),+ })? => {
                        0_usize
                            $(.saturating_add($crate::util::weight::Weigh::heap($value)))?
                            $($(.saturating_add($crate::util::weight::Weigh::heap($field)))+)?
                    })+
                }
            }
        })+
    };
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

flat!(bool, u16, u32, u64, usize, i32, i64, f64, &'static str, std::io::ErrorKind, std::time::Duration);
