//! Calls, their answers, and the shapes most of them share.

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    local_server::{data::User, state::App},
    util::unix_time::now_ms,
};

/// A call as it came in.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// The bearer token; empty when there is an `Authorization` of another kind.
    pub(crate) bearer: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

impl Call<'_> {
    /// Returns a header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// An error answer on its way out.
pub(crate) struct Refused(pub(crate) u16, pub(crate) &'static str, pub(crate) String);

pub(crate) type Answered = Result<Value, Refused>;

pub(crate) fn illegal(description: impl Into<String>) -> Refused {
    Refused(400, "illegal_argument", description.into())
}

pub(crate) fn unauthorized() -> Refused {
    Refused(401, "unauthorized", "Unable to authenticate (OAuth)".to_owned())
}

pub(crate) fn object(body: &[u8]) -> Answered {
    crate::util::lenient::json::read(body).map_err(|error| Refused(400, "json_parse", error.to_string()))
}

pub(crate) fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Value::as_str)
}

pub(crate) fn not_found() -> Refused {
    Refused(404, "service_resource_not_found", "Service resource not found".to_owned())
}

/// Returns an answer with the members that most answers have; `collection` is the last part of the `uri`.
pub(crate) fn enveloped(app: &App, action: &str, collection: &str, mut answer: Value) -> Value {
    let common = json!({
        "action": action,
        "application": app.uuid,
        "uri": format!("{}/{}/{}/{collection}", app.rest_url, app.key.org(), app.key.app()),
        "timestamp": now_ms(),
        "duration": 0,
        "organization": app.key.org(),
        "applicationName": app.key.app(),
    });
    if let (Some(answer), Value::Object(common)) = (answer.as_object_mut(), common) {
        answer.extend(common);
    }
    answer
}

pub(crate) fn entity(name: &str, user: &User, with_nickname: bool) -> Value {
    let mut entity = json!({
        "uuid": user.uuid, "type": "user", "created": user.created_ms, "modified": user.modified_ms,
        "username": name, "activated": user.activated,
    });
    if with_nickname && let (Some(nickname), Some(entity)) = (&user.nickname, entity.as_object_mut()) {
        entity.insert("nickname".to_owned(), json!(nickname));
    }
    entity
}

/// Returns a value of a query.
pub(crate) fn query(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

/// Returns a member that is a list of user names, in lower case.
pub(crate) fn strings(body: &Value, member: &str) -> Vec<String> {
    let list = body.get(member).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_lowercase).collect()
}

/// Undoes percent encoding; malformed escapes stay as they are.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        bytes.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
