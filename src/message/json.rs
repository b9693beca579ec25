//! Reading the service's JSON, in which numbers may be text and anything may be absent.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lenient;

/// The longest JSON text that is taken apart, in bytes; far above what the service sends. A longer one counts as none:
/// taken apart, a text of small objects needs many times its length.
pub(crate) const LONGEST: usize = 256 * 1024;

/// Takes a JSON text apart, its texts [mended](lenient::json) where they are broken; `None` where it is too long, or does
/// not say what is looked for.
pub(crate) fn parse<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Option<T> {
    let text = text.as_ref();
    if text.len() > LONGEST { None } else { lenient::json::read(text).ok() }
}

/// Whether it is JSON at all, which takes no memory to tell.
pub(crate) fn is_json(text: &[u8]) -> bool {
    parse::<serde::de::IgnoredAny>(text).is_some()
}

/// The member as text; a number as its digits; empty where it is absent or something else.
pub(crate) fn text(object: &Value, member: &str) -> String {
    match object.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The member as a number that is not negative, also where it is given as text; 0 where it is absent or something else.
pub(crate) fn number(object: &Value, member: &str) -> u64 {
    object.get(member).and_then(as_number).unwrap_or(0)
}

/// A number that is not negative, also one given as text.
pub(crate) fn as_number(value: &Value) -> Option<u64> {
    match value {
        // A JSON writer without integers may give them a fraction of 0.
        Value::Number(number) => number.as_u64().or_else(|| {
            number.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0).map(|number| number as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A truth value, also one given as text or as 0 or 1.
pub(crate) fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        other => as_number(other).map(|number| number != 0),
    }
}

/// The texts of a list member; what is no text is left out.
pub(crate) fn texts(object: &Value, member: &str) -> Vec<String> {
    list(object, member).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// The entries of a list member; none where it is absent or something else.
pub(crate) fn list<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The members of an object member as texts; a value that is no text is given as its JSON.
pub(crate) fn pairs(object: &Value, member: &str) -> Vec<(String, String)> {
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let members = object.get(member).and_then(Value::as_object);
    members.map(|all| all.iter().map(|(key, value)| (key.clone(), as_text(value))).collect()).unwrap_or_default()
}
