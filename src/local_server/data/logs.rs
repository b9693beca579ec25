//! Frames and calls remembered for tests.

use std::collections::VecDeque;

use crate::local_server::{
    limits,
    observed::{ClientFrame, RestCall},
};

/// The last frames of one user: at most [`limits::FRAMES`] and [`limits::FRAME_BYTES`].
#[derive(Default)]
pub(crate) struct FrameLog {
    frames: VecDeque<ClientFrame>,
    bytes: usize,
}

impl FrameLog {
    /// Adds a frame; the oldest make room.
    pub(crate) fn push(&mut self, frame: ClientFrame) {
        self.bytes += frame.bytes.len();
        self.frames.push_back(frame);
        while self.frames.len() > limits::FRAMES || (self.bytes > limits::FRAME_BYTES && self.frames.len() > 1) {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= oldest.bytes.len();
            }
        }
    }

    /// Returns the frames, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<ClientFrame> {
        self.frames.iter().cloned().collect()
    }
}

/// The last [`limits::CALLS`] REST calls.
#[derive(Default)]
pub(crate) struct CallLog(VecDeque<RestCall>);

impl CallLog {
    /// Adds a call, its path cut at 512 characters.
    pub(crate) fn push(&mut self, method: &str, path: &str, status: u16) {
        if self.0.len() >= limits::CALLS {
            self.0.pop_front();
        }
        let path = path.chars().take(512).collect();
        self.0.push_back(RestCall { method: method.to_owned(), path, status });
    }

    /// Returns the calls, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<RestCall> {
        self.0.iter().cloned().collect()
    }
}
