//! Typed application attributes (messages spec §1.5).

use super::schema::schema;

schema! {
    /// A named, typed value.
    pub struct KeyValue {
        key: Option<String> => (string, optional, tag = "1"),
        r#type: Option<i32> => (enumeration = "ValueType", optional, tag = "2"),
        /// The value; the spec names its members `varintValue`, `floatValue`, `doubleValue` and `stringValue`.
        value: Option<Value> => (oneof = "Value", tags = "3, 4, 5, 6"),
    }
}

/// The value of a [`KeyValue`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// `varintValue`: of the types `BOOL`, `INT`, `UINT` and `LLINT`.
    #[prost(int64, tag = "3")]
    Varint(i64),
    /// `floatValue`.
    #[prost(float, tag = "4")]
    Float(f32),
    /// `doubleValue`.
    #[prost(double, tag = "5")]
    Double(f64),
    /// `stringValue`: of the types `STRING` and `JSON_STRING`.
    #[prost(string, tag = "6")]
    String(String),
}

schema! {
    /// Declared type of a value.
    pub enum ValueType {
        Bool = 1 => "BOOL",
        Int = 2 => "INT",
        Uint = 3 => "UINT",
        Llint = 4 => "LLINT",
        Float = 5 => "FLOAT",
        Double = 6 => "DOUBLE",
        String = 7 => "STRING",
        JsonString = 8 => "JSON_STRING",
    }
}
