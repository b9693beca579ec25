//! Names and values, spelled for JSON.

use std::fmt::Debug;

use agora_chat::Conversation;
use serde_json::{Map, Value, json};

/// The name of an enum's variant in `snake_case`, also of one that a later release of the crate adds.
pub(crate) fn snake(variant: &impl Debug) -> String {
    let shown = format!("{variant:?}");
    let name = shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let mut snake = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// A name as people read it.
pub(crate) fn spoken(variant: &impl Debug) -> String {
    snake(variant).replace('_', " ")
}

/// Ids as text, since they may exceed what a reader of JSON takes for a whole number.
pub(crate) fn ids(ids: &[u64]) -> Value {
    ids.iter().map(u64::to_string).collect()
}

pub(crate) fn place(conversation: &Conversation) -> Value {
    json!({"kind": snake(conversation), "id": conversation.id()})
}

/// Pairs as an object.
pub(crate) fn object_of<V: Into<Value> + Clone>(pairs: &[(String, V)]) -> Value {
    Value::Object(pairs.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect::<Map<_, _>>())
}

/// A sentence that commands no terminal and stays one line, whatever others wrote into it: control characters, line
/// separators and marks that turn the direction of writing are escaped, as in the log.
pub(crate) fn printable(sentence: &str) -> String {
    let mut shown = String::with_capacity(sentence.len());
    for c in sentence.chars() {
        match c {
            '\u{2028}'
            | '\u{2029}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}
