//! Errors of a server's framing.

use super::MAX_CONTROL_PAYLOAD;

/// Reason that a frame was refused.
///
/// The stream cannot be read on after any of these: answer with a Close frame of [`close_code`](Self::close_code) and
/// drop the link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// A frame's header announced more than the message may have, counting the fragments before it.
    #[error("a message of at least {announced} bytes was announced, the limit is {limit}")]
    TooLarge {
        /// Bytes of the message up to the end of the announced frame.
        announced: u64,
        /// The most bytes a message may have.
        limit: usize,
    },
    /// One message contained more empty fragments than the bound.
    #[error("a message contained more than {limit} empty fragments")]
    TooManyEmptyFragments {
        /// The bound.
        limit: u16,
    },
    /// A server must not mask (RFC 6455 §5.1).
    #[error("the server masked a frame")]
    Masked,
    /// A reserved bit was set though no extension was agreed on (RFC 6455 §5.2).
    #[error("a reserved bit was set without an extension")]
    ReservedBits,
    /// The opcode is not one of RFC 6455 §5.2.
    #[error("unknown opcode {0:#x}")]
    UnknownOpcode(u8),
    /// The 64-bit length had its top bit set (RFC 6455 §5.2).
    #[error("a frame length had its top bit set")]
    LengthTopBit,
    /// A control frame announced, or was to carry, too long a payload (RFC 6455 §5.5).
    #[error("a control frame of more than {MAX_CONTROL_PAYLOAD} bytes")]
    ControlTooLong,
    /// A control frame was not final (RFC 6455 §5.5).
    #[error("a control frame was fragmented")]
    ControlFragmented,
    /// A continuation frame came with no message to continue (RFC 6455 §5.4).
    #[error("a continuation frame continued nothing")]
    StrayContinuation,
    /// A new message began within an unfinished one (RFC 6455 §5.4).
    #[error("a new message began before the last one ended")]
    UnfinishedMessage,
    /// A text message was not UTF-8 (RFC 6455 §8.1).
    #[error("a text message was not UTF-8")]
    TextNotUtf8,
    /// A Close frame's payload was one byte long, too short for a code (RFC 6455 §5.5.1).
    #[error("a close frame held half a code")]
    CloseTruncated,
    /// A Close frame held a code no endpoint may send (RFC 6455 §7.4).
    #[error("a close frame held the invalid code {0}")]
    CloseCode(u16),
    /// A Close frame's reason was not UTF-8 (RFC 6455 §5.5.1).
    #[error("a close frame's reason was not UTF-8")]
    CloseReason,
}

impl FrameError {
    /// Returns the code to close the link with (RFC 6455 §7.4.1).
    #[must_use]
    pub(crate) fn close_code(&self) -> u16 {
        match self {
            FrameError::TooLarge { .. } => 1009,
            FrameError::TooManyEmptyFragments { .. } => 1008,
            FrameError::TextNotUtf8 | FrameError::CloseReason => 1007,
            FrameError::Masked
            | FrameError::ReservedBits
            | FrameError::UnknownOpcode(_)
            | FrameError::LengthTopBit
            | FrameError::ControlTooLong
            | FrameError::ControlFragmented
            | FrameError::StrayContinuation
            | FrameError::UnfinishedMessage
            | FrameError::CloseTruncated
            | FrameError::CloseCode(_) => 1002,
        }
    }
}
