//! Contents of the service's own `YWMt…` tokens. The layout is seen, not promised, so it gives hints only.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

pub(super) const PREFIX: &str = "YWMt";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest token looked at, in bytes; those seen have 63 and 130.
const MAX: usize = 256;

/// Returns a token's issue and, unless it has none, its end, in milliseconds since 1970. Both layouts begin with a UUID
/// made from the time of issue. The older one goes on with the end; the newer one has the issue again and the life in
/// seconds. What does not fit together is not taken for either.
pub(super) fn times(token: &str) -> Option<(u64, Option<u64>)> {
    let packed = token.strip_prefix(PREFIX).filter(|packed| packed.len() <= MAX)?;
    let bytes = BASE64.decode(packed).ok()?;
    let issued_at = uuid_time(bytes.get(..16)?)?;
    match bytes.len() {
        44 => {
            let end = long(&bytes, 16)?;
            // Java's largest number stands for no end.
            if end >= i64::MAX as u64 {
                Some((issued_at, None))
            } else {
                (end >= issued_at).then_some((issued_at, Some(end)))
            }
        }
        94 if long(&bytes, 50)? == issued_at => {
            let life = u64::from(u32::from_be_bytes(*bytes.get(58..)?.first_chunk()?));
            Some((issued_at, (life != 0).then(|| issued_at + life * 1000)))
        }
        _ => None,
    }
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns when a UUID of version 1 was made, in milliseconds since 1970.
fn uuid_time(uuid: &[u8]) -> Option<u64> {
    /// From the first day of the Gregorian calendar to that of 1970, in steps of 100 ns.
    const GREGORIAN: u64 = 0x01b2_1dd2_1381_4000;
    let first = long(uuid, 0)?;
    let (low, middle, version, high) = (first >> 32, first >> 16 & 0xffff, first >> 12 & 0xf, first & 0xfff);
    let time = high << 48 | middle << 32 | low;
    (version == 1).then(|| time.checked_sub(GREGORIAN)).flatten().map(|time| time / 10_000)
}
