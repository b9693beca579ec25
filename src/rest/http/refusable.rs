//! A request's body that ends where the server has answered before it was all sent.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use awc::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::CallProgress;

/// Stand-in for the rest of a body that nobody wants any more. It is never sent.
static NOTHING: [u8; 64 * 1024] = [0; 64 * 1024];

const TURN: usize = 4 * 1024 * 1024;

/// A body whose source is not asked any more once the server has refused the request. awc reads the answer after the
/// body's end only, and takes a short body for a failure. So it is given its length, without the source.
pub(crate) struct Refusable<B> {
    body: B,
    way: CallProgress,
    /// Bytes still to be given, where the length is known.
    left: Option<u64>,
    turn: usize,
}

impl<B: MessageBody> Refusable<B> {
    pub(crate) fn new(body: B, way: &CallProgress) -> Self {
        let left = match body.size() {
            BodySize::Sized(length) => Some(length),
            BodySize::None => Some(0),
            BodySize::Stream => None,
        };
        Refusable { body, way: way.clone(), left, turn: 0 }
    }
}

impl<B: MessageBody + Unpin> MessageBody for Refusable<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = &mut *self;
        if this.way.poll_refused(cx) {
            let Some(left) = this.left.as_mut().filter(|left| **left > 0) else { return Poll::Ready(None) };
            if this.turn >= TURN {
                // Others have a turn now and then.
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let length = usize::try_from(*left).unwrap_or(NOTHING.len()).min(NOTHING.len());
            *left -= length as u64;
            this.turn += length;
            return Poll::Ready(Some(Ok(Bytes::from_static(NOTHING.get(..length).unwrap_or(&NOTHING)))));
        }
        let piece = ready!(Pin::new(&mut this.body).poll_next(cx));
        if let (Some(left), Some(Ok(piece))) = (&mut this.left, &piece) {
            *left = left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece)
    }
}
