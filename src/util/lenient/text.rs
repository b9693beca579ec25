//! Bytes read as text: broken parts become U+FFFD.
//!
//! JavaScript's texts may hold half of a surrogate pair, and some encoders write each half as 3 bytes of its own. So
//! besides the work of [`String::from_utf8_lossy`]:
//! - two such triples that belong together (`ED A0 BD ED B8 80`, CESU-8) become the character they stand for,
//! - a lone one (`ED A0 BD`) becomes one U+FFFD, as in JavaScript's `toWellFormed`.

use std::borrow::Cow;

/// Reads a text. Valid UTF-8 is checked once and borrowed.
pub(crate) fn read(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut mended = String::with_capacity(bytes.len() + 8);
            append(bytes, &mut mended);
            Cow::Owned(mended)
        }
    }
}

/// Appends a text, at most 3 bytes for each byte read.
pub(crate) fn append(mut bytes: &[u8], to: &mut String) {
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return to.push_str(text),
            Err(error) => error,
        };
        let (valid, broken) = bytes.split_at(error.valid_up_to());
        // The second check is redundant; only unsafe code could skip it.
        to.push_str(std::str::from_utf8(valid).unwrap_or_default());
        let (found, length) = match surrogate(broken) {
            Some(high) => match broken.get(3..).and_then(surrogate).and_then(|low| pair(high, low)) {
                Some(found) => (found, 6),
                None => (char::REPLACEMENT_CHARACTER, 3),
            },
            None => (char::REPLACEMENT_CHARACTER, error.error_len().unwrap_or(broken.len())),
        };
        to.push(found);
        bytes = broken.get(length..).unwrap_or_default();
    }
}

/// Returns the character of a surrogate pair; `None` for other units.
pub(super) fn pair(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low]).next().and_then(Result::ok).filter(|_| (0xd800..0xdc00).contains(&high))
}

/// Returns the surrogate that three bytes stand for.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | (u16::from(second & 0x3f) << 6) | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::{collection::vec, prelude::*};

    use super::read;

    /// A UTF-16 text as encoders write it that do not know of pairs: three bytes for each half.
    fn cesu8(units: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for unit in units {
            match char::from_u32(u32::from(*unit)) {
                Some(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => bytes.extend([0xed, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]),
            }
        }
        bytes
    }

    #[test]
    fn half_a_surrogate_pair_is_one_replacement_character_and_a_whole_one_is_its_character() {
        for (bytes, text) in [
            (&b"half \xed\xa0\xbd"[..], "half \u{fffd}"),
            (b"\xed\xa0\xbd half", "\u{fffd} half"),
            (b"\xed\xb8\x80", "\u{fffd}"),
            (b"a\xed\xa0\xbd\xed\xb8\x80b", "a\u{1f600}b"),
            (b"\xed\xb8\x80\xed\xa0\xbd", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0\xbd\xed\xa0\xbd\xed\xb8\x80", "\u{fffd}\u{1f600}"),
            (b"\xed\xa0", "\u{fffd}\u{fffd}"),
            (b"\xf0\x9f\x98", "\u{fffd}"),
            (b"a\xffb\xc3", "a\u{fffd}b\u{fffd}"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(read(bytes), text, "{bytes:x?}");
        }
    }

    #[test]
    fn a_text_without_a_fault_is_borrowed() {
        assert!(matches!(read("grüße \u{1f600}".as_bytes()), Cow::Borrowed("grüße \u{1f600}")));
    }

    proptest! {
        #[test]
        fn utf_16_comes_out_as_javascript_reads_it(units in vec(prop_oneof![any::<u16>(), 0xd7f0..0xe010_u16], 0..20)) {
            let bytes = cesu8(&units);
            prop_assert_eq!(read(&bytes), String::from_utf16_lossy(&units));
        }

        #[test]
        fn other_bytes_are_read_as_the_standard_library_reads_them(bytes in vec(any::<u8>(), 0..40)) {
            prop_assume!(!bytes.windows(2).any(|two| two[0] == 0xed && two[1] >= 0xa0));
            prop_assert_eq!(read(&bytes), String::from_utf8_lossy(&bytes));
            prop_assert!(read(&bytes).len() <= 3 * bytes.len());
        }
    }
}
