//! Framing, then the decoding of what it carried.
//!
//! Input: the limit (16 bits, little-endian), how many cuts follow (0 to 15), the cuts, and the rest is the stream.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use crate::{
    net::websocket::frame::{Decoder, FrameError, Incoming, MAX_CONTROL_PAYLOAD},
    wire::{Downward, MSync, Meta, encode},
};

/// The decoder's first allocation for an unfinished message.
const FIRST_ALLOCATION: usize = 1024;

/// An [`Incoming`] with its kind as a letter, owned.
type Item = (char, Option<u16>, Vec<u8>);

pub(super) fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let limit = usize::from(u.arbitrary::<u16>()?);
    let cuts = u.int_in_range(0..=15_usize)?;
    let cuts = u.bytes(cuts)?;
    let stream = u.take_rest();

    let whole = feed(stream, &[], limit);
    let in_cuts = feed(stream, cuts, limit);
    assert_eq!(whole, in_cuts, "where the stream was cut must not matter");
    for (kind, _, payload) in &whole.0 {
        match kind {
            'b' | 't' => assert!(payload.len() <= limit, "a message over the limit"),
            _ => assert!(payload.len() <= MAX_CONTROL_PAYLOAD, "a control frame that is too long"),
        }
        if *kind == 'b' {
            message(payload, limit);
        }
    }
    // The same bytes as one message, so that the wire types are reached without a frame around them.
    message(stream, usize::MAX);
    Ok(())
}

/// What a stream comes to when its reads end after `cuts` bytes each, over and over; without cuts it is one read.
fn feed(stream: &[u8], cuts: &[u8], limit: usize) -> (Vec<Item>, std::result::Result<(), FrameError>) {
    let (mut decoder, mut items, mut left, mut fed) = (Decoder::new(limit), Vec::new(), stream, 0);
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut).max(1)).cycle();
    while !left.is_empty() {
        let (mut part, mut rest) = left.split_at(cuts.next().unwrap_or(left.len()).min(left.len()));
        (left, fed) = (rest, fed + part.len());
        let read = loop {
            match decoder.next(&mut part) {
                Ok(Some(incoming)) => items.push(item(incoming)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let most = limit.min(FIRST_ALLOCATION.max(2 * fed)) + MAX_CONTROL_PAYLOAD;
        assert!(decoder.kept() <= most, "{} bytes kept of {fed} with a limit of {limit}", decoder.kept());
        if let Err(error) = read {
            assert_eq!(decoder.kept(), 0, "a refused link keeps nothing");
            assert_eq!(decoder.next(&mut rest), Err(error.clone()), "a failed decoder stays failed");
            return (items, Err(error));
        }
    }
    (items, Ok(()))
}

fn item(incoming: Incoming<'_>) -> Item {
    match incoming {
        Incoming::Binary(payload) => ('b', None, payload.to_vec()),
        Incoming::Text(payload) => ('t', None, payload.to_vec()),
        Incoming::Ping(payload) => ('i', None, payload.to_vec()),
        Incoming::Pong(payload) => ('o', None, payload.to_vec()),
        Incoming::Close { code, reason } => ('c', code, reason.into()),
    }
}

/// A binary message: the envelope, its payload by command and as a batch, and the bodies in that.
fn message(bytes: &[u8], limit: usize) {
    let Ok(frame) = MSync::decode_frame(Bytes::copy_from_slice(bytes), limit) else { return };
    let again = MSync::decode_frame(frame.to_bytes(), usize::MAX);
    assert_eq!(again.as_ref(), Ok(&frame), "an envelope survives encoding and decoding");
    let downward = frame.downward();
    // Logs and errors show them.
    let _ = (format!("{frame:?} {downward:?}"), frame.upward().is_ok());
    let lossy = frame.sync_dl_lossy();
    if let Ok(Downward::Sync(sync)) = &downward {
        let kept = lossy.as_ref().map(|(same, broken)| (encode(same), broken.len()));
        assert_eq!(kept, Ok((encode(sync), 0)), "nothing is lost of a batch that decodes");
    }
    for meta in lossy.iter().flat_map(|(sync, _)| &sync.metas) {
        body(meta);
    }
}

fn body(meta: &Meta) {
    let body = meta.body();
    let _ = format!("{meta:?} {body:?}");
}
