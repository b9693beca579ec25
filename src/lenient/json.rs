//! JSON as others write it.
//!
//! What is JSON is parsed as it is. What is not has its texts mended, and is parsed once more:
//! - a byte order mark before it is skipped,
//! - bytes that are no UTF-8 become U+FFFD, as [`text`](super::text) has it,
//! - so does an escape of half a surrogate pair (`\ud83d`), which `JSON.stringify` writes for a text cut in two,
//! - a control character that is not escaped stands for itself,
//! - a number beyond what 64 bits of floating point hold is the largest one.
//!
//! Whoever calls this bounds the length first; mending makes it at most three times as long.

use serde::de::DeserializeOwned;

use super::text;

/// Takes a JSON text apart.
///
/// # Errors
/// What is wrong with it still, its texts mended. It quotes nothing.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| match mended(bytes) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text with what is broken mended; `None` where nothing is.
fn mended(bytes: &[u8]) -> Option<String> {
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

/// Appends a text and the quote behind it; what follows that.
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
            // Written out it would take six bytes for one.
            _ => to.push(char::REPLACEMENT_CHARACTER),
        }
    }
    to.push_str(rest);
    ""
}

/// Appends what stands behind a backslash; what follows it.
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

/// Four hexadecimal digits, and what follows them.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16))?;
    Some((unit.ok()?, rest))
}

/// Appends a number; what follows it.
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

    use super::{mended, read};

    fn value(bytes: impl AsRef<[u8]>) -> Option<Value> {
        read(bytes.as_ref()).ok()
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
