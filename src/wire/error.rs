//! Errors of decoding received bytes.

/// The layer of a frame that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// The `MSync` around everything.
    Envelope,
    /// The inner message of a frame.
    Payload,
    /// The body of a `Meta`.
    Body,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Layer::Envelope => "envelope",
            Layer::Payload => "payload",
            Layer::Body => "body of a meta",
        })
    }
}

/// Received bytes that are not a message of the schema, or too much of one. It never quotes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame is larger than the caller allows; nothing was decoded.
    #[error("a frame of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Size of the frame in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The message has more fields than [`MAX_FIELDS`](super::MAX_FIELDS), or its structs would take more than 4 KiB
    /// plus 16 times its encoded bytes; nothing was decoded.
    #[error("the {layer} has more than {limit} fields, or too many empty ones", limit = super::MAX_FIELDS)]
    TooManyFields {
        /// The message.
        layer: Layer,
    },
    /// The bytes are not this message.
    #[error("the {layer} is not a message of the schema")]
    Malformed {
        /// The message.
        layer: Layer,
        /// The decoder's error: names of messages and fields, never their content.
        source: prost::DecodeError,
    },
    /// The payload is compressed, which a client that does not offer compression never has to understand.
    #[error("the payload is compressed (compressAlgorimth {algorithm})")]
    Compressed {
        /// The value of `compressAlgorimth`; 1 is zlib.
        algorithm: u32,
    },
}
