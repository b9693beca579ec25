//! Typed attributes that applications add to messages (messages spec §1.5).

use super::{Json, json};
use crate::{
    util::{
        impls::impl_from,
        weight::{Weigh, weigh},
    },
    wire::{
        KeyValue,
        key_value::{Value as Wire, ValueType},
    },
};

/// The attributes of a message, in the order they were added; a key occurs once.
///
/// ```
/// use agora_chat::{messages::{Ext, ExtValue}};
/// let ext = Ext::new().with("trace", "a-17").with("attempt", 3_i64).with("urgent", true);
/// assert_eq!(ext.get("attempt"), Some(&ExtValue::Int(3)));
/// assert_eq!(ext.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ext(Vec<(String, ExtValue)>);

/// One attribute's value, by the types the protocol has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExtValue {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number. Not-a-number is sent as the text `NaN`, for the protocol has none.
    Double(f64),
    /// A text.
    Text(String),
    /// An object, an array or null.
    Json(Json),
}

impl Ext {
    const FEW: usize = 32;

    /// No attributes.
    #[must_use]
    pub const fn new() -> Self {
        Ext(Vec::new())
    }

    /// Adds an attribute; under a known key it replaces the former value in its place.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<ExtValue>) -> Self {
        self.insert(key, value);
        self
    }

    /// Adds an attribute and returns the former value of that key.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<ExtValue>) -> Option<ExtValue> {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, place)) => Some(std::mem::replace(place, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Returns the value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&ExtValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Returns the attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ExtValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the attributes as a JSON object; what JSON cannot hold, or is over [`Json::MAX_NODES`] in all, becomes
    /// text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut left = Json::MAX_NODES;
        let pairs = self.iter().map(|(key, value)| (key.to_owned(), value.json_within(&mut left)));
        pairs.collect::<serde_json::Map<_, _>>().into()
    }

    /// Reads a received message's attributes: drops those without key or known type, keeps broken or too long JSON as
    /// text, and of a repeated key the last.
    pub(crate) fn from_wire(wire: Vec<KeyValue>) -> Self {
        Ext::read(wire, Json::take)
    }

    /// Reads attributes to be weighed only: as [`from_wire`](Ext::from_wire), but checks no JSON whose length is fixed.
    pub(crate) fn weighed(wire: Vec<KeyValue>) -> Self {
        // Signs that JSON forbids in its texts are mended, by longer ones.
        let could_grow = |text: &str| text.bytes().any(|byte| byte < b' ');
        Ext::read(wire, |text| if could_grow(&text) { Json::take(text) } else { Ok(Json::unchecked(text)) })
    }

    fn read(wire: Vec<KeyValue>, take: impl Fn(String) -> Result<Json, String>) -> Self {
        // What all its JSON may be long; what goes beyond stays text.
        let mut left = json::LONGEST;
        let read = |KeyValue { key, r#type, value }: KeyValue| {
            let kind = ValueType::try_from(r#type?).ok()?;
            Some((key?, read(kind, value, &mut left, &take)?))
        };
        Ext::of(json::exactly(wire.len(), wire.into_iter().filter_map(read)))
    }

    /// Makes attributes of a list with repeated keys, in nearly linear time: a frame can hold tens of thousands.
    fn of(mut pairs: Vec<(String, ExtValue)>) -> Self {
        let few = pairs.len() <= Ext::FEW;
        let mut earlier = pairs.iter().enumerate();
        if few && !earlier.any(|(at, (key, _))| pairs.iter().take(at).any(|(known, _)| known == key)) {
            return Ext(pairs);
        }
        // By key, and of one key in order.
        let key = |place: &usize| pairs.get(*place).map(|(key, _)| key);
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_unstable_by(|one, other| key(one).cmp(&key(other)).then(one.cmp(other)));
        if !order.is_sorted_by(|one, other| key(one) != key(other)) {
            let mut keep = vec![true; pairs.len()];
            let mut first = 0;
            for (at, place) in order.iter().enumerate() {
                let before = at.checked_sub(1).and_then(|at| order.get(at));
                if before.is_none_or(|before| {
                    pairs.get(*before).map(|(key, _)| key) != pairs.get(*place).map(|(key, _)| key)
                }) {
                    first = *place;
                    continue;
                }
                // The last value stands in the first one's place.
                let value = pairs.get_mut(*place).map(|(_, value)| std::mem::replace(value, ExtValue::Bool(false)));
                if let (Some((_, kept)), Some(value)) = (pairs.get_mut(first), value) {
                    *kept = value;
                }
                keep.get_mut(*place).into_iter().for_each(|kept| *kept = false);
            }
            let mut kept = keep.into_iter();
            pairs.retain(|_| kept.next().unwrap_or(true));
        }
        pairs.shrink_to_fit();
        Ext(pairs)
    }

    /// As sent (messages spec §1.5).
    pub(crate) fn to_wire(&self) -> Vec<KeyValue> {
        let wire = |(key, value): (&str, &ExtValue)| {
            let (kind, value) = value.to_wire();
            KeyValue { key: Some(key.to_owned()), r#type: Some(kind as i32), value: Some(value) }
        };
        self.iter().map(wire).collect()
    }
}

fn read(
    kind: ValueType,
    value: Option<Wire>,
    json_left: &mut usize,
    take: impl Fn(String) -> Result<Json, String>,
) -> Option<ExtValue> {
    Some(match (kind, value) {
        (ValueType::Bool, Some(Wire::Varint(number))) => ExtValue::Bool(number != 0),
        (ValueType::Int | ValueType::Uint | ValueType::Llint, Some(Wire::Varint(number))) => ExtValue::Int(number),
        (ValueType::Float, Some(Wire::Float(number))) => ExtValue::Double(number.into()),
        (ValueType::Double, Some(Wire::Double(number))) => ExtValue::Double(number),
        (ValueType::String, Some(Wire::String(text))) => ExtValue::Text(text),
        (ValueType::JsonString, Some(Wire::String(text))) => {
            let json = json_left.checked_sub(text.len()).map(|left| *json_left = left);
            match json {
                Some(()) => take(text).map_or_else(ExtValue::Text, ExtValue::Json),
                None => ExtValue::Text(text),
            }
        }
        // A value that is absent is the type's zero, as proto2 has it.
        (ValueType::Bool, None) => ExtValue::Bool(false),
        (ValueType::Int | ValueType::Uint | ValueType::Llint, None) => ExtValue::Int(0),
        (ValueType::Float | ValueType::Double, None) => ExtValue::Double(0.0),
        (ValueType::String | ValueType::JsonString, None) => ExtValue::Text(String::new()),
        _ => return None,
    })
}

impl ExtValue {
    /// Returns the value as JSON; what JSON cannot hold, or is over [`Json::MAX_NODES`], becomes text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.json_within(&mut { Json::MAX_NODES })
    }

    fn json_within(&self, left: &mut usize) -> serde_json::Value {
        match self {
            ExtValue::Bool(value) => (*value).into(),
            ExtValue::Int(value) => (*value).into(),
            ExtValue::Double(value) if value.is_finite() => (*value).into(),
            ExtValue::Double(value) => value.to_string().into(),
            ExtValue::Text(value) => value.as_str().into(),
            ExtValue::Json(value) => value.within(left).unwrap_or_else(|_| value.as_str().into()),
        }
    }

    fn to_wire(&self) -> (ValueType, Wire) {
        match self {
            ExtValue::Bool(value) => (ValueType::Bool, Wire::Varint((*value).into())),
            ExtValue::Int(value) => (ValueType::Int, Wire::Varint(*value)),
            ExtValue::Double(value) if value.is_nan() => (ValueType::String, Wire::String("NaN".to_owned())),
            ExtValue::Double(value) => (ValueType::Double, Wire::Double(*value)),
            ExtValue::Text(value) => (ValueType::String, Wire::String(value.clone())),
            ExtValue::Json(value) => (ValueType::JsonString, Wire::String(value.to_string())),
        }
    }
}

impl<K: Into<String>, V: Into<ExtValue>> FromIterator<(K, V)> for Ext {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Ext::of(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl_from! { ExtValue {
    |value: bool| ExtValue::Bool(value);
    |value: i64| ExtValue::Int(value);
    |value: i32| ExtValue::Int(value.into());
    |value: u32| ExtValue::Int(value.into());
    |value: f64| ExtValue::Double(value);
    |value: &str| ExtValue::Text(value.to_owned());
    |value: String| ExtValue::Text(value);
    |value: Json| ExtValue::Json(value);
} }

/// Scalars become the protocol's own types; objects, arrays and null stay JSON.
impl From<serde_json::Value> for ExtValue {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Bool(value) => ExtValue::Bool(value),
            serde_json::Value::String(value) => ExtValue::Text(value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => ExtValue::Int(value),
                // Beyond 64 bits signed there is no integer on the wire: the digits stay readable as text.
                (None, _) if number.is_u64() => ExtValue::Text(number.to_string()),
                (None, Some(value)) => ExtValue::Double(value),
                (None, None) => ExtValue::Text(number.to_string()),
            },
            other => ExtValue::Json(other.into()),
        }
    }
}

impl Weigh for Ext {
    #[inline]
    fn heap(&self) -> usize {
        let Self(pairs) = self;
        pairs.heap()
    }
}

weigh! { enum ExtValue { Bool(value), Int(value), Double(value), Text(value), Json(value) } }

#[cfg(test)]
mod tests {
    use super::{Ext, ExtValue, KeyValue, ValueType, Weigh as _, Wire};

    fn wire(key: &str, kind: i32, value: Option<Wire>) -> KeyValue {
        KeyValue { key: Some(key.to_owned()), r#type: Some(kind), value }
    }

    fn one(kind: i32, value: Option<Wire>) -> Option<ExtValue> {
        Ext::from_wire(vec![wire("k", kind, value)]).get("k").cloned()
    }

    #[test]
    fn what_is_only_weighed_weighs_what_it_does_once_it_is_read() {
        let texts = [r#"{"a":[1,2]}"#, "not json", "", "[\"a\nb\"]", "[\"\u{0}\"]", r#"["\ud83d"]"#, "\u{1}"];
        for text in texts {
            let wire = || vec![wire("k", ValueType::JsonString as i32, Some(Wire::String(text.to_owned())))];
            let (weighed, read) = (Ext::weighed(wire()).heap(), Ext::from_wire(wire()).heap());
            assert!(weighed >= read && weighed <= read + 64, "{text:?}: {weighed} and {read}");
        }
    }

    #[test]
    fn every_type_of_the_protocol_is_read_as_itself() {
        let text = |text: &str| Some(Wire::String(text.to_owned()));
        for (kind, value, read) in [
            (1, Some(Wire::Varint(1)), ExtValue::Bool(true)),
            (1, Some(Wire::Varint(0)), ExtValue::Bool(false)),
            (1, Some(Wire::Varint(-7)), ExtValue::Bool(true)),
            (1, None, ExtValue::Bool(false)),
            (2, Some(Wire::Varint(i64::MIN)), ExtValue::Int(i64::MIN)),
            (3, Some(Wire::Varint(3)), ExtValue::Int(3)),
            (4, Some(Wire::Varint(5_000_000_000)), ExtValue::Int(5_000_000_000)),
            (5, Some(Wire::Float(0.5)), ExtValue::Double(0.5)),
            (6, Some(Wire::Double(f64::NEG_INFINITY)), ExtValue::Double(f64::NEG_INFINITY)),
            (7, text(""), ExtValue::Text(String::new())),
            (7, text("{}"), ExtValue::Text("{}".to_owned())),
            (8, text("null"), ExtValue::Json("null".parse().unwrap())),
            (8, text("[1,\"a\"]"), ExtValue::Json("[1,\"a\"]".parse().unwrap())),
            (8, text("not json"), ExtValue::Text("not json".to_owned())),
        ] {
            assert_eq!(one(kind, value.clone()), Some(read), "{kind} {value:?}");
        }
    }

    #[test]
    fn what_has_no_key_no_known_type_or_another_types_value_is_left_out() {
        assert_eq!(one(9, Some(Wire::Varint(1))), None);
        assert_eq!(one(0, None), None);
        assert_eq!(one(7, Some(Wire::Varint(1))), None);
        let keyless = KeyValue { key: None, r#type: Some(1), value: None };
        assert!(Ext::from_wire(vec![keyless, KeyValue::default()]).is_empty());
    }

    #[test]
    fn json_is_taken_apart_up_to_a_length_of_all_of_it_and_stays_text_beyond() {
        let long = format!("[{}1]", "1,".repeat(70_000));
        let json = |key: &str| wire(key, ValueType::JsonString as i32, Some(Wire::String(long.clone())));
        let ext = Ext::from_wire(vec![json("a"), json("b"), wire("c", 8, Some(Wire::String("[]".to_owned())))]);
        assert!(matches!(ext.get("a"), Some(ExtValue::Json(_))));
        assert_eq!(ext.get("b"), Some(&ExtValue::Text(long.clone())));
        assert_eq!(ext.get("c"), Some(&ExtValue::Json("[]".parse().unwrap())));
    }

    #[test]
    fn what_is_sent_is_read_back_the_same() {
        let ext = Ext::new()
            .with("bool", false)
            .with("int", i64::MAX)
            .with("double", 0.1)
            .with("text", "\u{1f642}")
            .with("json", serde_json::json!({"x": [null, 1.5]}));
        assert_eq!(Ext::from_wire(ext.to_wire()), ext);
    }

    #[test]
    fn of_a_key_that_repeats_the_last_value_counts_in_the_first_place_however_many_there_are() {
        let number = |key: &str, value| wire(key, ValueType::Int as i32, Some(Wire::Varint(value)));
        for count in [3, 31, 32, 33, 65_536_i64] {
            let all = (0..count).map(|n| number(&n.to_string(), n)).chain([number("1", -1), number("new", 5)]);
            let ext = Ext::from_wire(all.collect());
            assert_eq!(ext.len() as i64, count + 1);
            assert_eq!(ext.iter().nth(1), Some(("1", &ExtValue::Int(-1))));
            assert_eq!(ext.iter().last(), Some(("new", &ExtValue::Int(5))));
        }
    }
}

#[cfg(test)]
mod round_trip {
    use proptest::{collection::vec, prelude::*};
    use serde_json::{Value, json};

    use super::{Ext, ExtValue};

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 2.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec((any::<String>(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn value() -> impl Strategy<Value = ExtValue> {
        prop_oneof![
            any::<bool>().prop_map(ExtValue::Bool),
            any::<i64>().prop_map(ExtValue::Int),
            any::<f64>()
                .prop_filter("the protocol has no not-a-number", |number| !number.is_nan())
                .prop_map(ExtValue::Double),
            Just(ExtValue::Double(f64::INFINITY)),
            any::<String>().prop_map(ExtValue::Text),
            json_value().prop_map(|value| ExtValue::Json(value.into())),
        ]
    }

    proptest! {
        #[test]
        fn attributes_of_every_type_survive_the_wire(pairs in vec((any::<String>(), value()), 0..48)) {
            let ext: Ext = pairs.into_iter().collect();
            let encoded: Vec<_> = ext.to_wire().iter().map(crate::wire::encode).collect();
            let wire = encoded.into_iter().map(|bytes| prost::Message::decode(bytes).unwrap()).collect();
            prop_assert_eq!(Ext::from_wire(wire), ext);
        }
    }

    #[test]
    fn of_a_key_that_occurs_twice_the_last_value_counts_in_the_first_place_however_many_there_are() {
        for count in [Ext::FEW, Ext::FEW + 1, 10 * Ext::FEW] {
            let wire: Vec<_> = (0..count)
                .flat_map(|number| Ext::new().with(format!("k{}", number % 20), number as i64).to_wire())
                .collect();
            assert_eq!(wire.len(), count);
            let expected: Ext = (0..count).map(|number| (format!("k{}", number % 20), number as i64)).collect();
            let read = Ext::from_wire(wire);
            assert_eq!((read.len(), read.iter().next().map(|(key, _)| key)), (20, Some("k0")));
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn not_a_number_is_sent_as_text() {
        let ext = Ext::new().with("nan", f64::NAN);
        assert_eq!(Ext::from_wire(ext.to_wire()), Ext::new().with("nan", "NaN"));
    }

    #[test]
    fn a_json_scalar_becomes_the_protocols_own_type() {
        assert_eq!(ExtValue::from(json!(true)), ExtValue::Bool(true));
        assert_eq!(ExtValue::from(json!(-1)), ExtValue::Int(-1));
        assert_eq!(ExtValue::from(json!(1.5)), ExtValue::Double(1.5));
        assert_eq!(ExtValue::from(json!("a")), ExtValue::Text("a".to_owned()));
        assert_eq!(ExtValue::from(json!(u64::MAX)), ExtValue::Text(u64::MAX.to_string()));
        assert_eq!(ExtValue::from(json!(null)), ExtValue::Json(Value::Null.into()));
    }
}
