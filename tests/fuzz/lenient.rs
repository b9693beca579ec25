//! Fuzz target: any bytes, read as a text, as JSON that is kept, and as JSON that is parsed.
//!
//! Input: the bound of the parser (16 bits); the rest is the text.

use std::borrow::Cow;

use arbitrary::{Result, Unstructured};
use serde_json::Value;

use super::{bounded, json, text};

pub(crate) fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let most = usize::from(u.arbitrary::<u16>()?);
    let bytes = u.take_rest();

    let read = text::read(bytes);
    assert!(read.len() <= 3 * bytes.len(), "a text grew");
    assert!(matches!(&read, Cow::Borrowed(_)) == std::str::from_utf8(bytes).is_ok(), "what is UTF-8 was copied");
    let plain = |bytes: &[u8]| bytes.iter().copied().filter(u8::is_ascii).collect::<Vec<_>>();
    assert_eq!(plain(read.as_bytes()), plain(bytes), "a character that is not broken was changed");

    let kept = json::check(bytes);
    if let Ok(kept) = &kept {
        assert!(kept.len() <= 3 * bytes.len() + 16, "a text of JSON grew");
        assert!(serde_json::from_str::<Value>(kept).is_ok(), "what was kept as JSON is none");
        let values = json::count(kept, usize::MAX).unwrap_or(0);
        assert!(values > 0 && json::count(kept, values).is_ok(), "as many values as there are, are too many");
        assert!(json::count(kept, values - 1).is_err(), "there are more values than were counted");
    }
    if serde_json::from_slice::<Value>(bytes).is_ok() {
        let same = matches!(&kept, Ok(Cow::Borrowed(kept)) if kept.as_bytes() == bytes);
        assert!(same, "what is JSON was changed");
    }

    let whole = bounded::read(bytes, usize::MAX);
    assert_eq!(whole.is_ok(), kept.is_ok(), "two readers disagree on what is JSON");
    if let (Ok(whole), Ok(kept)) = (&whole, &kept) {
        assert_eq!(serde_json::from_str::<Value>(kept).ok().as_ref(), Some(whole), "two readers read other things");
    }
    if let Ok(within) = bounded::read(bytes, most) {
        assert_eq!(Some(within), whole.ok(), "a bound changed what was read");
    }
    Ok(())
}
