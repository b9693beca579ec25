//! The frame that pulls a queue, encoded by hand: one is sent for each page, so its cost shows.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

use super::Jid;

/// Encodes the frame that pulls a queue; `key` is the cursor, which acknowledges everything before it (connection spec
/// §7.2).
#[must_use]
pub fn pull_frame(queue: &Jid, key: Option<u64>) -> Bytes {
    let queue_len = queue.encoded_len();
    let key_len = key.map_or(0, |key| 1 + encoded_len_varint(key));
    let payload_len = key_len + 1 + encoded_len_varint(queue_len as u64) + queue_len;
    let mut frame = BytesMut::with_capacity(4 + 1 + encoded_len_varint(payload_len as u64) + payload_len + 2);
    // version 0, command SYNC
    frame.put_slice(&[0x08, 0x00, 0x40, 0x00]);
    frame.put_u8(0x4a);
    encode_varint(payload_len as u64, &mut frame);
    if let Some(key) = key {
        frame.put_u8(0x10);
        encode_varint(key, &mut frame);
    }
    frame.put_u8(0x1a);
    encode_varint(queue_len as u64, &mut frame);
    queue.encode_raw(&mut frame);
    // encryptType ENCRYPT_NONE
    frame.put_slice(&[0x58, 0x00]);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::pull_frame;
    use crate::wire::{CommSyncUl, Jid, MSync};

    proptest! {
        #[test]
        fn the_frame_is_the_one_the_encoder_makes(
            parts in prop::collection::vec(prop::option::of("[a-zé]{0,80}"), 4),
            key in prop::option::of(any::<u64>()),
        ) {
            let [app_key, name, domain, client_resource] = <[_; 4]>::try_from(parts).unwrap();
            let queue = Jid { app_key, name, domain, client_resource };
            let made = MSync::client_sync(&CommSyncUl::pull(queue.clone(), key)).to_bytes();
            prop_assert_eq!(pull_frame(&queue, key), made);
        }
    }
}
