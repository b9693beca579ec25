//! Lenient reading of JSON.
//!
//! Valid JSON is parsed as it is. Anything else is mended and parsed once more:
//! - a byte order mark at the beginning is skipped,
//! - bytes that are not UTF-8 become U+FFFD, as in [`text`](super::text::read),
//! - so does an escape of half a surrogate pair (`\ud83d`), which `JSON.stringify` writes for a text cut in two,
//! - an unescaped control character is taken as it is,
//! - a number beyond the range of a 64-bit float becomes the largest one.
//!
//! Callers bound the length first; mending makes a text at most 3 times as long.

use std::{borrow::Cow, cell::Cell, fmt};

#[cfg(any(feature = "local-server", test))]
use serde::de::DeserializeOwned;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::text;

/// Parses a JSON text.
///
/// # Errors
/// The text is no JSON even when mended. The error quotes nothing.
#[cfg(any(feature = "local-server", test))]
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| match mended(bytes) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// Checks that a text is JSON, without allocating. A broken text is mended in a copy.
///
/// # Errors
/// The text is no JSON even when mended. The error quotes nothing.
pub(crate) fn check(bytes: &[u8]) -> Result<Cow<'_, str>, serde_json::Error> {
    let wrong = match std::str::from_utf8(bytes) {
        Ok(text) => match count(text, usize::MAX) {
            Ok(_) => return Ok(Cow::Borrowed(text)),
            Err(error) => Some(error),
        },
        Err(_) => None,
    };
    match (mended(bytes), wrong) {
        (None, Some(error)) => Err(error),
        // A text that is not UTF-8 is always mended.
        (None, None) => Err(serde_json::Error::custom("it is no text")),
        (Some(mended), _) => count(&mended, usize::MAX).map(|_| Cow::Owned(mended)),
    }
}

/// Counts the values in a JSON text up to `most`, without allocating. Objects, arrays and the values in them count;
/// names do not.
///
/// # Errors
/// The text is no JSON, or holds more values.
pub(crate) fn count(text: &str, most: usize) -> Result<usize, serde_json::Error> {
    let left = Cell::new(most);
    let mut reader = serde_json::Deserializer::from_str(text);
    Count(&left).deserialize(&mut reader)?;
    reader.end()?;
    Ok(most.saturating_sub(left.get()))
}

/// Deducts one from the rest for each value, and keeps none.
#[derive(Clone, Copy)]
struct Count<'a>(&'a Cell<usize>);

impl Count<'_> {
    #[inline]
    fn one<E: Error>(self) -> Result<(), E> {
        self.0.set(self.0.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.one()?;
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.one()?;
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Mends a text; `None` where nothing is broken.
pub(super) fn mended(bytes: &[u8]) -> Option<String> {
    let unmarked = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let read = text::read(unmarked);
    let mut mended = String::with_capacity(read.len() + 16);
    let mut rest = &*read;
    while let Some(at) = rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        let (before, from) = rest.split_at(at);
        mended.push_str(before);
        rest = match from.strip_prefix('"') {
            Some(inside) => {
                mended.push('"');
                string(inside, &mut mended)
            }
            None => number(from, &mut mended),
        };
    }
    mended.push_str(rest);
    (mended.as_bytes() != bytes).then_some(mended)
}

/// Appends a text and its closing quote; returns the rest.
fn string<'a>(mut rest: &'a str, to: &mut String) -> &'a str {
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, from) = rest.split_at(at);
        to.push_str(plain);
        let mut chars = from.chars();
        let found = chars.next();
        rest = chars.as_str();
        match found {
            Some('"') => {
                to.push('"');
                return rest;
            }
            Some('\\') => rest = escape(rest, to),
            Some('\n') => to.push_str("\\n"),
            Some('\r') => to.push_str("\\r"),
            Some('\t') => to.push_str("\\t"),
            // As an escape it would take 6 bytes for one.
            _ => to.push(char::REPLACEMENT_CHARACTER),
        }
    }
    to.push_str(rest);
    ""
}

/// Appends an escape sequence; returns the rest.
fn escape<'a>(rest: &'a str, to: &mut String) -> &'a str {
    let Some(digits) = rest.strip_prefix('u') else {
        to.push('\\');
        let mut chars = rest.chars();
        to.extend(chars.next());
        return chars.as_str();
    };
    let Some((unit, after)) = unit(digits) else {
        to.push_str("\\u");
        return digits;
    };
    let (whole, after) = match after.strip_prefix("\\u").and_then(self::unit) {
        Some((low, after)) if text::pair(unit, low).is_some() => (true, after),
        _ => (char::from_u32(u32::from(unit)).is_some(), after),
    };
    if whole {
        to.push('\\');
        to.push_str(rest.strip_suffix(after).unwrap_or_default());
    } else {
        to.push(char::REPLACEMENT_CHARACTER);
    }
    after
}

/// Splits off four hexadecimal digits.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16))?;
    Some((unit.ok()?, rest))
}

/// Appends a number; returns the rest.
fn number<'a>(text: &'a str, to: &mut String) -> &'a str {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(beyond) if beyond.is_infinite() => to.push_str(if beyond > 0.0 { "1e308" } else { "-1e308" }),
        _ => to.push_str(number),
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::{check, count, mended, read};

    /// Reads a text, and asserts that checking it agrees.
    fn value(bytes: impl AsRef<[u8]>) -> Option<Value> {
        let value = read(bytes.as_ref()).ok();
        let checked = check(bytes.as_ref()).ok().map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(value, checked, "{}", String::from_utf8_lossy(bytes.as_ref()));
        value
    }

    #[test]
    fn checking_takes_no_memory_whatever_the_text_holds() {
        for part in [r#"{"":0},"#, "[],", "[[[[]]]],", r#""abc","#, "1.5e3,", "null,"] {
            let text = format!("[{}0]", part.repeat(10_000));
            let counted = allocation_counter::measure(|| drop(check(text.as_bytes()).unwrap()));
            assert!(counted.bytes_max < 1024, "{counted:?} for {part}");
        }
    }

    #[test]
    fn values_are_counted_and_no_more_of_them_than_allowed() {
        for (text, values) in [("0", 1), ("[]", 1), (r#"{"a":{"b":[1,"c",null,true,1.5]}}"#, 8)] {
            assert_eq!(count(text, values).unwrap(), values);
            assert!(count(text, values - 1).is_err(), "{text}");
        }
        assert!(count("[1] 2", 9).is_err());
    }

    #[test]
    fn half_a_surrogate_pair_in_an_escape_is_a_replacement_character() {
        for (text, expected) in [
            (
                r#"{"access_token":"t","user":{"nickname":"\ud83d"}}"#,
                json!({"access_token": "t", "user": {"nickname": "\u{fffd}"}}),
            ),
            (r#"["\ud83d\ude00\ud83d"]"#, json!(["\u{1f600}\u{fffd}"])),
            (r#"["\ude00\ud83d"]"#, json!(["\u{fffd}\u{fffd}"])),
            (r#"["\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}\u{1f600}"])),
            (r#"["\ud83d\u0041", "\uD83Dx\"\\ud83d"]"#, json!(["\u{fffd}A", "\u{fffd}x\"\\ud83d"])),
            (r#"{"\udfff":"\\\udfff"}"#, json!({"\u{fffd}": "\\\u{fffd}"})),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_bad_bytes_are_no_reason_to_refuse() {
        assert_eq!(value(b"\xef\xbb\xbf{\"a\":1}"), Some(json!({"a": 1})));
        assert_eq!(value(b"{\"a\":1,\"b\":\"\xff\xed\xa0\xbd\"}"), Some(json!({"a": 1, "b": "\u{fffd}\u{fffd}"})));
        assert_eq!(value(b"[\"\xed\xa0\xbd\xed\xb8\x80\"]"), Some(json!(["\u{1f600}"])));
        assert_eq!(value(b"{\"a\":\"x\x00\n\ty\"}"), Some(json!({"a": "x\u{fffd}\n\ty"})));
        assert_eq!(
            value(r#"{"a":1,"b":1e999,"c":-1e999,"d":"1e999"}"#),
            Some(json!({"a": 1, "b": 1e308, "c": -1e308, "d": "1e999"}))
        );
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for bad in [
            "",
            "{",
            "\u{feff}",
            r#"{"a":"#,
            "\"",
            "\"\\",
            "\"\\u",
            "\"\\ud8",
            "[1,]",
            "nonsense",
            r#"["\x"]"#,
            r#"["\u12"]"#,
        ] {
            assert_eq!(value(bad), None, "{bad}");
        }
        assert_eq!(value(b"\xff"), None);
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        assert_eq!(value("[".repeat(100_000)), None);
        assert_eq!(value(format!("\u{feff}{}", "[".repeat(100_000))), None);
    }

    proptest! {
        #[test]
        fn json_is_not_changed_by_mending(text in any::<String>(), number in any::<f64>(), key in any::<String>()) {
            let text = json!({key: [text, number, -7, u64::MAX, {"a": null}]}).to_string();
            prop_assert_eq!(mended(text.as_bytes()), None);
        }

        #[test]
        fn a_text_of_any_bytes_costs_only_itself(bytes in vec(any::<u8>(), 0..40)) {
            prop_assume!(!bytes.contains(&b'"') && !bytes.contains(&b'\\'));
            let text = [&b"{\"a\":\""[..], &bytes, b"\",\"b\":7}"].concat();
            prop_assert_eq!(value(&text).unwrap()["b"].clone(), json!(7));
        }

        #[test]
        fn any_escapes_of_utf_16_come_out_as_javascript_reads_them(units in vec(prop_oneof![any::<u16>(), 0xd7f0..0xe010_u16], 0..20)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(value(format!("[\"{escaped}\"]")), Some(json!([String::from_utf16_lossy(&units)])));
        }

        #[test]
        fn no_bytes_do_harm(bytes in vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'u'), Just(b'd'), Just(b'8')], 0..60)) {
            if let Some(mended) = mended(&bytes) {
                prop_assert!(mended.len() <= 3 * bytes.len() + 4);
            }
            let _ = value(&bytes);
        }
    }
}
