use std::{borrow::Cow, str::FromStr};

use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

use super::json;
use crate::util::{
    impls::{impl_debug, impl_display, impl_from},
    lenient,
    weight::Weigh,
};

/// JSON as its text, which is known to be well formed. It is taken apart when that is asked for.
///
/// A value takes up to a hundred times the memory of its text, and whoever sends it chooses how much; so received JSON is
/// kept as it came. Two are equal when their texts are: `{"a":1}` and `{ "a": 1 }` are not. Compare what
/// [`parse`](Json::parse) gives to compare values.
///
/// ```
/// use agora_chat::messages::Json;
/// let json: Json = r#"{"order": {"id": 17}}"#.parse()?;
/// assert_eq!(json.parse()?["order"]["id"], 17);
///
/// #[derive(serde::Deserialize)]
/// struct Payload {
///     order: Order,
/// }
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: u64,
/// }
/// assert_eq!(json.to::<Payload>()?.order.id, 17);
/// # Ok::<(), agora_chat::messages::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

/// Error of parsing JSON. It quotes nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is no JSON, or values stand deeper within each other than [`Json::MAX_DEPTH`].
    #[error("not JSON, or deeper than {depth} values: line {line}, column {column}", depth = Json::MAX_DEPTH)]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 for its beginning.
        column: usize,
    },
    /// There are more values in it than [`Json::MAX_NODES`]; [`Json::as_str`] has its text.
    #[error("the JSON has more than {limit} values", limit = Json::MAX_NODES)]
    TooManyNodes,
    /// It is JSON, but not of the type asked for.
    #[error("the JSON is not of the type asked for: line {line}, column {column}")]
    Mismatch {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 for its beginning.
        column: usize,
    },
}

impl JsonError {
    fn of(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => JsonError::Mismatch { line, column },
            _ => JsonError::Malformed { line, column },
        }
    }
}

impl Json {
    /// The most values that a text may hold to be taken apart: objects, arrays and what is in them, names not counted.
    ///
    /// A [`Value`] of so many takes at most 12 MiB and three times the text.
    pub const MAX_NODES: usize = 16_384;

    /// The deepest nesting of values.
    pub const MAX_DEPTH: usize = 127;

    /// Takes a text that is JSON, its texts mended where they are broken; what is none comes back.
    pub(crate) fn take(text: String) -> Result<Self, String> {
        match lenient::json::check(text.as_bytes()) {
            Ok(Cow::Borrowed(_)) => Ok(Json(text.into())),
            Ok(Cow::Owned(mended)) => Ok(Json(mended.into())),
            Err(_) => Err(text),
        }
    }

    /// Takes a text that may be none, to be weighed and not to be read.
    pub(crate) fn unchecked(text: String) -> Self {
        Json(text.into())
    }

    pub(crate) fn seen(view: json::View<'_>) -> Self {
        Json(view.raw().into())
    }

    pub(crate) fn object<'a>(members: impl Iterator<Item = (json::View<'a>, json::View<'a>)> + Clone) -> Self {
        let length = members.clone().map(|(name, value)| name.raw().len() + value.raw().len() + 2).sum::<usize>() + 1;
        let mut text = String::with_capacity(length.max(2));
        for (name, value) in members {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name.raw());
            text.push(':');
            text.push_str(value.raw());
        }
        text.push_str(if text.is_empty() { "{}" } else { "}" });
        Json(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes it apart; of names that occur twice in an object the last one counts.
    ///
    /// # Errors
    /// [`JsonError::TooManyNodes`] beyond [`Json::MAX_NODES`], and [`JsonError::Malformed`] for one made of a [`Value`]
    /// that is deeper than [`Json::MAX_DEPTH`].
    pub fn parse(&self) -> Result<Value, JsonError> {
        self.to()
    }

    /// Takes it apart as a type of the application's own.
    ///
    /// # Errors
    /// As for [`parse`](Json::parse), and [`JsonError::Mismatch`] where it is not of that type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.within(&mut { Self::MAX_NODES })
    }

    /// As [`to`](Json::to), with at most `left` values, of which it takes its own.
    pub(crate) fn within<T: DeserializeOwned>(&self, left: &mut usize) -> Result<T, JsonError> {
        let nodes = lenient::json::count(&self.0, *left).map_err(|error| match JsonError::of(&error) {
            JsonError::Mismatch { .. } => JsonError::TooManyNodes,
            other => other,
        })?;
        let value = serde_json::from_str(&self.0).map_err(|error| JsonError::of(&error))?;
        *left = left.saturating_sub(nodes);
        Ok(value)
    }
}

impl FromStr for Json {
    type Err = JsonError;

    /// Takes a text. One with broken texts, such as half a surrogate pair in an escape, is mended.
    fn from_str(text: &str) -> Result<Self, JsonError> {
        let checked = lenient::json::check(text.as_bytes()).map_err(|error| JsonError::of(&error))?;
        Ok(Json(checked.into()))
    }
}

impl_from! { Json {
    |value: Value| Json::from(&value);
    |value: &Value| Json(value.to_string().into());
} }

impl AsRef<str> for Json {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl_display!(|this: Json| "{}", this.0);

impl_debug!(|this: Json| "Json({})", this.0);

/// As the value it is; one that cannot be taken apart as its text.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.parse() {
            Ok(value) => value.serialize(serializer),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl Weigh for Json {
    fn heap(&self) -> usize {
        self.0.heap()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Json, JsonError};
    use crate::model::message::json::View;

    #[test]
    fn a_text_is_kept_as_it_came_and_read_when_asked() {
        let json: Json = r#"{ "b": 1, "a": [null] }"#.parse().unwrap();
        assert_eq!(json.to_string(), r#"{ "b": 1, "a": [null] }"#);
        assert_eq!(json.parse().unwrap(), json!({"a": [null], "b": 1}));
        assert_eq!(json.to::<Vec<u8>>(), Err(JsonError::Mismatch { line: 1, column: 0 }));
        assert_eq!(serde_json::to_value(&json).unwrap(), json!({"a": [null], "b": 1}));
        assert_ne!(json, Json::from(json!({"a": [null], "b": 1})));
        assert!(matches!("{".parse::<Json>(), Err(JsonError::Malformed { line: 1, .. })));
        assert_eq!(r#"["\ud83d"]"#.parse::<Json>().unwrap().parse().unwrap(), json!(["\u{fffd}"]));
    }

    #[test]
    fn what_has_too_many_values_or_is_too_deep_is_not_taken_apart() {
        let many = |values: usize| Json::take(format!("[{}0]", "0,".repeat(values - 2))).unwrap();
        assert!(many(Json::MAX_NODES).parse().is_ok());
        assert_eq!(many(Json::MAX_NODES + 1).parse(), Err(JsonError::TooManyNodes));
        assert_eq!(many(Json::MAX_NODES + 1).to::<Vec<u8>>(), Err(JsonError::TooManyNodes));
        assert!(serde_json::to_value(many(Json::MAX_NODES + 1)).unwrap().is_string());
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::take(deep(Json::MAX_DEPTH)).unwrap().parse().is_ok());
        assert!(Json::take(deep(Json::MAX_DEPTH + 1)).is_err());
    }

    #[test]
    fn a_value_takes_at_most_12_mib_and_three_times_the_text() {
        let nested = format!("{}0{}", r#"{"":"#.repeat(125), "}".repeat(125));
        let many = |part: &str, times: usize| format!("[{}0]", format!("{part},").repeat(times));
        for text in [
            many(r#"{"":0}"#, 8_000),
            many(&nested, 130),
            many("[0]", 8_000),
            many("[]", 16_000),
            many(r#""a""#, 16_000),
            many(r#"{"a":"b"}"#, 8_000),
            many(r#"{"a":0,"b":0,"c":0}"#, 4_000),
        ] {
            let json: Json = text.parse().unwrap();
            let counted = allocation_counter::measure(|| drop(json.parse().unwrap()));
            assert!(counted.bytes_max < (12 << 20) + 3 * text.len() as u64, "{counted:?} for {}", &text[..20]);
        }
    }

    #[test]
    fn an_object_is_made_of_members_that_were_seen() {
        let all = r#"{"a" : 1 ,"\u0062":[ 2 ],"c":{}}"#;
        let members = View::of(all).members();
        let made = |kept: &'static str| {
            Json::object(members.clone().filter(move |(name, _)| kept.contains(&*name.str().unwrap()))).to_string()
        };
        assert_eq!(made("abc"), r#"{"a":1,"\u0062":[ 2 ],"c":{}}"#);
        assert_eq!((made("b"), made("")), (r#"{"\u0062":[ 2 ]}"#.to_owned(), "{}".to_owned()));
    }
}
