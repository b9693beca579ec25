//! Masking (RFC 6455 §5.3).

/// XORs `bytes` with the repeated `key`, eight at a time; doing it twice restores them.
pub(super) fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, tail) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_eight_at_a_time_equals_masking_one_at_a_time() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40u8 {
            let plain: Vec<u8> = (0..len).collect();
            let slow: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let mut fast = plain.clone();
            apply(&mut fast, key);
            assert_eq!(fast, slow);
            apply(&mut fast, key);
            assert_eq!(fast, plain);
        }
    }
}
