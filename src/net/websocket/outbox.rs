//! Frames that wait for the socket to take them.

use std::collections::VecDeque;

use crate::wire::Frame;

/// A queue of frames that knows how many bytes it holds.
#[derive(Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Outbox {
    /// How many places an empty queue keeps.
    const KEEP: usize = 16;

    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += frame.bytes().len();
        self.frames.push_back(frame);
    }

    pub(crate) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes().len();
        if self.frames.is_empty() {
            self.frames.shrink_to(Self::KEEP);
        }
        Some(frame)
    }

    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Outbox};

    #[test]
    fn frames_leave_in_order_and_are_counted_in_bytes() {
        let mut outbox = Outbox::default();
        outbox.push(Frame::new("a", bytes::Bytes::from_static(b"12345")));
        outbox.push(Frame::new("b", bytes::Bytes::from_static(b"678")));
        assert_eq!(outbox.bytes(), 8);
        assert_eq!(outbox.pop().map(|frame| frame.kind()), Some("a"));
        assert_eq!(outbox.bytes(), 3);
        assert_eq!(outbox.pop().map(|frame| frame.kind()), Some("b"));
        assert!(outbox.pop().is_none() && outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }
}
