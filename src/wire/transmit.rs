//! An encoded frame to send.

use bytes::Bytes;
use std::fmt;

/// A frame to send; prints its kind and length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    kind: &'static str,
    bytes: Bytes,
}

impl Frame {
    pub(crate) fn new(kind: &'static str, bytes: Bytes) -> Self {
        Frame { kind, bytes }
    }

    /// Returns the frame's kind, for a log.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the encoded `MSync`.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.kind, self.bytes.len())
    }
}
