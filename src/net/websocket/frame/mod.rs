//! WebSocket framing for the client's end of a link (RFC 6455 §5), without sockets, clock or chance.
//!
//! A [`Decoder`] is asked for the next whole message of one link's bytes; the `encode_*` functions append masked frames to a
//! buffer. The read buffer may be shared between links: a frame that is whole in it is handed out in place. Only an
//! unfinished message is copied, into a buffer that is freed with it. An idle link keeps none.

mod decode;
mod encode;
mod error;
mod mask;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use decode::Decoder;
pub(crate) use encode::{encode_close, encode_control, encode_message};
pub(crate) use error::FrameError;

/// The most bytes a control frame may carry (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Text,
    Binary,
}

/// Kind of a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlKind {
    Close,
    Ping,
    Pong,
}

/// The opcodes of RFC 6455 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Message(MessageKind),
    Control(ControlKind),
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Message(MessageKind::Text),
            0x2 => Opcode::Message(MessageKind::Binary),
            0x8 => Opcode::Control(ControlKind::Close),
            0x9 => Opcode::Control(ControlKind::Ping),
            0xA => Opcode::Control(ControlKind::Pong),
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Message(MessageKind::Text) => 0x1,
            Opcode::Message(MessageKind::Binary) => 0x2,
            Opcode::Control(ControlKind::Close) => 0x8,
            Opcode::Control(ControlKind::Ping) => 0x9,
            Opcode::Control(ControlKind::Pong) => 0xA,
        }
    }
}

/// One whole thing the server sent, borrowed until the next one is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// A binary message, its fragments joined.
    Binary(&'a [u8]),
    /// A text message, its fragments joined. It is UTF-8; as bytes, because the chat protocol has no text messages and
    /// ignores them.
    Text(&'a [u8]),
    /// A ping, to be answered with a pong of the same payload, at most [`MAX_CONTROL_PAYLOAD`] bytes.
    Ping(&'a [u8]),
    /// A pong: an answer to a ping, or an unsolicited one.
    Pong(&'a [u8]),
    /// The server's last frame on this link.
    Close {
        /// `None` where the frame was empty; else 1000–1003, 1007–1014 or 3000–4999.
        code: Option<u16>,
        /// Empty where absent.
        reason: &'a str,
    },
}

/// Shows kind and length: payloads do not belong in logs.
impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, payload) = match self {
            Incoming::Binary(payload) => ("Binary", payload),
            Incoming::Text(payload) => ("Text", payload),
            Incoming::Ping(payload) => ("Ping", payload),
            Incoming::Pong(payload) => ("Pong", payload),
            // A server's text may repeat a secret it was sent.
            Incoming::Close { code, reason } => {
                let code = code.map(|code| format!("{code}, ")).unwrap_or_default();
                return write!(f, "Close({code}{} bytes of reason)", reason.len());
            }
        };
        write!(f, "{kind}({} bytes)", payload.len())
    }
}
