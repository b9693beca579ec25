//! JSON parsed within a bound of memory, whatever it holds.
//!
//! A parsed value takes up to 100 times the bytes of its text: `{"":0},` is 7 bytes, and a map of its own. So each part
//! is charged its allocation while it is parsed, and a text over the bound is refused.

use std::{cell::Cell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::json;

/// Parses a JSON text, [mended](super::json) where it is broken, into a value of at most `most` bytes of memory.
///
/// Parsing takes up to 9 times the text's length besides: mending may make a broken text 3 times as long, in a buffer
/// that doubles.
///
/// # Errors
/// The text is no JSON even when mended, or would take more. The error quotes nothing.
pub(crate) fn read(bytes: &[u8], most: usize) -> Result<Value, serde_json::Error> {
    parse(serde_json::Deserializer::from_slice(bytes), most).or_else(|error| match json::mended(bytes) {
        // Mending cannot help a text that is over the bound.
        Some(mended) if !error.is_data() => parse(serde_json::Deserializer::from_str(&mended), most),
        _ => Err(error),
    })
}

fn parse<'de, R: serde_json::de::Read<'de>>(
    mut text: serde_json::Deserializer<R>,
    most: usize,
) -> Result<Value, serde_json::Error> {
    let value = Part { left: &Cell::new(most) }.deserialize(&mut text)?;
    text.end()?;
    Ok(value)
}

/// Bytes that an allocation takes besides those asked for.
const ALLOCATION: usize = 24;
/// Bytes for one entry of a list: its vector doubles, and for that moment the old half is there as well.
const ENTRY: usize = 3 * size_of::<Value>();
/// Bytes for a node of a map, which has places for 11 members. Each node but the first holds at least 5, and each inner
/// node has at least 6 children.
const NODE: usize = 11 * (size_of::<Value>() + size_of::<String>()) + 2 * size_of::<usize>() + ALLOCATION;
const NODE_ABOVE: usize = NODE + 12 * size_of::<usize>();

/// Parses one value within the memory that is left.
#[derive(Clone, Copy)]
struct Part<'a> {
    left: &'a Cell<usize>,
}

impl Part<'_> {
    fn charge<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.ok_or_else(|| E::custom("it holds more than may be taken apart"))?);
        Ok(())
    }

    fn text<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text.is_empty() { Ok(()) } else { self.charge(text.len().saturating_add(ALLOCATION)) }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(self)? {
            // The first allocation has 4 places.
            self.charge(if list.is_empty() { 4 * size_of::<Value>() + ALLOCATION } else { ENTRY })?;
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(Name(name)) = members.next_key_seed(NameOf(self))? {
            if map.len().is_multiple_of(5) {
                self.charge(NODE)?;
            }
            if map.len() % 30 == 29 {
                self.charge(NODE_ABOVE)?;
            }
            let value = members.next_value_seed(self)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads the name of a member, which is charged before it is copied.
struct Name(String);

struct NameOf<'a>(Part<'a>);

impl<'de> DeserializeSeed<'de> for NameOf<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        self.0.text(name)?;
        Ok(Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::read;

    const MOST: usize = 1 << 20;

    /// Values that are costly for their length, repeated within a list or an object.
    fn costly() -> Vec<String> {
        let repeated = |one: &str| format!("[{}]", vec![one; 400_000 / one.len()].join(","));
        let members = (0..20_000).map(|n| format!("\"{n:x}\":0")).collect::<Vec<_>>().join(",");
        let mut all: Vec<_> = [
            r#"{"":0}"#,
            r#"{"a":{"":0}}"#,
            r#"[{"":[0]}]"#,
            "0",
            "[]",
            "[0]",
            "[[[0]]]",
            "{}",
            r#""a""#,
            r#"{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0}"#,
        ]
        .map(repeated)
        .into();
        all.push(format!("{{{members}}}"));
        all.push(format!("\"{}\"", "\\n".repeat(200_000)));
        all.push(format!("[\"\\ud800{}\"]", "\u{1}".repeat(200_000)));
        all
    }

    #[test]
    fn whatever_a_text_holds_it_takes_no_more_than_it_may() {
        for text in costly() {
            // The mended texts themselves, besides the value.
            for most in [0, 1 << 10, MOST, 64 << 20] {
                let bound = most as u64 + 9 * text.len() as u64 + 4096;
                let cost = allocation_counter::measure(|| drop(read(text.as_bytes(), most))).bytes_max;
                assert!(cost <= bound, "{cost} for {} bytes of {:.30}, of {most}", text.len(), text);
            }
        }
    }

    #[test]
    fn what_is_too_much_is_refused_and_what_is_not_is_read_as_ever() {
        let text = &costly()[0];
        assert!(read(text.as_bytes(), MOST).unwrap_err().to_string().contains("more than may be taken apart"));
        assert_eq!(read(text.as_bytes(), 64 << 20).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read(b"\xef\xbb\xbf{\"a\":\"\xff\"}", MOST).unwrap(), json!({"a": "\u{fffd}"}));
        assert!(read(b"{\"a\":1} 2", MOST).is_err());
        assert!(read("[".repeat(100_000).as_bytes(), MOST).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 40, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..40).prop_map(Value::from),
                vec((".{0,4}", inner), 0..40).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_value_is_read_as_serde_json_reads_it_and_charged_what_it_takes(value in value()) {
            let text = value.to_string();
            let read_back = read(text.as_bytes(), usize::MAX).unwrap();
            prop_assert_eq!(&read_back, &serde_json::from_str::<Value>(&text).unwrap());
            // The least it may take, found by halves.
            let (mut refused, mut enough) = (0, 1 << 24);
            while enough - refused > 1 {
                let most = usize::midpoint(refused, enough);
                if read(text.as_bytes(), most).is_ok() { enough = most } else { refused = most }
            }
            let cost = allocation_counter::measure(|| drop(read(text.as_bytes(), enough))).bytes_max;
            prop_assert!(cost <= enough as u64 + 2 * text.len() as u64 + 1024, "{} for {}", cost, enough);
        }
    }
}
