//! Queue of frames to write.

use std::collections::VecDeque;

use crate::wire::Frame;

/// A queue of frames that knows how many bytes it holds.
#[derive(Default)]
pub(crate) struct WriteQueue {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl WriteQueue {
    /// Places that an empty queue keeps allocated.
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
        *self = WriteQueue::default();
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
    use super::{Frame, WriteQueue};

    #[test]
    fn frames_leave_in_order_and_are_counted_in_bytes() {
        let mut queue = WriteQueue::default();
        queue.push(Frame::new("a", bytes::Bytes::from_static(b"12345")));
        queue.push(Frame::new("b", bytes::Bytes::from_static(b"678")));
        assert_eq!(queue.bytes(), 8);
        assert_eq!(queue.pop().map(|frame| frame.kind()), Some("a"));
        assert_eq!(queue.bytes(), 3);
        assert_eq!(queue.pop().map(|frame| frame.kind()), Some("b"));
        assert!(queue.pop().is_none() && queue.is_empty());
        assert_eq!(queue.bytes(), 0);
    }
}
