//! Bodies that a server compressed although it was asked not to (RFC 9110 §8.4).

use std::fmt;

use miniz_oxide::{
    DataFormat, MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use super::head::shown;

const CODINGS: usize = 4;

const STEP: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    /// An unknown coding.
    Unknown(String),
    Broken(&'static str),
    TooLarge(usize),
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packed::Unknown(coding) => write!(f, "it is compressed by `{coding}`, which was not asked for"),
            Packed::Broken(coding) => write!(f, "it is compressed by `{coding}`, and that is broken"),
            Packed::TooLarge(most) => write!(f, "it is compressed, and larger than {most} bytes without that"),
        }
    }
}

/// Returns the codings of a body, in the order they were applied in; `identity` is none.
pub(crate) fn codings<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let members = lines.flat_map(|line| line.split(',')).map(str::trim);
    members.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// Returns the first coding of a body that is passed on as it comes, if there is one.
pub(crate) fn first_coding<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    codings(lines).next().map(shown)
}

/// Returns a body without the codings that its `Content-Encoding` lines name; `None` where there are none.
pub(crate) fn unpacked<'a>(
    body: &[u8],
    lines: impl Iterator<Item = &'a str>,
    most: usize,
) -> Result<Option<Vec<u8>>, Packed> {
    let applied: Vec<_> = codings(lines).take(CODINGS + 1).collect();
    if applied.len() > CODINGS {
        return Err(Packed::Unknown("too many codings".to_owned()));
    }
    let mut unpacked = None;
    for coding in applied.iter().rev() {
        let body = unpacked.as_deref().unwrap_or(body);
        unpacked = Some(match coding.to_ascii_lowercase().as_str() {
            // An answer without a body has no coding either, whatever it says.
            _ if body.is_empty() => Vec::new(),
            "gzip" | "x-gzip" => gunzip(body, most)?,
            "deflate" => deflated(body, most)?,
            _ => return Err(Packed::Unknown(shown(coding))),
        });
    }
    Ok(unpacked)
}

/// With zlib's frame, as the standard has it, or bare, as some servers do.
fn deflated(body: &[u8], most: usize) -> Result<Vec<u8>, Packed> {
    let framed = matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0);
    let mut unpacked = Vec::new();
    let format = if framed { DataFormat::Zlib } else { DataFormat::Raw };
    inflated(body, format, most, &mut unpacked).map_err(|failed| failed.unwrap_or(Packed::Broken("deflate")))?;
    Ok(unpacked)
}

/// Unpacks one or more members of RFC 1952, and zeros behind them.
fn gunzip(mut body: &[u8], most: usize) -> Result<Vec<u8>, Packed> {
    const BROKEN: Packed = Packed::Broken("gzip");

    let mut unpacked = Vec::new();
    loop {
        let packed = gzip_head(body).ok_or(BROKEN)?;
        let begin = unpacked.len();
        let used = inflated(packed, DataFormat::Raw, most, &mut unpacked).map_err(|failed| failed.unwrap_or(BROKEN))?;
        let (sums, rest) = packed.get(used..).and_then(|rest| rest.split_at_checked(8)).ok_or(BROKEN)?;
        let member = unpacked.get(begin..).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, reason = "the length modulo 2^32, as the format has it")]
        let wanted = [crc32(member).to_le_bytes(), (member.len() as u32).to_le_bytes()].concat();
        if sums != wanted {
            return Err(BROKEN);
        }
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(unpacked);
        }
        body = rest;
    }
}

fn gzip_head(body: &[u8]) -> Option<&[u8]> {
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;

    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = body else { return None };
    let mut rest = rest;
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & CHECKSUM != 0 { rest.get(2..) } else { Some(rest) }
}

/// Unpacks one stream and gives the number of bytes it took; `None` for an error is a broken one.
fn inflated(packed: &[u8], format: DataFormat, most: usize, unpacked: &mut Vec<u8>) -> Result<usize, Option<Packed>> {
    let mut state = InflateState::new_boxed(format);
    let mut step = vec![0; STEP];
    let mut used = 0;
    loop {
        let done = inflate(&mut state, packed.get(used..).unwrap_or_default(), &mut step, MZFlush::None);
        used += done.bytes_consumed;
        let new = step.get(..done.bytes_written).unwrap_or_default();
        if new.len() > most.saturating_sub(unpacked.len()) {
            return Err(Some(Packed::TooLarge(most)));
        }
        unpacked.extend_from_slice(new);
        match done.status {
            Ok(MZStatus::StreamEnd) => return Ok(used),
            Ok(_) if done.bytes_consumed > 0 || done.bytes_written > 0 => {}
            // Also where the stream is cut: it asks for bytes that are not there.
            Ok(_) | Err(MZError::Buf | _) => return Err(None),
        }
    }
}

/// Returns the checksum of RFC 1952 §8.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut entry, mut bit) = (index as u32, 0);
            while bit < 8 {
                entry = if entry & 1 == 1 { 0xedb8_8320 ^ (entry >> 1) } else { entry >> 1 };
                bit += 1;
            }
            #[allow(clippy::indexing_slicing, reason = "within its bounds, and run by the compiler")]
            {
                table[index] = entry;
            }
            index += 1;
        }
        table
    };

    !bytes.iter().fold(!0, |sum: u32, byte| {
        let entry = TABLE.get(usize::from(sum.to_le_bytes()[0] ^ byte)).copied().unwrap_or_default();
        entry ^ (sum >> 8)
    })
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
    use proptest::prelude::*;

    use super::{Packed, crc32, first_coding, unpacked};

    fn gzip(flags: u8, extra: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        let head = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
        [&head, extra, &compress_to_vec(body, 6), &crc32(body).to_le_bytes(), &length].concat()
    }

    fn unpack(body: &[u8], lines: &[&str], most: usize) -> Result<Option<Vec<u8>>, Packed> {
        unpacked(body, lines.iter().copied(), most)
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn each_known_coding_is_unpacked_in_the_order_it_was_applied_in() {
        let body = b"{\"a\":1}".repeat(100);
        let plain = gzip(0, b"", &body);
        for (packed, lines) in [
            (plain.clone(), &["gzip"][..]),
            (plain.clone(), &["identity", "X-GZip , "]),
            (gzip(31, b"\x03\0abcname\0comment\0hc", &body), &["gzip"]),
            ([gzip(0, b"", &body[..50]), gzip(0, b"", &body[50..]), vec![0; 3]].concat(), &["gzip"]),
            (compress_to_vec_zlib(&body, 6), &["deflate"]),
            (compress_to_vec(&body, 6), &["Deflate"]),
            (gzip(0, b"", &compress_to_vec_zlib(&body, 6)), &["deflate", "gzip"]),
            (gzip(0, b"", &compress_to_vec_zlib(&body, 6)), &["deflate, gzip"]),
        ] {
            assert_eq!(unpack(&packed, lines, body.len()).unwrap().as_deref(), Some(&body[..]), "{lines:?}");
            let small = unpack(&packed, lines, body.len() - 1);
            assert_eq!(small, Err(Packed::TooLarge(body.len() - 1)), "{lines:?}");
        }
        assert_eq!(unpack(&body, &["identity", ""], 9), Ok(None));
        assert_eq!(unpack(b"", &["gzip"], 9), Ok(Some(Vec::new())));
    }

    #[test]
    fn what_is_cut_altered_or_unknown_is_named() {
        let body = b"hello hello hello hello hello".repeat(9);
        let packed = gzip(0, b"", &body);
        for cut in 1..packed.len() {
            assert_eq!(unpack(&packed[..cut], &["gzip"], 1000), Err(Packed::Broken("gzip")), "{cut}");
        }
        let mut altered = packed.clone();
        let at = altered.len() - 5;
        altered[at] ^= 1;
        assert_eq!(unpack(&altered, &["gzip"], 1000), Err(Packed::Broken("gzip")));
        let zlib = compress_to_vec_zlib(&body, 6);
        for cut in 1..zlib.len() {
            assert_eq!(unpack(&zlib[..cut], &["deflate"], 1000), Err(Packed::Broken("deflate")), "{cut}");
        }
        for coding in ["br", "zstd", "compress"] {
            let failed = unpack(b"x", &["identity", coding], 9).unwrap_err();
            assert!(failed.to_string().contains(&format!("`{coding}`")), "{failed}");
        }
        assert!(unpack(b"x", &["gzip, gzip, gzip, gzip, gzip"], 9).is_err());
        assert_eq!(first_coding(["identity", "b\u{1b}r"].into_iter()).as_deref(), Some("b?r"));
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let mut bomb = vec![0; 32 << 20];
        for _ in 0..2 {
            bomb = gzip(0, b"", &bomb);
        }
        assert_eq!(unpack(&bomb, &["gzip, gzip"], 1 << 20), Err(Packed::TooLarge(1 << 20)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), head: bool) {
            let body = if head { [&[0x1f, 0x8b, 8][..], &body].concat() } else { body };
            for coding in ["gzip", "deflate"] {
                if let Ok(Some(unpacked)) = unpack(&body, &[coding], 1000) {
                    prop_assert!(unpacked.len() <= 1000);
                }
            }
        }
    }
}
