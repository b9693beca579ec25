//! Decoder of frames from the server: bytes in as they come, whole messages out as they are asked for.

use super::{ControlKind, FrameError, Incoming, MAX_CONTROL_PAYLOAD, MessageKind, Opcode};
use crate::util::impls::impl_debug;

/// Longest header of an unmasked frame: 2 bytes and a 64-bit length.
const MAX_HEADER: usize = 10;

/// Most empty fragments before the last one of a message. They never reach the size limit.
const MAX_EMPTY_FRAGMENTS: u16 = 1024;

/// First allocation for an unfinished message, where the message may become that long.
const FIRST_ALLOCATION: usize = 1024;

/// Reads the frames of one link.
///
/// Bounds: a message has at most the limit given to [`new`](Self::new), checked against a frame's header before any of
/// its payload is kept, and at most 1024 empty fragments. An unfinished message is kept in at most twice the bytes
/// received of it (1 KiB at first) and never more than the limit; an unfinished control frame in at most 125 bytes more.
/// Nothing is kept between messages; one that was joined from pieces lives until the next call.
///
/// A text message is refused at its first byte that cannot be UTF-8, wherever fragments and reads are cut.
///
/// Lengths written in more bytes than needed are accepted. Everything after a Close frame is ignored (RFC 6455 §5.5.1).
pub(crate) struct Decoder {
    limit: usize,
    /// A fragmented message between two of its frames.
    unfinished: Option<Message>,
    phase: Phase,
}

enum Phase {
    /// In a header, or before one.
    Header(PartialHeader),
    /// In a text, binary or continuation frame.
    Message { message: Message, last: bool, left: usize },
    /// In a control frame.
    Control { kind: ControlKind, kept: Vec<u8>, left: usize },
    /// Something whole was handed out: all its bytes where it came in pieces, else none. They end with the next call.
    HandedOut(Vec<u8>),
    /// The same of a Close frame, behind which nothing counts.
    Closed(Vec<u8>),
    /// A frame was refused.
    Failed(FrameError),
}

impl Phase {
    const BETWEEN_FRAMES: Self = Phase::Header(PartialHeader { bytes: [0; MAX_HEADER], len: 0 });
}

impl Decoder {
    /// Makes a decoder for a new link whose messages may have at most `limit` bytes.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Decoder { limit, unfinished: None, phase: Phase::BETWEEN_FRAMES }
    }

    /// Takes bytes off the front of `input`, up to the end of the next whole message or control frame, and returns that;
    /// `None` once all of `input` is taken. A message that lies whole in `input` is not copied.
    ///
    /// # Errors
    ///
    /// The first frame that breaks the rules. The decoder stays failed: every later call returns the same error.
    pub(crate) fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Incoming<'a>>, FrameError> {
        let (opcode, in_place) = match self.read(input) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.phase = Phase::Failed(error.clone());
                self.unfinished = None;
                return Err(error);
            }
        };
        let payload = match &self.phase {
            Phase::HandedOut(joined) | Phase::Closed(joined) if !joined.is_empty() => joined,
            _ => in_place,
        };
        Ok(Some(match opcode {
            Opcode::Message(MessageKind::Text) => Incoming::Text(payload),
            Opcode::Message(MessageKind::Binary) | Opcode::Continuation => Incoming::Binary(payload),
            Opcode::Control(kind) => control(kind, payload)?,
        }))
    }

    /// Reads on to the end of a message or a control frame: what it is, and the part of it that lies in `input`. Where
    /// that is not all of it, the phase has the whole.
    fn read<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<(Opcode, &'i [u8])>, FrameError> {
        let mut phase = std::mem::replace(&mut self.phase, Phase::BETWEEN_FRAMES);
        loop {
            phase = match phase {
                Phase::HandedOut(_) => Phase::BETWEEN_FRAMES,
                Phase::Header(mut partial) => match partial.take_from(input)? {
                    Some(header) => self.begin(&header)?,
                    None => {
                        self.phase = Phase::Header(partial);
                        return Ok(None);
                    }
                },
                Phase::Message { mut message, last, left } => {
                    let part = take_front(input, left);
                    if part.len() < left {
                        let bound = if last { message.joined.len() + left } else { self.limit };
                        message.keep(part, bound)?;
                        self.phase = Phase::Message { message, last, left: left - part.len() };
                        return Ok(None);
                    }
                    if last {
                        let kind = message.kind;
                        self.phase = Phase::HandedOut(message.finish(part)?);
                        return Ok(Some((Opcode::Message(kind), part)));
                    }
                    message.keep(part, self.limit)?;
                    self.unfinished = Some(message);
                    Phase::BETWEEN_FRAMES
                }
                Phase::Control { kind, mut kept, left } => {
                    let part = take_front(input, left);
                    if part.len() < left {
                        kept.reserve_exact(left);
                        kept.extend_from_slice(part);
                        self.phase = Phase::Control { kind, kept, left: left - part.len() };
                        return Ok(None);
                    }
                    if !kept.is_empty() {
                        kept.extend_from_slice(part);
                    }
                    // Checked before the decoder counts as closed.
                    control(kind, if kept.is_empty() { part } else { &kept })?;
                    self.phase = match kind {
                        ControlKind::Close => {
                            self.unfinished = None;
                            Phase::Closed(kept)
                        }
                        ControlKind::Ping | ControlKind::Pong => Phase::HandedOut(kept),
                    };
                    return Ok(Some((Opcode::Control(kind), part)));
                }
                Phase::Closed(_) => {
                    *input = &[];
                    self.phase = Phase::Closed(Vec::new());
                    return Ok(None);
                }
                Phase::Failed(error) => return Err(error),
            }
        }
    }

    /// Checks a header against the message it belongs to and the limits.
    fn begin(&mut self, header: &Header) -> Result<Phase, FrameError> {
        let mut message = match header.opcode {
            Opcode::Control(kind) => {
                let left = usize::try_from(header.len).map_err(|_| FrameError::ControlTooLong)?;
                return Ok(Phase::Control { kind, kept: Vec::new(), left });
            }
            Opcode::Continuation => self.unfinished.take().ok_or(FrameError::StrayContinuation)?,
            Opcode::Message(_) if self.unfinished.is_some() => return Err(FrameError::UnfinishedMessage),
            Opcode::Message(kind) => Message { kind, empty_fragments: 0, begun: 0, joined: Vec::new() },
        };
        if header.len == 0 && !header.last {
            message.empty_fragments += 1;
            if message.empty_fragments > MAX_EMPTY_FRAGMENTS {
                return Err(FrameError::TooManyEmptyFragments { limit: MAX_EMPTY_FRAGMENTS });
            }
        }
        let joined = message.joined.len();
        match usize::try_from(header.len) {
            Ok(left) if left <= self.limit.saturating_sub(joined) => {
                Ok(Phase::Message { message, last: header.last, left })
            }
            _ => Err(FrameError::TooLarge { announced: header.len.saturating_add(joined as u64), limit: self.limit }),
        }
    }

    /// Returns whether a binary message has begun to arrive and is not whole.
    pub(crate) fn is_within_a_message(&self) -> bool {
        let message = match &self.phase {
            Phase::Message { message, .. } => Some(message),
            _ => self.unfinished.as_ref(),
        };
        message.is_some_and(|message| message.kind == MessageKind::Binary)
    }

    /// Returns the bytes held on the heap.
    pub(crate) fn kept(&self) -> usize {
        let in_phase = match &self.phase {
            Phase::Message { message, .. } => message.joined.capacity(),
            Phase::Control { kept, .. } | Phase::HandedOut(kept) | Phase::Closed(kept) => kept.capacity(),
            Phase::Header(_) | Phase::Failed(_) => 0,
        };
        in_phase + self.unfinished.as_ref().map_or(0, |message| message.joined.capacity())
    }
}

// Shows no payload: payloads do not belong in logs.
impl_debug! { Decoder { limit, .. } }

/// The part of a message that came before the current input.
struct Message {
    kind: MessageKind,
    empty_fragments: u16,
    /// Number of bytes at the end of a text that begin an incomplete character; the bytes before them are UTF-8.
    begun: u8,
    joined: Vec<u8>,
}

impl Message {
    /// Appends `part`, which fits in `bound`; the buffer grows by doubling but never above `bound`.
    fn keep(&mut self, part: &[u8], bound: usize) -> Result<(), FrameError> {
        let (len, capacity) = (self.joined.len(), self.joined.capacity());
        let needed = len + part.len();
        if needed > capacity {
            let wanted = needed.max(capacity.saturating_mul(2)).max(FIRST_ALLOCATION).min(bound);
            self.joined.reserve_exact(wanted - len);
        }
        self.joined.extend_from_slice(part);
        if self.kind == MessageKind::Text {
            let unchecked = self.joined.get(len - usize::from(self.begun)..).unwrap_or_default();
            self.begun = begun(unchecked).ok_or(FrameError::TextNotUtf8)?;
        }
        Ok(())
    }

    /// Returns all of the message, or nothing where `last_part` is all of it.
    fn finish(mut self, last_part: &[u8]) -> Result<Vec<u8>, FrameError> {
        if !self.joined.is_empty() {
            self.keep(last_part, self.joined.len() + last_part.len())?;
        } else if self.kind == MessageKind::Text {
            self.begun = begun(last_part).ok_or(FrameError::TextNotUtf8)?;
        }
        if self.begun > 0 { Err(FrameError::TextNotUtf8) } else { Ok(self.joined) }
    }
}

/// Returns the number of bytes at the end of a text that begin a character; `None` for bytes that cannot become UTF-8.
fn begun(text: &[u8]) -> Option<u8> {
    match std::str::from_utf8(text) {
        Ok(_) => Some(0),
        Err(error) if error.error_len().is_some() => None,
        Err(error) => u8::try_from(text.len() - error.valid_up_to()).ok(),
    }
}

/// Bytes of a header that may not be whole yet.
struct PartialHeader {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl PartialHeader {
    /// Moves the header's bytes off the front of `input`; `None` if some are missing.
    fn take_from(&mut self, input: &mut &[u8]) -> Result<Option<Header>, FrameError> {
        let before = self.len;
        for (slot, byte) in self.bytes.iter_mut().skip(before).zip(*input) {
            *slot = *byte;
            self.len += 1;
        }
        let header = Header::parse(self.bytes.get(..self.len).unwrap_or_default())?;
        let taken = header.as_ref().map_or(self.len, |header| header.size) - before;
        take_front(input, taken);
        Ok(header)
    }
}

/// A frame's header, valid in itself.
struct Header {
    last: bool,
    opcode: Opcode,
    /// Bytes of payload to follow.
    len: u64,
    /// Bytes of the header itself.
    size: usize,
}

impl Header {
    /// Parses a header; `None` if `bytes` is only the beginning of one.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let [first, second, long @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        let bits = first & 0x0f;
        let opcode = Opcode::from_bits(bits).ok_or(FrameError::UnknownOpcode(bits))?;
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let last = first & 0x80 != 0;
        if matches!(opcode, Opcode::Control(_)) {
            if !last {
                return Err(FrameError::ControlFragmented);
            }
            if usize::from(*second) > MAX_CONTROL_PAYLOAD {
                return Err(FrameError::ControlTooLong);
            }
        }
        let (len, size) = match second {
            126 => (long.first_chunk().map(|len| u64::from(u16::from_be_bytes(*len))), 4),
            127 => (long.first_chunk().map(|len| u64::from_be_bytes(*len)), 10),
            short => (Some(u64::from(*short)), 2),
        };
        match len {
            Some(len) if len >> 63 != 0 => Err(FrameError::LengthTopBit),
            Some(len) => Ok(Some(Header { last, opcode, len, size })),
            None => Ok(None),
        }
    }
}

/// Splits at most `len` bytes off the front of `input`.
fn take_front<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    front
}

/// Interprets a whole control frame.
fn control(kind: ControlKind, payload: &[u8]) -> Result<Incoming<'_>, FrameError> {
    Ok(match (kind, payload) {
        (ControlKind::Ping, _) => Incoming::Ping(payload),
        (ControlKind::Pong, _) => Incoming::Pong(payload),
        (ControlKind::Close, []) => Incoming::Close { code: None, reason: "" },
        (ControlKind::Close, [_]) => return Err(FrameError::CloseTruncated),
        (ControlKind::Close, [high, low, reason @ ..]) => {
            let code = u16::from_be_bytes([*high, *low]);
            // The codes an endpoint may send (RFC 6455 §7.4), those registered since (1012 to 1014), and the two open
            // ranges.
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(FrameError::CloseCode(code));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| FrameError::CloseReason)?;
            Incoming::Close { code: Some(code), reason }
        }
    })
}

#[cfg(test)]
mod tests;
