//! Encoder of frames to the server: whole, final and masked.

use bytes::{BufMut, BytesMut};

use super::{ControlKind, FrameError, MAX_CONTROL_PAYLOAD, MessageKind, Opcode, mask};

/// Header (2), 64-bit length (8) and masking key (4).
const MAX_HEADER: usize = 14;

/// Appends a message as one frame to `out`.
///
/// `key` must be new and hard to predict for every frame (RFC 6455 §5.3). Text is trusted to be UTF-8.
pub(crate) fn encode_message(kind: MessageKind, payload: &[u8], key: [u8; 4], out: &mut BytesMut) {
    put_frame(Opcode::Message(kind), &[payload], key, out);
}

/// Appends a control frame to `out`; a Close with code and reason is made by [`encode_close`].
///
/// # Errors
///
/// [`FrameError::ControlTooLong`] for a payload above [`MAX_CONTROL_PAYLOAD`] bytes, which no pong to a decoded ping
/// has; nothing is appended then.
pub(crate) fn encode_control(
    kind: ControlKind,
    payload: &[u8],
    key: [u8; 4],
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    if payload.len() > MAX_CONTROL_PAYLOAD {
        return Err(FrameError::ControlTooLong);
    }
    put_frame(Opcode::Control(kind), &[payload], key, out);
    Ok(())
}

/// Appends a Close frame to `out`; a reason of more than 123 bytes is cut at the last whole character that fits.
pub(crate) fn encode_close(code: u16, mut reason: &str, key: [u8; 4], out: &mut BytesMut) {
    let code = code.to_be_bytes();
    while reason.len() > MAX_CONTROL_PAYLOAD - code.len() {
        let mut chars = reason.chars();
        chars.next_back();
        reason = chars.as_str();
    }
    put_frame(Opcode::Control(ControlKind::Close), &[&code, reason.as_bytes()], key, out);
}

fn put_frame(opcode: Opcode, parts: &[&[u8]], key: [u8; 4], out: &mut BytesMut) {
    const FINAL: u8 = 0x80;
    const MASKED: u8 = 0x80;
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(MAX_HEADER + len);
    out.put_u8(FINAL | opcode.bits());
    if let Some(short) = u8::try_from(len).ok().filter(|len| *len <= 125) {
        out.put_u8(MASKED | short);
    } else if let Ok(medium) = u16::try_from(len) {
        out.put_u8(MASKED | 126);
        out.put_u16(medium);
    } else {
        out.put_u8(MASKED | 127);
        out.put_u64(len as u64);
    }
    out.put_slice(&key);
    let start = out.len();
    for part in parts {
        out.put_slice(part);
    }
    if let Some(payload) = out.get_mut(start..) {
        mask::apply(payload, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn close(code: u16, reason: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode_close(code, reason, KEY, &mut out);
        assert_eq!(&out[..6], &[0x88, 0x80 | u8::try_from(out.len() - 6).unwrap(), 0x37, 0xfa, 0x21, 0x3d]);
        let mut payload = out.split_off(6).to_vec();
        mask::apply(&mut payload, KEY);
        payload
    }

    #[test]
    fn the_masked_examples_of_rfc_6455_5_7_are_encoded_to_the_byte() {
        let mut out = BytesMut::new();
        encode_message(MessageKind::Text, b"Hello", KEY, &mut out);
        assert_eq!(&out[..], &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        out.clear();
        encode_control(ControlKind::Pong, b"Hello", KEY, &mut out).unwrap();
        assert_eq!(&out[..], &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn the_length_takes_the_shortest_form() {
        let header = |len: usize| {
            let mut out = BytesMut::new();
            encode_message(MessageKind::Binary, &vec![0; len], [0; 4], &mut out);
            let header = out.len() - len;
            out[..header].to_vec()
        };
        assert_eq!(header(0), [0x82, 0x80, 0, 0, 0, 0]);
        assert_eq!(header(125), [0x82, 0xfd, 0, 0, 0, 0]);
        assert_eq!(header(126), [0x82, 0xfe, 0, 126, 0, 0, 0, 0]);
        assert_eq!(header(65_535), [0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(header(65_536), [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn frames_are_appended_to_what_waits_already() {
        let mut out = BytesMut::from(&b"waiting"[..]);
        encode_control(ControlKind::Ping, b"", KEY, &mut out).unwrap();
        encode_message(MessageKind::Binary, b"", KEY, &mut out);
        assert_eq!(&out[..], b"waiting\x89\x80\x37\xfa\x21\x3d\x82\x80\x37\xfa\x21\x3d");
    }

    #[test]
    fn a_control_payload_of_126_bytes_is_refused_and_nothing_is_appended() {
        let mut out = BytesMut::new();
        assert_eq!(encode_control(ControlKind::Ping, &[0; 126], KEY, &mut out), Err(FrameError::ControlTooLong));
        assert!(out.is_empty());
        encode_control(ControlKind::Ping, &[0; 125], KEY, &mut out).unwrap();
        assert_eq!(out.len(), 6 + 125);
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        assert_eq!(close(1000, "bye"), b"\x03\xe8bye");
        assert_eq!(close(4001, &"x".repeat(123)).len(), 125);
        assert_eq!(close(4001, &"x".repeat(124)).len(), 125);
        let cut = close(1000, &"é".repeat(100));
        assert_eq!(cut.len(), 2 + 122);
        assert_eq!(std::str::from_utf8(&cut[2..]).unwrap(), "é".repeat(61));
    }
}
